"""Work in threads that cancellation does not lose."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


async def finish_in_thread(work: Callable[[], object]) -> None:
    """Run something in a thread, even if the caller is cancelled meanwhile, as a task group does.

    `asyncio.to_thread` would not run it if all threads were busy then.
    """
    await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, work))
