"""The observer: told of each operation, attempt, retry and throttled answer, in order.

Whatever it raises is never fatal.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import AccessDeniedError, RetryPolicy, ServerError

if TYPE_CHECKING:
    from collections.abc import Generator

    from ecr_layer_client import CallError, Repository
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

CHECK = "BatchCheckLayerAvailability"
ATTEMPT, PASSED = ("attempt", CHECK, "app", 1, 1), ("attempt ends", None)


class Recorder:
    """An observer that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    @contextmanager
    def _span(self, kind: str, *facts: Any) -> Generator[None, None, None]:
        self.told.append((kind, *facts))
        try:
            yield
        except BaseException as error:
            self.told.append((f"{kind} ends", type(error).__name__))
            raise
        self.told.append((f"{kind} ends", None))

    def operation(self, operation: str, repository: Repository) -> Any:
        """Note it."""
        return self._span("operation", operation, repository.name)

    def attempt(self, operation: str, repository: Repository, number: int, digests: int) -> Any:
        """Note it."""
        return self._span("attempt", operation, repository.name, number, digests)

    def retry(
        self, operation: str, repository: Repository, error: CallError, delay: float, /
    ) -> None:
        """Note it."""
        self.told.append(("retry", operation, repository.name, type(error).__name__, delay >= 0))

    def throttle(self, operation: str, rate: float, share: float, /) -> None:
        """Note it."""
        self.told.append(("throttle", operation, rate, share))


class Raiser(Recorder):
    """An observer that raises at one place."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self._place = place

    @contextmanager
    def _span(self, kind: str, *_: Any) -> Generator[None, None, None]:
        if self._place == f"{kind} enter":
            raise LookupError(kind)
        try:
            yield
        finally:
            if self._place == f"{kind} exit":
                raise LookupError(kind)

    def retry(self, *_: Any) -> None:
        """Raise."""
        if self._place == "retry":
            raise LookupError

    def throttle(self, *_: Any) -> None:
        """Raise."""
        if self._place == "throttle":
            raise LookupError


@pytest.fixture
def observer() -> Recorder:
    """Give an observer that notes what it is told."""
    return Recorder()


async def test_a_check(ecr: LocalECR, observer: Recorder) -> None:
    """A check is one operation around its attempts."""
    ecr.seed("app", [])
    async with ecr.client(observer=observer) as client:
        await client.check_layers("app", ["sha256:aa"])
    assert observer.told == [("operation", CHECK, "app"), ATTEMPT, PASSED, ("operation ends", None)]


async def test_each_batch_is_an_attempt(
    ecr: LocalECR, observer: Recorder, digests: list[str]
) -> None:
    """Each batch is told with the number of its digests."""
    ecr.seed("app", [])
    async with ecr.client(observer=observer) as client:
        await client.check_layers("app", digests)
    assert [facts[4] for facts in observer.told if facts[0] == "attempt"] == [100, 100, 50]


async def test_a_retry(ecr: LocalECR, observer: Recorder) -> None:
    """A retry is told between the attempt that failed and the next, with the error."""
    ecr.seed("app", [])
    ecr.faults.add(status=503, times=1)
    async with ecr.client(observer=observer) as client:
        await client.check_layers("app", ["sha256:aa"])
    assert observer.told[1:-1] == [
        ATTEMPT,
        ("attempt ends", "ServerError"),
        ("retry", CHECK, "app", "ServerError", True),
        ("attempt", CHECK, "app", 2, 1),
        PASSED,
    ]


async def test_a_throttled_answer(ecr: LocalECR, observer: Recorder) -> None:
    """A throttled answer is told with the rate from now on and the share of throttled answers.

    It is no retry.
    """
    ecr.seed("app", [])
    ecr.faults.add(error="ThrottlingException", times=1)
    async with ecr.client(observer=observer) as client:
        await client.check_layers("app", ["sha256:aa"])
    assert observer.told[1:-1] == [
        ATTEMPT,
        ("attempt ends", "ThrottledError"),
        ("throttle", CHECK, 10.0, 0.04),
        ("attempt", CHECK, "app", 2, 1),
        PASSED,
    ]


async def test_the_pacer_is_readable(ecr: LocalECR, observer: Recorder, digests: list[str]) -> None:
    """The rates and shares told are the pacer's own."""
    ecr.seed("app", [])
    ecr.faults.add(error="ThrottlingException", times=5)
    async with ecr.client(observer=observer, batch_size=10) as client:
        await client.check_layers("app", digests)
    told = [facts[2:] for facts in observer.told if facts[0] == "throttle"]
    assert (len(told), all(0.05 <= rate <= 800 and 0 < share <= 1 for rate, share in told)) == (
        5,
        True,
    )


async def test_spans_see_the_error(ecr: LocalECR, observer: Recorder) -> None:
    """An error for good ends the attempt and the operation."""
    ecr.seed("app", [])
    ecr.faults.add(error="AccessDeniedException")
    async with ecr.client(observer=observer) as client:
        with pytest.raises(AccessDeniedError):
            await client.check_layers("app", ["sha256:aa"])
    assert observer.told[1:] == [
        ATTEMPT,
        ("attempt ends", "AccessDeniedError"),
        ("operation ends", "AccessDeniedError"),
    ]


async def test_a_timeout_of_an_attempt(ecr: LocalECR, observer: Recorder) -> None:
    """An attempt that ran out of time ends with TimeoutError, and its retry is told as the error it became."""
    ecr.seed("app", [])
    ecr.faults.add(latency=60.0, times=1)
    async with ecr.client(observer=observer, attempt_timeout=1.0) as client:
        await client.check_layers("app", ["sha256:aa"])
    assert observer.told[2:4] == [
        ("attempt ends", "TimeoutError"),
        ("retry", CHECK, "app", "TransportError", True),
    ]


async def test_a_stream(ecr: LocalECR, observer: Recorder) -> None:
    """A stream is an operation from entering its block to leaving it.

    Its reader's error ends it.
    """
    ecr.seed("app", [])
    async with ecr.client(observer=observer) as client:
        with pytest.raises(LookupError):
            async with client.stream_layers("app", ["sha256:aa"]):
                observer.told.append(("inside",))
                raise LookupError
    assert observer.told == [
        ("operation", CHECK, "app"),
        ("inside",),
        ("operation ends", "LookupError"),
    ]


async def test_a_view_tells_the_same_observer(ecr: LocalECR, observer: Recorder) -> None:
    """A view tells its client's observer."""
    ecr.seed("app", [])
    async with ecr.client(observer=observer) as client:
        await client.with_config(batch_size=5).check_layers("app", ["sha256:aa"])
    assert len(observer.told) == 4


PLACES = ["operation enter", "operation exit", "attempt enter", "attempt exit", "retry", "throttle"]


@pytest.mark.parametrize("place", PLACES)
async def test_what_it_raises_is_logged(
    ecr: LocalECR, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever the observer raises, it is logged with its error, and the check goes on."""
    ecr.seed("app", [])
    ecr.faults.add(status=503, times=1)
    ecr.faults.add(error="ThrottlingException", times=1)
    async with ecr.client(observer=Raiser(place)) as client:
        result = await client.check_layers("app", ["sha256:aa"])
    logged = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (len(result), {record.getMessage() for record in logged}) == (
        1,
        {"the observer raised an exception; the operation continues"},
    )
    assert {record.exc_info[0] for record in logged if record.exc_info} == {LookupError}


@pytest.mark.parametrize("place", PLACES)
async def test_what_it_raises_hides_no_error(ecr: LocalECR, place: str) -> None:
    """Wherever the observer raises, the call's own error passes."""
    ecr.seed("app", [])
    ecr.faults.add(status=503)
    async with ecr.client(observer=Raiser(place), retry=RetryPolicy(max_attempts=2)) as client:
        with pytest.raises(ServerError) as raised:
            await client.check_layers("app", ["sha256:aa"])
    assert raised.value.attempts == 2
