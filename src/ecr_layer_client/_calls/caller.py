"""`Caller`: one API call with its retries. The only module that imports tenacity."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ecr_layer_client._models.call_errors import CallError, TransportError
from ecr_layer_client._transport.client_errors import drop_frames
from ecr_layer_client._transport.error_responses import attempted, located, was_late

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tenacity import RetryCallState

    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client._transport.operation import Operation

    from .connection import Resources
    from .observer import SafeObserver

_log = logging.getLogger("ecr_layer_client")
_NO_RETRIES = 1  # as max_attempts
_NO_SPAN = nullcontext()
_MAX_DOUBLINGS = 64  # of a backoff, so that the power stays a finite float

T = TypeVar("T")


@dataclass(slots=True)
class OperationState:
    """The state that all calls of one operation share.

    Attributes:
        is_over: Whether the operation has failed. Running attempts finish, nothing is retried.
        has_begun: Whether a request was sent.
        last_failure: The error of the last attempt, if it failed.
        attempting: The tasks that are in the middle of an attempt.
    """

    is_over: bool = False
    has_begun: bool = False
    last_failure: BaseException | None = None
    attempting: set[asyncio.Task[Any] | None] = field(default_factory=set[asyncio.Task[Any] | None])


@dataclass(slots=True)
class _Call(Generic[T]):
    operation: Operation[T]
    state: OperationState
    on_attempt: Callable[[asyncio.Timeout], None] | None = None
    has_renewed: bool = False
    requests: int = 0
    uncounted_seconds: float = 0.0  # of its time, which `max_elapsed` does not bound
    started: float | None = None

    @property
    def elapsed(self) -> float:
        """The seconds since the first attempt."""
        return 0.0 if self.started is None else asyncio.get_running_loop().time() - self.started


class Caller:
    """Makes calls under one retry policy.

    Args:
        resources: What the calls need of the connection.
        config: The timeout of an attempt, and the retry policy.
        observer: Notified of operations, attempts, retries and throttling.
        jitter: Draws a number between two others. Default `random.uniform`.
    """

    def __init__(
        self,
        resources: Resources,
        config: ClientConfig,
        observer: SafeObserver,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.region_name: str = resources.region_name
        self.config: ClientConfig = config
        self._transport = resources.transport
        self._credentials = resources.credentials
        self._rate_limiter = resources.rate_limiter
        self._slots = resources.slots
        self._limit = resources.limit
        self.observer: SafeObserver = observer
        self._jitter = jitter

    async def call(
        self,
        operation: Operation[T],
        state: OperationState,
        on_attempt: Callable[[asyncio.Timeout], None] | None = None,
    ) -> T:
        """Send requests until one succeeds, within the retry policy.

        Args:
            operation: The request.
            state: Shared by the calls of one operation.
            on_attempt: Given the deadline of each attempt, which it may move. Default None.

        Raises:
            CallError: None did. The error has the number of attempts, and the seconds since the
                first of them.
        """
        call = _Call(operation, state, on_attempt)
        try:
            return await self._attempt_in_turn(call)
        except CallError as error:
            return await self._retry(call, error)

    def attempted(self, operation: str, repository: Repository) -> str:
        """Return how a message names an operation on a repository."""
        return attempted(operation, located(repository, self.region_name))

    def span(self, operation: str, repository: Repository) -> AbstractContextManager[object]:
        """Return the observer's context for an operation."""
        if not self.observer.is_on:
            return _NO_SPAN
        repository = self.repository_for_observer(repository)
        return self.observer.span("operation", operation, repository)

    def repository_for_observer(self, repository: Repository) -> Repository:
        """Return the repository with the Region that is asked, if somebody observes."""
        return located(repository, self.region_name) if self.observer.is_on else repository

    async def _retry(self, call: _Call[T], failed: CallError) -> T:
        """Continue after a failed first attempt.

        tenacity takes that attempt for its own first one, so a call that needs no retry does not
        pay for tenacity.
        """
        # Few clients retry, and the import takes longer than an event loop may stand still.
        if not hasattr(sys.modules.get("tenacity"), "AsyncRetrying"):
            await asyncio.to_thread(import_module, "tenacity")
        from tenacity import AsyncRetrying, retry_if_exception  # noqa: PLC0415 (as above)

        failures = iter((failed,))
        if call.on_attempt is not None:
            # It moved its deadline, so the attempt took as long as it made progress.
            call.uncounted_seconds = call.elapsed

        async def attempt() -> T:
            for failure in failures:
                raise failure
            return await self._attempt_in_turn(call)

        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: self._is_retried(error, call.state)),
            wait=self._backoff,
            stop=lambda state: self._is_exhausted(state, call),
            before_sleep=lambda state: self._before_sleep(state, call),
            sleep=asyncio.sleep,
            reraise=True,
        )
        try:
            result: T = await retrying(attempt)
        except CallError as error:
            error.operation = call.operation.name
            error.repository = call.operation.repository
            error.attempts = call.requests
            error.elapsed = call.elapsed
            raise
        return result

    async def _attempt_in_turn(self, call: _Call[T]) -> T:
        """Make one attempt.

        A throttled request, and one that must be signed again, does not count as an attempt and
        goes back to the front of the line.
        """
        at_front = False
        operation = call.operation
        while True:
            # Not after the pacer, which would mistake this wait for that for a response.
            if self._limit.is_on:
                await self._limit.acquire(operation.name, operation.repository, self.region_name)
            await self._credentials.ready()
            await self._rate_limiter.acquire(at_front=at_front)
            generation = self._credentials.generation
            try:
                return await self._attempt_in_slot(call)
            except CallError as error:
                is_renewed = await self._renew(error, call, generation)
                if not (is_renewed or self._slows_down(error, call)):
                    raise
            at_front = True

    async def _attempt_in_slot(self, call: _Call[T]) -> T:
        loop = asyncio.get_running_loop()
        sent_at = 0.0
        try:
            async with self._slots:
                sent_at = loop.time()
                result = await self._attempt(call, sent_at)
        except CallError as error:
            self._report(error, loop.time() - sent_at, call)
            raise
        except BaseException:
            self._rate_limiter.abandoned()
            raise

        self._rate_limiter.succeeded()
        call.state.last_failure = None
        return result

    async def _attempt(self, call: _Call[T], now: float) -> T:
        call.started = now if call.started is None else call.started
        call.requests += 1
        call.state.has_begun = True

        task = asyncio.current_task()
        call.state.attempting.add(task)
        try:
            with self._attempt_span(call) if self.observer.is_on else _NO_SPAN:
                return await self._send(call)
        except TimeoutError as error:
            repository = call.operation.repository
            bound = f"no response within attempt_timeout={self.config.attempt_timeout} s"
            what = self.attempted(call.operation.name, repository)
            msg = f"{what}: {bound}: check the network, or allow more time"
            raise TransportError(msg, repository=repository) from error
        finally:
            call.state.attempting.discard(task)

    async def _send(self, call: _Call[T]) -> T:
        """Send a request once. The frames of its error, which hold signed headers, are dropped."""
        try:
            async with asyncio.timeout(self.config.attempt_timeout) as deadline:
                if call.on_attempt is not None:
                    call.on_attempt(deadline)
                return await self._transport.send(call.operation)
        except (CallError, TimeoutError) as error:
            drop_frames(error)
            raise

    def _attempt_span(self, call: _Call[Any]) -> AbstractContextManager[object]:
        operation = call.operation
        repository = located(operation.repository, self.region_name)
        facts = operation.name, repository, call.requests, operation.count
        return self.observer.span("attempt", *facts)

    def _report(self, error: CallError, round_trip: float, call: _Call[Any]) -> None:
        """Report a failed attempt to the rate limiter and the observer."""
        call.state.last_failure = error
        if error.throttled:
            self._rate_limiter.throttled(round_trip)
            pacer = self._rate_limiter.pacer
            _log.info("throttled: %.3g requests a second from now on", pacer.current_rate)
            facts = call.operation.name, pacer.current_rate, pacer.throttle_share
            self.observer.notify("throttle", *facts)
        elif error.request_id is None:
            self._rate_limiter.abandoned()
        else:
            self._rate_limiter.succeeded()

    def _slows_down(self, error: CallError, call: _Call[Any]) -> bool:
        """Return whether a throttled call waits for another turn."""
        is_final = call.state.is_over or self.config.retry.max_attempts == _NO_RETRIES
        if not error.throttled or is_final:
            return False
        starving = self._rate_limiter.pacer.starving(asyncio.get_running_loop().time())
        return min(starving, call.elapsed) < self.config.retry.max_elapsed

    async def _renew(self, error: CallError, call: _Call[Any], generation: int) -> bool:
        """Return whether the request can be signed again, with new keys if AWS refused these."""
        is_late = was_late(error)
        if not (is_late or error.refreshable) or call.has_renewed or call.state.is_over:
            return False
        call.has_renewed = True
        return is_late or await self._credentials.renew(generation)

    def _is_retried(self, error: BaseException, state: OperationState) -> bool:
        is_transient = isinstance(error, CallError) and error.retryable and not error.throttled
        return is_transient and not state.is_over

    def _backoff(self, state: RetryCallState) -> float:
        policy = self.config.retry
        doublings = min(state.attempt_number - 1, _MAX_DOUBLINGS)
        bound = min(policy.max_backoff, policy.initial_backoff * 2.0**doublings)
        return self._jitter(0.0, bound)

    def _is_exhausted(self, state: RetryCallState, call: _Call[Any]) -> bool:
        spent = call.elapsed - call.uncounted_seconds + state.upcoming_sleep
        policy = self.config.retry
        return state.attempt_number >= policy.max_attempts or spent >= policy.max_elapsed

    def _before_sleep(self, state: RetryCallState, call: _Call[Any]) -> None:
        """Let the retry budget lengthen the wait, and notify the observer.

        The added seconds count against no bound of the retry policy.
        """
        now = asyncio.get_running_loop().time()
        seconds = max(state.upcoming_sleep, self._rate_limiter.budget.spend(now))
        call.uncounted_seconds += seconds - state.upcoming_sleep
        state.upcoming_sleep = seconds

        error = state.outcome.exception() if state.outcome is not None else None
        _log.info("retry in %.3f s, after attempt %d: %s", seconds, state.attempt_number, error)
        repository = self.repository_for_observer(call.operation.repository)
        self.observer.notify("retry", call.operation.name, repository, error, seconds)
