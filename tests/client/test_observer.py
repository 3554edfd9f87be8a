"""The observer: notified of each operation, attempt, retry and throttled response, in order."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import CallError, Repository

if TYPE_CHECKING:
    from collections.abc import Generator

    from ecr_layer_client.local import LocalECR

    Events = list[tuple[Any, ...]]

pytestmark = [pytest.mark.asyncio, pytest.mark.parametrize("transport", ["signed"])]

CHECK = "BatchCheckLayerAvailability"
BEGIN, END = ("operation", CHECK, "app"), ("operation ends", None)
ATTEMPT, SUCCESS = ("attempt", CHECK, "app", 1, 1), ("attempt ends", None)
SECOND_ATTEMPT = ("attempt", CHECK, "app", 2, 1)


class Recorder:
    """An observer that records its events."""

    def __init__(self) -> None:
        self.events: Events = []

    @contextmanager
    def _span(self, kind: str, *facts: Any) -> Generator[None, None, None]:
        self.events.append((kind, *facts))
        try:
            yield
        except BaseException as error:
            self.events.append((f"{kind} ends", type(error).__name__))
            raise
        self.events.append((f"{kind} ends", None))

    def operation(self, operation: str, repository: Repository) -> Any:
        """Record an operation."""
        return self._span("operation", operation, repository.name)

    def attempt(self, operation: str, repository: Repository, number: int, digests: int) -> Any:
        """Record an attempt."""
        return self._span("attempt", operation, repository.name, number, digests)

    def retry(
        self, operation: str, repository: Repository, error: CallError, delay: float, /
    ) -> None:
        """Record a retry."""
        self.events.append(("retry", operation, repository.name, type(error).__name__, delay >= 0))

    def throttle(self, operation: str, rate: float, share: float, /) -> None:
        """Record a throttled response."""
        self.events.append(("throttle", operation, rate, share))


class Raiser(Recorder):
    """An observer that raises at one place."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self._place = place

    def _raise_at(self, place: str) -> None:
        if self._place == place:
            raise LookupError(place)

    @contextmanager
    def _span(self, kind: str, *_: Any) -> Generator[None, None, None]:
        self._raise_at(f"{kind} enter")
        try:
            yield
        finally:
            self._raise_at(f"{kind} exit")

    def retry(self, *_: Any) -> None:
        """Raise if this is the place."""
        self._raise_at("retry")

    def throttle(self, *_: Any) -> None:
        """Raise if this is the place."""
        self._raise_at("throttle")


@pytest.mark.parametrize(
    ("fault", "events"),
    [
        pytest.param({"latency": 0.0}, [ATTEMPT, SUCCESS, END], id="success"),
        pytest.param(
            {"status": 503},
            [
                *(ATTEMPT, ("attempt ends", "ServerError")),
                *(("retry", CHECK, "app", "ServerError", True), SECOND_ATTEMPT, SUCCESS, END),
            ],
            id="retry",
        ),
        pytest.param(
            {"error": "ThrottlingException"},
            [
                *(ATTEMPT, ("attempt ends", "ThrottledError")),
                *(("throttle", CHECK, 800.0, 0.04), SECOND_ATTEMPT, SUCCESS, END),
            ],
            id="throttled",
        ),
        pytest.param(
            {"latency": 60.0},
            [
                *(ATTEMPT, ("attempt ends", "TimeoutError")),
                *(("retry", CHECK, "app", "TransportError", True), SECOND_ATTEMPT, SUCCESS, END),
            ],
            id="attempt-timeout",
        ),
        pytest.param(
            {"error": "AccessDeniedException"},
            [
                *(ATTEMPT, ("attempt ends", "AccessDeniedError")),
                ("operation ends", "AccessDeniedError"),
            ],
            id="final",
        ),
    ],
)
async def test_a_check(ecr: LocalECR, fault: dict[str, Any], events: Events) -> None:
    """A check is an operation around its attempts, retries and throttled responses, in order."""
    observer = Recorder()
    ecr.faults.add(times=1, **fault)
    async with ecr.client(observer=observer, attempt_timeout=1.0) as client:
        with suppress(CallError):
            await client.check_layers("app", ["sha256:aa"])
    assert observer.events == [BEGIN, *events]


async def test_each_batch_is_an_attempt(ecr: LocalECR, digests: list[str]) -> None:
    """An attempt has the number of digests of its batch; a view has its client's observer."""
    observer = Recorder()
    async with ecr.client(observer=observer) as client:
        await client.with_config(batch_size=75).check_layers("app", digests)
    counts = [facts[4] for facts in observer.events if facts[0] == "attempt"]
    assert counts == [75, 75, 75, 25]


async def test_a_stream(ecr: LocalECR) -> None:
    """A stream is an operation while its block runs, and ends with the error of its reader."""
    observer = Recorder()
    async with ecr.client(observer=observer) as client:
        with pytest.raises(LookupError):
            async with client.stream_layers("app", ["sha256:aa"]):
                observer.events.append(("inside",))
                raise LookupError
    assert observer.events == [BEGIN, ("inside",), ("operation ends", "LookupError")]


async def test_a_check_of_many(ecr: LocalECR) -> None:
    """A check of many repositories is an operation for each batch."""
    observer = Recorder()
    async with ecr.client(observer=observer) as client:
        await client.check_many({"app": ["sha256:aa"]})
    assert observer.events == [BEGIN, ATTEMPT, SUCCESS, END]


async def test_the_repository_of_an_attempt(ecr: LocalECR) -> None:
    """An attempt has the repository with the Region of the client."""
    seen: list[Repository] = []

    class Observer(Recorder):
        def attempt(self, operation: str, repository: Repository, number: int, digests: int) -> Any:
            seen.append(repository)
            return super().attempt(operation, repository, number, digests)

    async with ecr.client(observer=Observer()) as client:
        await client.check_layers("app", ["sha256:aa"])
    assert seen == [Repository(name="app", region=ecr.region)]


@pytest.mark.parametrize(
    "place",
    ["operation enter", "operation exit", "attempt enter", "attempt exit", "retry", "throttle"],
)
async def test_what_it_raises_is_logged(
    ecr: LocalECR, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that the observer raises anywhere is logged, and the check goes on."""
    ecr.faults.add(status=503, times=1)
    ecr.faults.add(error="ThrottlingException", times=1)
    async with ecr.client(observer=Raiser(place)) as client:
        assert len(await client.check_layers("app", ["sha256:aa"])) == 1

    logged = [record for record in caplog.records if record.levelname == "ERROR"]
    messages = {record.getMessage() for record in logged}
    assert messages == {"the observer raised an exception; the operation continues"}
    assert {record.exc_info[0] for record in logged if record.exc_info} == {LookupError}
