"""`check_layer` under any events, in virtual time: each caller ends, with its own outcome."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
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
    ECRPublicLayerClient,
    LayerOutcome,
)
from property.running import quick, retries
from services import ECRS
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ecr_layer_client import SessionLike
    from ecr_layer_client.local import LocalECR
    from property.running import Client

POOL = [f"sha256:{number:x}" for number in range(16, 28)]
GIVEN = [*POOL, *map(str.upper, POOL), "latest"]
# One repository holds what the other does not.
HELD = {"one": frozenset(POOL[::2]), "two": frozenset(POOL[1::2])}
FAULTS: list[dict[str, Any]] = [
    *({"error": "ServerException"}, {"error": "AccessDeniedException"}, {"status": 404}),
    *({"reset": True}, {"cut_at": 40}, {"body": b"{}"}),
    *({"latency": 60.0}, {"latency": (0.0, 0.2)}),
    *({"drop_rows": 1}, {"double_rows": 1}, {"shuffle": True}),
]
SECONDS = [0.0, 0.001, 0.002, 0.026, 0.05, 0.052, 1.0, 20.0]


class CheckLayer(RuleBasedStateMachine):
    """Many callers of two repositories, through two views."""

    def __init__(
        self,
        runner: asyncio.Runner,
        ecr: LocalECR,
        session: SessionLike,
        make: Callable[..., Client],
    ) -> None:
        super().__init__()
        self.runner = runner
        self.ecr = ecr
        self.session = session
        self.make = make
        self.client: Client = make()
        self.views: list[Client] = []
        self.waiting: dict[asyncio.Task[LayerOutcome], tuple[str, str]] = {}
        self.cancelled: set[asyncio.Task[LayerOutcome]] = set()

    def _run(self, step: Awaitable[object]) -> None:
        async def run() -> None:
            await step

        self.runner.run(run())

    @initialize(
        batch_size=st.integers(1, 4),
        slots=st.integers(1, 3),
        window=st.sampled_from([0.0, 0.002, 0.5]),
    )
    def open(self, batch_size: int, slots: int, window: float) -> None:
        """Open the client, and make two views of it."""
        self.client = self.make(
            region_name=self.ecr.region,
            endpoint_url=self.ecr.endpoint_url,
            session=self.session,
            config=ClientConfig(retry=retries(2), max_concurrency=slots),
        )
        self._run(self.client.open())
        wide = self.client.with_config(batch_size=batch_size, coalesce_window=window)
        self.views = [wide, wide.with_config(batch_size=2)]

    @rule(name=st.sampled_from(list(HELD)), digest=st.sampled_from(GIVEN), view=st.integers(0, 1))
    def check(self, name: str, digest: str, view: int) -> None:
        """Begin a check."""

        async def begin() -> None:
            task = asyncio.create_task(self.views[view].check_layer(name, digest))
            self.waiting[task] = name, digest

        self._run(begin())

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Cancel a caller that waits."""
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

    @rule(seconds=st.sampled_from(SECONDS))
    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._run(asyncio.sleep(seconds))

    @rule()
    def close(self) -> None:
        """Close the client, which ends all callers, and open it again."""
        self._run(self.client.aclose())
        self._run(asyncio.sleep(0))
        self._assert_all_ended()
        self._judge(is_closed=True)
        self._run(self.client.open())

    @invariant()
    def judge(self) -> None:
        """No outcome is wrong."""
        self._judge()

    def _assert_all_ended(self) -> None:
        assert {task for task in self.waiting if not task.done()} == set()

    def _judge(self, *, is_closed: bool = False) -> None:
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
                assert error.repository is None or error.repository.name == name
                assert error.partial.unanswered == (digest,)
            else:
                assert (type(error), is_closed) == (ClientStateError, True)

    def _judge_outcome(self, outcome: LayerOutcome, name: str, digest: str) -> None:
        assert outcome.digest == digest
        if outcome.is_available or outcome.is_absent:
            assert outcome.is_available == (digest.lower() in HELD[name])

    def teardown(self) -> None:
        """Check that every caller ends, and that nothing is left."""
        self.ecr.faults.clear()
        self._run(asyncio.sleep(600))
        self._assert_all_ended()
        self._judge()

        loop: Any = self.runner.get_loop()
        timers = [timer for timer in loop._scheduled if not timer.cancelled()]
        coalescers = [each for view in self.views for each in view._coalescers.values()]
        digests = [digest for coalescer in coalescers for digest in coalescer._batches]
        assert (asyncio.all_tasks(loop), timers, self.ecr.in_flight, digests) == (set(), [], 0, [])
        self._run(self.client.aclose())


CLIENTS: dict[str, type[Client]] = {"ecr": ECRLayerClient, "ecr-public": ECRPublicLayerClient}


@pytest.mark.parametrize("service", ECRS)
def test_check_layer(service: str) -> None:
    """Each caller has its outcome, its error or its cancellation, whatever else happens."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        ecr = runner.run(ECRS[service](in_memory=True, latency=0.05).open())
        for name, held in HELD.items():
            ecr.seed(name, [(digest, 1) for digest in held])
        make: Any = partial(CheckLayer, runner, ecr, ecr.session(), CLIENTS[service])
        run_state_machine_as_test(make, settings=quick(60, stateful_step_count=30))
        runner.run(ecr.aclose())
