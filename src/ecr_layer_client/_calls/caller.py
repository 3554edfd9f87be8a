"""One API call: a turn from the pacer, a slot, the transport.

Backs off and tries again. The sole user of tenacity.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from ecr_layer_client._models.call_errors import CallError, TransportError
from ecr_layer_client._transport.error_responses import attempted, located

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client._transport.opening import Transport
    from ecr_layer_client._transport.operation import Operation

    from .observer import SafeObserver
    from .rate_limiter import RateLimiter

_log = logging.getLogger("ecr_layer_client")
_RETRY_OFF = 1

T = TypeVar("T")


@dataclass(slots=True)
class OperationState:
    """What the calls of one operation share.

    Attributes:
        over: Whether it has failed: attempts under way finish, nothing is retried.
        begun: Whether a request has left.
        attempting: The tasks that are in the middle of an attempt.
        last_failure: What the last attempt ended with, if it failed.
    """

    over: bool = False
    begun: bool = False
    last_failure: BaseException | None = None
    attempting: set[asyncio.Task[Any] | None] = field(default_factory=set[asyncio.Task[Any] | None])


@dataclass(slots=True)
class _Call(Generic[T]):
    question: Operation[T]
    operation: OperationState
    renewed: bool = False
    requests: int = 0
    held_back: float = 0.0  # seconds that the retry budget added to its waits
    started: float | None = None


class Caller:
    """Makes calls under one retry policy.

    Args:
        transport: The way to ECR.
        rate_limiter: The line in front of the account's pacer.
        slots: Each is acquired for an attempt; a sleeping retry holds none.
        config: Timeouts and retry policy.
        observed: Told of attempts, retries and throttling.
        owner: Whose ceiling holds while these calls are made: the client or the view.
        jitter: Draws a number between two others; `random.uniform` but in tests.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (what a call is made of)
        self,
        transport: Transport,
        rate_limiter: RateLimiter,
        slots: Sequence[asyncio.Semaphore],
        config: ClientConfig,
        observed: SafeObserver,
        owner: object = None,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._transport = transport
        self._rate_limiter = rate_limiter
        self._slots = slots
        self._attempt_timeout = config.attempt_timeout
        self._policy = config.retry
        self._observed = observed
        self._owner = owner
        self._jitter = jitter

    async def call(self, question: Operation[T], operation: OperationState) -> T:
        """Ask until there is an answer, within the retry policy.

        Raises:
            CallError: There is none; with the attempts made and the seconds since the first of
                them.
        """
        call = _Call(question, operation)
        try:
            return await self._paced(call)
        except CallError as error:
            return await self._retried(call, error)

    def attempted(self, operation: str, repository: Repository) -> str:
        """Say what is asked of which repository, to begin a message with."""
        return attempted(operation, located(repository, self._transport.region_name))

    def repository_for_observer(self, repository: Repository) -> Repository:
        """Return the repository as the observer is told of it: with the Region it is asked in."""
        return (
            located(repository, self._transport.region_name) if self._observed.is_on else repository
        )

    async def _retried(self, call: _Call[T], failed: CallError) -> T:
        """Go on after a failed first attempt, which tenacity takes for its own.

        A call that needs no retry does not pay for it.
        """
        failures = iter((failed,))

        async def attempt() -> T:
            for failure in failures:
                raise failure
            return await self._paced(call)

        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: self._may_cure(error, call.operation)),
            wait=self._backoff,
            stop=lambda state: self._spent(state, call),
            before_sleep=lambda state: self._before_sleep(state, call),
            sleep=asyncio.sleep,
            reraise=True,
        )
        try:
            answer: T = await retrying(attempt)
        except CallError as error:
            error.operation = call.question.operation
            error.repository = call.question.repository
            error.attempts = call.requests
            error.elapsed = self._elapsed(call)
            raise
        return answer

    async def _paced(self, call: _Call[T]) -> T:
        """Attempt once.

        What is throttled, or to be signed anew, costs no attempt and goes back to the front of the
        line.
        """
        at_front = False
        while True:
            await self._transport.ready()
            await self._rate_limiter.acquire(at_front=at_front)
            generation = self._transport.generation
            try:
                return await self._in_slot(call)
            except CallError as error:
                if not (
                    self._slows_down(error, call) or await self._renews(error, call, generation)
                ):
                    raise
            at_front = True

    async def _in_slot(self, call: _Call[T]) -> T:
        loop = asyncio.get_running_loop()
        sent = 0.0
        held: list[asyncio.Semaphore] = []
        try:
            try:
                for slot in self._slots:
                    await slot.acquire()
                    held.append(slot)
                sent = loop.time()
                answer = await self._attempt(call, sent)
            finally:
                for slot in held:
                    slot.release()
        except CallError as error:
            self._report(error, loop.time() - sent, call)
            raise
        except BaseException:
            self._rate_limiter.abandoned()
            raise
        self._rate_limiter.succeeded()
        call.operation.last_failure = None
        return answer

    async def _attempt(self, call: _Call[T], now: float) -> T:
        call.started = now if call.started is None else call.started
        call.requests += 1
        call.operation.begun = True
        self._rate_limiter.budget.earn()
        question = call.question
        task = asyncio.current_task()
        call.operation.attempting.add(task)
        try:
            with self._observed.span(
                "attempt",
                question.operation,
                self.repository_for_observer(question.repository),
                call.requests,
                len(question.digests),
            ):
                async with asyncio.timeout(self._attempt_timeout):
                    return await self._transport.ask(question)
        except TimeoutError as error:
            bound = f"no answer within attempt_timeout={self._attempt_timeout} s"
            msg = f"{self.attempted(question.operation, question.repository)}: {bound}: check the network, or allow more"
            raise TransportError(msg, repository=question.repository) from error
        finally:
            call.operation.attempting.discard(task)

    def _report(self, error: CallError, round_trip: float, call: _Call[Any]) -> None:
        call.operation.last_failure = error
        if error.throttled:
            self._rate_limiter.throttled(round_trip)
            pacer = self._rate_limiter.pacer
            _log.info("throttled: %.3g requests a second from now on", pacer.current_rate)
            self._observed.notify(
                "throttle", call.question.operation, pacer.current_rate, pacer.throttle_share
            )
        elif error.request_id is None:
            self._rate_limiter.abandoned()
        else:
            self._rate_limiter.succeeded()

    def _slows_down(self, error: CallError, call: _Call[Any]) -> bool:
        if not error.throttled or call.operation.over or self._policy.max_attempts == _RETRY_OFF:
            return False
        starving = self._rate_limiter.pacer.starving(asyncio.get_running_loop().time())
        return min(starving, self._elapsed(call)) < self._policy.max_elapsed

    async def _renews(self, error: CallError, call: _Call[Any], generation: int) -> bool:
        if not error.refreshable or call.renewed or call.operation.over:
            return False
        call.renewed = True
        return await self._transport.renew(generation)

    def _may_cure(self, error: BaseException, operation: OperationState) -> bool:
        return (
            isinstance(error, CallError)
            and error.retryable
            and not error.throttled
            and not operation.over
        )

    def _backoff(self, state: RetryCallState) -> float:
        policy = self._policy
        bound = min(
            policy.max_backoff, policy.initial_backoff * 2.0 ** min(state.attempt_number - 1, 64)
        )
        return self._jitter(0.0, bound)

    def _spent(self, state: RetryCallState, call: _Call[Any]) -> bool:
        if state.attempt_number >= self._policy.max_attempts:
            return True
        return (
            self._elapsed(call) - call.held_back + state.upcoming_sleep >= self._policy.max_elapsed
        )

    def _before_sleep(self, state: RetryCallState, call: _Call[Any]) -> None:
        """Let the retry budget lengthen the wait, which counts against nothing, and tell of the retry."""
        lengthened = max(
            state.upcoming_sleep, self._rate_limiter.budget.spend(asyncio.get_running_loop().time())
        )
        call.held_back += lengthened - state.upcoming_sleep
        state.upcoming_sleep = lengthened
        error = state.outcome.exception() if state.outcome is not None else None
        _log.info(
            "retry in %.3f s, after attempt %d: %s",
            state.upcoming_sleep,
            state.attempt_number,
            error,
        )
        self._observed.notify(
            "retry",
            call.question.operation,
            self.repository_for_observer(call.question.repository),
            error,
            state.upcoming_sleep,
        )

    def _elapsed(self, call: _Call[Any]) -> float:
        return 0.0 if call.started is None else asyncio.get_running_loop().time() - call.started
