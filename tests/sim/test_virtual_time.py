"""The event loop in virtual time, which the simulations and most tests of the client run on."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


def in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def test_the_clock_jumps_to_the_next_timer() -> None:
    """A sleep of a day moves the clock by a day and takes no real time."""

    async def sleep() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    assert in_virtual_time(sleep()) == 86_400


def test_a_deadlock_is_an_error() -> None:
    """A task that nothing can wake is an error at once."""

    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="deadlock"):
        in_virtual_time(wait())


@pytest.mark.parametrize("timeout", [None, 1.0], ids=["no-timer", "timer"])
def test_the_clock_stands_still_while_a_thread_works(timeout: float | None) -> None:
    """A thread's work takes no virtual time, so that no timer ends it on a slow machine."""
    slow = threading.Event()

    async def work() -> float:
        threading.Timer(0.05, slow.set).start()
        await asyncio.wait_for(asyncio.to_thread(slow.wait), timeout)
        return asyncio.get_running_loop().time()

    assert in_virtual_time(work()) == 0.0
