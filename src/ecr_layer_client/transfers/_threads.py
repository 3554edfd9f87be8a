"""Work in threads that cancellation does not lose."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


async def finish_in_thread(work: Callable[[], object]) -> None:
    """Run something in a thread, and wait for its end, even if the caller is cancelled meanwhile.

    `asyncio.to_thread` would not run it if all threads were busy then. A caller that is cancelled
    twice does not wait.
    """
    thread = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.wait([thread])
        raise
