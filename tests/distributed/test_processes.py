"""A checker as a value: pickled, in other processes and threads, beside event loops, closed."""

from __future__ import annotations

import asyncio
import copy
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ecr_layer_client
from distributed.steps import column, digest, keys, table
from ecr_layer_client import AWSKeys
from ecr_layer_client.distributed._kernel import _close_at_exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecr_layer_client import ECRLayerClient
    from ecr_layer_client.distributed import TableChecker
    from ecr_layer_client.local import LocalECR

    CheckerOf = Callable[..., TableChecker]

ROWS = table(("team/app", digest(1)), ("team/app", digest(2)))
EXPECTED = ["AVAILABLE", "UNAVAILABLE"]
PROGRAM = Path(__file__).with_name("programs") / "fork.py"


@pytest.fixture
def ecr(ecr: LocalECR) -> LocalECR:
    """Give a repository that holds digest 1."""
    ecr.seed("team/app", [(digest(1), 1)])
    return ecr


def _availability(checker: TableChecker) -> list[Any]:
    return column(checker.run(ROWS), "availability")


def test_pickle(checker_of: CheckerOf) -> None:
    """A checker that was used can be pickled: its clients and its loop stay behind."""
    checker = checker_of()
    checker.run(ROWS)
    pickled = pickle.loads(pickle.dumps(checker))
    checked = _availability(pickled)
    asyncio.run(pickled.aclose())
    assert (checked, repr(pickled)) == (EXPECTED, repr(checker))


def test_unpickled_for_each_task(checker_of: CheckerOf) -> None:
    """A value that is unpickled again and again in one process is one checker, with its clients."""
    pickled = pickle.dumps(checker_of())
    assert pickle.loads(pickled) is pickle.loads(pickled)


def test_two_checkers(checker_of: CheckerOf) -> None:
    """Two checkers stay two after they were pickled."""
    first, second = (pickle.loads(pickle.dumps(checker_of(digest=name))) for name in ("a", "b"))
    assert first is not second


async def _with_own_keys(own: AWSKeys) -> AWSKeys:
    return own


def test_keys_in_a_pickle(checker_of: CheckerOf) -> None:
    """Keys in what would be pickled are refused, wherever they are."""
    own = AWSKeys("key", "a secret that signs")
    with pytest.raises(TypeError, match="AWS keys can't be pickled") as raised:
        pickle.dumps(checker_of(credentials=partial(_with_own_keys, own)))
    assert "secret that" not in str(raised.value)


def test_keys_are_not_copied() -> None:
    """Keys can't be copied either."""
    with pytest.raises(TypeError, match="AWS keys can't be pickled"):
        copy.deepcopy(AWSKeys("key", "a secret that signs"))


def test_another_process(checker_of: CheckerOf) -> None:
    """A pool of processes checks tables, each process with clients of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        [checked] = pool.map(checker_of().run, [ROWS])
    assert column(checked, "availability") == EXPECTED


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_process(ecr: LocalECR) -> None:
    """A process that is forked after a check opens clients of its own; both exit in silence."""
    finished = subprocess.run(
        [sys.executable, PROGRAM, ecr.endpoint_url],
        env=os.environ | {"PYTHONPATH": str(Path(ecr_layer_client.__file__).parents[1])},
        check=True,
        capture_output=True,
        text=True,
    )
    assert finished.stdout.split() == ["child", *EXPECTED, "parent", *EXPECTED]
    assert finished.stderr == ""


def test_beside_a_running_loop(checker_of: CheckerOf) -> None:
    """`run` works where an event loop is running, as in a notebook."""

    async def cell() -> list[Any]:
        return _availability(checker_of())

    assert asyncio.run(cell()) == EXPECTED


def test_threads(ecr: LocalECR, checker_of: CheckerOf) -> None:
    """Threads share the clients of `run`."""
    checker = checker_of()
    with ThreadPoolExecutor(4) as threads:
        checked = [*threads.map(_availability, [checker] * 8)]
    assert checked == [EXPECTED] * 8
    assert ecr.connections <= 8


def test_interrupted(checker_of: CheckerOf) -> None:
    """An interrupted `run` cancels what it waits for."""
    cancelled = threading.Event()

    async def hang() -> AWSKeys:
        try:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return await keys()

    with pytest.raises(KeyboardInterrupt):
        checker_of(credentials=hang).run(ROWS)
    assert cancelled.wait(30)


def _open_clients(checker: TableChecker) -> list[ECRLayerClient]:
    return [client for each in checker._clients_of.values() for client in each._clients.values()]


def _are_open(clients: list[ECRLayerClient]) -> list[bool]:
    return [", open" in repr(client) for client in clients]


def test_closed(checker_of: CheckerOf) -> None:
    """`aclose` closes the clients of the running loop and of `run`; a later call opens others."""

    async def main() -> None:
        await checker(ROWS)
        opened.extend(_open_clients(checker))
        await checker.aclose()

    checker = checker_of()
    opened: list[ECRLayerClient] = []
    for _ in range(2):
        assert _availability(checker) == EXPECTED
        asyncio.run(main())
    assert _are_open(opened) == [False] * 4


def test_closed_elsewhere(checker_of: CheckerOf) -> None:
    """The clients of another running loop stay open."""

    async def main(checker: TableChecker) -> int:
        await checker(ROWS)
        await asyncio.to_thread(asyncio.run, checker.aclose())
        checked = await checker(ROWS)
        await checker.aclose()
        return checked.num_rows

    assert asyncio.run(main(checker_of())) == 2


@pytest.mark.parametrize("process", [os.getpid(), 0], ids=["own", "parent"])
def test_exit(checker_of: CheckerOf, process: int) -> None:
    """A process closes at its exit the clients of `run`, but not those of its parent."""
    checker = checker_of()
    checker.run(ROWS)
    opened = _open_clients(checker)
    [clients] = checker._clients_of.values()
    _close_at_exit(clients, process)
    assert _are_open(opened) == [process == 0]
