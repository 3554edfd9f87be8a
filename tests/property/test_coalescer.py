"""`check_layer` under anything that may happen, in virtual time: no waiter is left hanging, and no answer is another's."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from ecr_layer_client import (
    CallError,
    ClientConfig,
    ClientStateError,
    ECRLayerClient,
    LayerOutcome,
    RetryPolicy,
)
from ecr_layer_client.local import LocalECR
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ecr_layer_client import SessionLike

POOL = [f"sha256:{number:x}" for number in range(16, 28)]
ASKED = [*POOL, *map(str.upper, POOL), "latest"]
HELD = {
    "one": frozenset(POOL[::2]),
    "two": frozenset(POOL[1::2]),
}  # what one holds the other does not
FAULTS: list[dict[str, Any]] = [
    {"error": "ServerException"},
    {"error": "AccessDeniedException"},
    {"status": 404},
    {"reset": True},
    {"cut_at": 40},
    {"body": b"{}"},
    {"latency": 60.0},
    {"latency": (0.0, 0.2)},
    {"drop_rows": 1},
    {"double_rows": 1},
    {"shuffle": True},
]


class CheckLayer(RuleBasedStateMachine):
    """Many callers of two repositories, through two views."""

    def __init__(self, runner: asyncio.Runner, ecr: LocalECR, session: SessionLike) -> None:
        super().__init__()
        self.runner = runner
        self.ecr = ecr
        self.session = session
        self.client = ECRLayerClient()
        self.views: list[ECRLayerClient] = []
        self.waiting: dict[asyncio.Task[LayerOutcome], tuple[str, str]] = {}
        self.cancelled: set[asyncio.Task[LayerOutcome]] = set()

    @initialize(
        batch_size=st.integers(1, 4),
        slots=st.integers(1, 3),
        window=st.sampled_from([0.0, 0.002, 0.5]),
    )
    def open(self, batch_size: int, slots: int, window: float) -> None:
        """Open the client, with two views of it."""
        retry = RetryPolicy(max_attempts=2, max_elapsed=30.0)
        self.client = ECRLayerClient(
            region_name=self.ecr.region,
            endpoint_url=self.ecr.endpoint_url,
            session=self.session,
            config=ClientConfig(retry=retry, max_concurrency=slots),
        )
        self._run(self.client.open())
        wide = self.client.with_config(batch_size=batch_size, coalesce_window=window)
        self.views = [wide, wide.with_config(batch_size=2)]

    def _run(self, step: Awaitable[object]) -> None:
        async def run() -> None:
            await step

        self.runner.run(run())

    @rule(
        name=st.sampled_from(["one", "two"]), digest=st.sampled_from(ASKED), view=st.integers(0, 1)
    )
    def ask(self, name: str, digest: str, view: int) -> None:
        """Ask, and do not wait."""

        async def begin() -> None:
            task = asyncio.create_task(self.views[view].check_layer(name, digest))
            self.waiting[task] = name, digest

        self._run(begin())

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Cancel one that waits."""
        if self.waiting:
            task = data.draw(st.sampled_from(list(self.waiting)))
            if task.cancel():
                self.cancelled.add(task)

    @rule(fault=st.sampled_from(FAULTS), times=st.integers(1, 3))
    def fail(self, fault: dict[str, Any], times: int) -> None:
        """Let requests fail."""
        self.ecr.faults.add(times=times, **fault)

    @rule(times=st.integers(1, 4))
    def throttle(self, times: int) -> None:
        """Let requests be throttled."""
        self.ecr.faults.add(error="ThrottlingException", times=times)

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.002, 0.026, 0.05, 0.052, 1.0, 20.0]))
    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._run(asyncio.sleep(seconds))

    @rule()
    def close(self) -> None:
        """Close the client, which ends all that wait, and open it again."""
        self._run(self.client.aclose())
        self._run(asyncio.sleep(0))
        assert {task for task in self.waiting if not task.done()} == set()
        self._judge(closed=True)
        self._run(self.client.open())

    @invariant()
    def judge(self) -> None:
        """No answer is wrong."""
        self._judge()

    def _judge(self, *, closed: bool = False) -> None:
        for task in [task for task in getattr(self, "waiting", ()) if task.done()]:
            name, digest = self.waiting.pop(task)
            if task.cancelled():
                assert task in self.cancelled
                continue
            error = task.exception()
            if error is None:
                self._judge_outcome(task.result(), name, digest)
            elif isinstance(error, CallError):
                assert error.partial is not None
                assert (
                    error.repository is None or error.repository.name,
                    error.partial.unanswered,
                ) == (name, (digest,))
            else:
                assert (type(error), closed) == (ClientStateError, True)

    def _judge_outcome(self, outcome: LayerOutcome, name: str, digest: str) -> None:
        assert outcome.digest == digest
        if outcome.is_available or outcome.is_absent:
            assert outcome.is_available == (digest.lower() in HELD[name])

    def teardown(self) -> None:
        """See that nobody waits for ever, and that nothing is left."""
        self.ecr.faults.clear()
        self._run(asyncio.sleep(600))
        assert {task for task in self.waiting if not task.done()} == set()
        self._judge()
        loop: Any = self.runner.get_loop()
        left = [
            *asyncio.all_tasks(loop),
            *(timer for timer in loop._scheduled if not timer.cancelled()),
        ]
        asked = [
            digest
            for view in self.views
            for loader in view._coalescers.values()
            for digest in loader._batches
        ]
        assert (left, self.ecr.in_flight, asked) == ([], 0, [])
        self._run(self.client.aclose())


def test_check_layer() -> None:
    """Whatever is asked, cancelled, refused or closed, at whatever moment: each caller is answered, told or cancelled, and rightly."""
    quick = (
        settings()
        if "HYPOTHESIS_PROFILE" in os.environ
        else settings(max_examples=60, stateful_step_count=30)
    )
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        ecr = runner.run(LocalECR(in_memory=True, latency=0.05).open())
        for name, held in HELD.items():
            ecr.seed(name, [(digest, 1) for digest in held])
        make: Any = partial(CheckLayer, runner, ecr, ecr.session())
        run_state_machine_as_test(make, settings=quick)
        runner.run(ecr.aclose())
