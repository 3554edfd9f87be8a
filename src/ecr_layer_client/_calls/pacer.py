"""The pacer: how fast requests of one operation and account may be sent.

It uses only the responses to find the rate. It is pure: the caller passes the time.

A response is throttled for one of two reasons:

- **A quota.** Many clients share ECR's token bucket and do not know of each other. Each client
  raises its rate with every success and lowers it with a throttled response. A faster client is
  throttled more often and loses more each time, so the rates converge. A rate that has grown by
  luck first returns to the usual rate before it is lowered. If other clients have ended, no
  response is throttled for a long time, and the remaining clients take over the free part.
- **Noise.** The server throttles a share of the requests at any rate. A lower rate does not help,
  so the pacer ignores noise.

If the bucket is empty, several responses in a row are throttled. If throttled responses are
scattered, the pacer sends at half of its rate for a while. If a much smaller share is throttled
then, the reason is a quota. Otherwise it is noise.

The comment of each constant gives its effect, as `benchmarks/pacer_constants.py` prints it.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# How the window of requests in flight opens, while no quota is known.

# Requests in flight before the first response. A check of ten batches takes one round trip.
OPENING_REQUESTS = 10
# Requests in flight after the opening, until as many more succeed. Of many clients that start at
# the same time, most find the bucket empty at that moment. With 10, 8 clients whose work ends waste
# 12.4 % of their requests instead of 10.9 %.
_CONFIRMING_REQUESTS = 5

# A quota or noise? "Noise of 5 %" is a server without a quota that throttles 5 % of the requests.

# By how many the throttled responses must exceed the others to show an empty bucket. With 1, a
# client uses 1 % of its ceiling at noise of 5 %. With 8, 8 clients waste 12.5 % instead of 10.9 %.
_EMPTY_BUCKET_EXCESS = 4
# Throttled responses in a sample. With 5, goodput at noise of 5 % is 32 % instead of 83 %. Without
# samples, it is 63 %.
_SAMPLE = 20
# Seconds that a sample may take. A client that is throttled less often harms nobody. Without this
# bound, goodput at noise of 5 % and 40 requests a second is 73 % instead of 92 %.
_SAMPLE_SECONDS = 4.0
# The pacer divides the rate by this to try whether a lower rate prevents throttling. Noise may rise
# by this factor before the next trial. With 8, goodput at noise of 5 % is 66 % instead of 83 %.
_TRIAL_FACTOR = 2.0
# Noise throttles at most this part of the requests, and a trial leaves at least this part of it.
# With 1, goodput at noise of 5 % is 75 % instead of 83 %.
_NOISE_PART = 1 / 3

# How a success raises the rate.

# Requests per second. The first rate is at least this, for clients that got nothing of the burst
# that the bucket had saved up. Without it, 8 clients whose work ends use 35 % of the quota instead
# of 94 %.
_MIN_FIRST_RATE = 5.0
# Requests per second that any rate gains in each second, so that slow clients catch up. Without it,
# 8 clients whose work ends use 92.9 % of the quota instead of 93.8 %.
_GAIN_PER_SECOND = 3.0
# Seconds since the last decrease, after which a success adds one more request per second. The added
# rate grows with the third power of the time. Without it, a client uses 14 % of a quota that has
# grown from 100 to 1,000 instead of 88 %, in 30 s.
_RECOVERY_SECONDS = 4.0

# How a throttled response lowers the rate.

# The part of the rate that is lost is this factor times the rate in requests per second. A faster
# client loses a larger part, so the shares of all clients converge. Without it, 8 clients whose
# work ends use 27 % of the quota instead of 94 %.
_LOSS_PER_RATE = 0.07
# The part that is lost is at most this factor divided by the square root of the rate. A very fast
# client is throttled often, so it loses little each time. Without it, one client uses 3 % of the
# quota instead of 100 %.
_MAX_LOSS_FACTOR = 2.4
# Requests per second. A quota that is exhausted for a long time is still tried now and then.
_MIN_RATE = 0.05
# The weight of one response in the averages: about the last 25 responses count. With 1, 100 clients
# waste 6.0 % of their requests instead of 5.1 %.
_RESPONSE_WEIGHT = 0.04

# How time is kept. These do not change the rates that a simulation finds.

# Seconds without a response, after which everything is forgotten. This is longer than the time
# between two requests at the lowest rate.
_FORGET_AFTER_SECONDS = 60.0
# Seconds that a timer may be late without lowering the rate.
_TIMER_TOLERANCE_SECONDS = 0.01
# Requests that the ceiling allows in this time may be sent at once, up to OPENING_REQUESTS. At
# ECR's default quota these are 10 requests.
_BURST_SECONDS = 1 / 80


@dataclass(slots=True)
class _Sample:
    """Responses since a time."""

    began: float
    responses: int = 0
    throttled: int = 0

    @property
    def share(self) -> float:
        """The share of throttled responses."""
        return self.throttled / self.responses


@dataclass(frozen=True, slots=True)
class _Trial:
    """A test at a lower rate.

    Attributes:
        rate: The rate before it, in requests per second.
        share: The share of throttled responses before it.
    """

    rate: float
    share: float


class Pacer:
    """Decides when the next request may be sent.

    Until a quota is detected, only the ceiling and the opening window limit the requests: 10
    requests in flight, then 5 until 15 have succeeded, then any number. When a quota is detected,
    the rate becomes the number of requests that succeeded in the last second.

    Args:
        draw: Returns numbers from 0 to 1. Clients that are throttled at the same time must not
            return at the same time.

    Attributes:
        ceiling: Requests per second that are never exceeded. Default: none.
        rate: The learned rate, in requests per second. None while no quota is known.
        throttle_share: The share of recent responses that were throttled, 0 to 1. Throttled
            responses to requests that were sent before the last decrease do not count.
        noise: The share of requests that the server throttles at any rate, 0 to 1.
    """

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self.ceiling: float = inf
        self._draw = draw
        self._in_flight = 0
        self._last_response = inf
        self._last_sent = -inf
        self._next = -inf
        self._forget()

    def _forget(self) -> None:
        """Start again, because the state before a long pause is out of date.

        The ceiling stays.
        """
        self.rate: float | None = None
        self.throttle_share: float = 0.0
        self.noise: float = 0.0
        # The rate, averaged over recent responses. A decrease starts from this rate.
        self._usual = 0.0
        self._window: float = OPENING_REQUESTS
        self._accepted = 0
        self._successes: deque[float] = deque()
        # By how many the throttled responses exceed the others, counted from 0.
        self._excess = 0
        # Whether the responses in flight are to come before the next request is sent.
        self._draining = False
        self._last_decrease = -inf
        self._starving_since: float | None = None
        self._sample = _Sample(-inf)
        self._trial: _Trial | None = None
        # Throttled responses that noise explains and that may still come.
        self._allowance = 0.0

    @property
    def current_rate(self) -> float:
        """Requests per second that may be sent now; inf while nothing limits them."""
        return min(self.ceiling, inf if self.rate is None else self.rate)

    def wait(self, now: float) -> float | None:
        """Return the seconds until a request may be sent.

        0 means at once, and None means not before a response comes.
        """
        if self._in_flight == 0 and now - self._last_response > _FORGET_AFTER_SECONDS:
            self._forget()

        slack = self._slack()
        if self.rate is None:
            self._draining = self._draining and self._in_flight > 0
            if self._in_flight >= self._window or (self._draining and not self.noise):
                return None
            # A ceiling that was raised takes effect at once.
            self._next = min(self._next, self._last_sent + slack + 1 / self.ceiling)
        return max(0.0, self._next - slack - now)

    def sent(self, now: float) -> None:
        """Record that a request was sent."""
        self._in_flight += 1
        self._last_sent = now
        self._next = max(self._next, now) + 1 / self.current_rate

    def abandoned(self) -> None:
        """Record that a request ended without a response."""
        self._in_flight -= 1

    def succeeded(self, now: float) -> None:
        """Record a response that is not throttled, even if it is another error."""
        self._responded(now)
        self._starving_since = None
        self._excess = max(0, self._excess - 1)
        self._accepted += 1
        self._successes.append(now)
        self._drop_old_successes(now)
        self._count(now, throttled=False)

        if self.rate is None:
            self._narrow_window()
        elif self._trial is None:
            highest = max(self.ceiling, _MIN_RATE)
            self._change_rate(min(self.rate + self._gain(now, self.rate), highest))

    def throttled(self, now: float, round_trip: float) -> None:
        """Record a throttled response, and the seconds from its request to the response."""
        self._responded(now)
        if self._starving_since is None:
            self._starving_since = now
        if now - round_trip <= self._last_decrease:
            # The request was sent before the last decrease, which took it into account.
            self._sample.responses += 1
            return

        self._excess += 1
        self._draining = True
        self._count(now, throttled=True)
        if self.rate is None:
            if self._shows_quota():
                self._start_at(self._first_rate(now))
                self._delay_next(now)
        elif self._trial is None and not self._is_allowed():
            # A bucket that has never accepted anything says nothing about the rate.
            if self._accepted:
                self._decrease(self.rate)
            self._delay_next(now)

    def starving(self, now: float) -> float:
        """Return the seconds for which responses have been throttled without one success."""
        return 0.0 if self._starving_since is None else now - self._starving_since

    def _responded(self, now: float) -> None:
        self._in_flight -= 1
        self._last_response = now

    def _drop_old_successes(self, now: float) -> None:
        while self._successes and self._successes[0] < now - 1.0:
            self._successes.popleft()

    # A quota or noise?

    def _shows_quota(self) -> bool:
        """Return whether so many responses were throttled that the bucket must be empty."""
        return not self.noise and self._excess >= _EMPTY_BUCKET_EXCESS

    def _count(self, now: float, *, throttled: bool) -> None:
        """Count a response, and begin or end a trial."""
        self.throttle_share += _RESPONSE_WEIGHT * (throttled - self.throttle_share)
        self._allowance = min(_EMPTY_BUCKET_EXCESS, self._allowance + _TRIAL_FACTOR * self.noise)

        if self._trial is None and now - self._sample.began > _SAMPLE_SECONDS:
            self._sample = _Sample(now)
        self._sample.responses += 1
        self._sample.throttled += throttled

        if self._trial is not None:
            self._end_trial(now, self._trial)
        elif self._sample.throttled >= _SAMPLE and (self.rate is None or self.noise):
            self._begin_trial(now)

    def _begin_trial(self, now: float) -> None:
        """Try a lower rate, unless known noise explains the sample."""
        share = self._sample.share
        self._sample = _Sample(now)
        if share > _TRIAL_FACTOR * self.noise:
            self._trial = _Trial(max(_MIN_FIRST_RATE, len(self._successes)), share)
            self._start_at(self._trial.rate / _TRIAL_FACTOR)
            self._last_decrease = now
            # Responses to requests that were sent before the trial are no part of it.
            self._sample.responses = -self._in_flight

    def _end_trial(self, now: float, trial: _Trial) -> None:
        """Judge by the trial, once it has as many responses as the sample before had."""
        if self._sample.responses * trial.share < _SAMPLE:
            return

        share = self._sample.share
        self._start_at(trial.rate)
        if share <= _NOISE_PART:
            self.noise = share
            if share > _NOISE_PART * trial.share:
                self.rate = None
        self._trial = None
        self._sample = _Sample(now)

    def _is_allowed(self) -> bool:
        """Return whether noise explains a throttled response."""
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    # The rate.

    def _narrow_window(self) -> None:
        if self._accepted <= OPENING_REQUESTS:
            # From the opening to the confirming window in equal steps.
            self._window += (_CONFIRMING_REQUESTS - OPENING_REQUESTS) / OPENING_REQUESTS
        elif self._accepted > OPENING_REQUESTS + _CONFIRMING_REQUESTS:
            self._window = inf

    def _first_rate(self, now: float) -> float:
        self._drop_old_successes(now)
        return max(_MIN_FIRST_RATE, len(self._successes))

    def _start_at(self, rate: float) -> None:
        self.rate = self._usual = min(self.ceiling, rate)

    def _gain(self, now: float, rate: float) -> float:
        """Return the requests per second that a success adds to the rate."""
        calm = (now - self._last_decrease) / _RECOVERY_SECONDS
        gain: float = _GAIN_PER_SECOND / rate + calm**3
        return gain

    def _decrease(self, rate: float) -> None:
        kept = min(rate, self._usual)
        lost = min(_LOSS_PER_RATE * kept**2, _MAX_LOSS_FACTOR * kept**0.5)
        self._change_rate(max(_MIN_RATE, kept - lost))

    def _change_rate(self, rate: float) -> None:
        self.rate = rate
        self._usual += _RESPONSE_WEIGHT * (rate - self._usual)

    def _delay_next(self, now: float) -> None:
        """Let the next request wait for a random time after a decrease."""
        self._last_decrease = now
        self._next = max(self._next, now + 2 * self._draw() / self.current_rate)

    def _slack(self) -> float:
        """Return how many seconds before its turn a request may be sent.

        It lets a burst pass, and makes up for late timers.
        """
        rate = self.current_rate
        burst = 1.0
        if self.rate is None:
            burst = min(OPENING_REQUESTS, max(1.0, rate * _BURST_SECONDS))
        return max((burst - 1) / rate, _TIMER_TOLERANCE_SECONDS)
