"""The pacer: how fast requests of one operation and account may be sent.

It learns the rate from the responses alone. Pure: the caller passes the time.

Many clients share ECR's token bucket and do not know of each other. Each client raises its rate
with every success and lowers it with a throttled response. A faster client is throttled more often
and loses more each time, so the rates converge. A rate that has grown by luck first returns to the
usual rate before it is lowered. If other clients have ended, no response is throttled for a long
time, and the remaining clients take over the free part of the quota.
`benchmarks/pacing.py` simulates this.
"""

from __future__ import annotations

import random
from collections import deque
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# How the window of requests in flight opens, while no response was throttled.

# Requests in flight before the first response.
OPENING_REQUESTS = 10
# Requests in flight after the opening, until as many more succeed. Of many clients that start at
# the same time, most find the bucket empty at that moment.
_CONFIRMING_REQUESTS = 5
# Requests in flight that each further success adds.
_ADDED_REQUESTS_PER_SUCCESS = 9

# The first rate, which the first throttled response sets.

# The share of the requests that succeeded in the last second. They include a burst that the bucket
# had saved up, so the rate is lower than their number.
_FIRST_RATE_SHARE = 0.7
# Requests per second. The first rate is at least this, for clients that got nothing of the burst.
_MIN_FIRST_RATE = 6.0
# Requests per second, if no request has ever succeeded, because then nothing is known of the quota.
_UNTRIED_RATE = 10.0
# Seconds of throttled responses only, in which that rate halves.
_UNTRIED_HALF_LIFE_SECONDS = 120.0

# How a success raises the rate.

# Requests per second that any rate gains in each second, so that slow clients catch up.
_GAIN_PER_SECOND = 3.0
# The share of throttled responses at which a rate no longer gains anything in this way. Then too
# many clients send requests, and no client's share can grow.
_MAX_THROTTLE_SHARE = 0.25
# Seconds since the last decrease, after which a success adds one more request per second. The added
# rate grows with the third power of the time.
_RECOVERY_SECONDS = 3.0
# Requests per second that one success adds at most.
_MAX_GAIN_PER_SUCCESS = 0.65

# How a throttled response lowers the rate.

# The part of the rate that is lost is this factor times the rate in requests per second. A faster
# client loses a larger part, so the shares of all clients converge.
_LOSS_PER_RATE = 0.06
# The part that is lost is at most this factor divided by the square root of the rate. A very fast
# client is throttled often, so it loses little each time.
_MAX_LOSS_FACTOR = 2.4
# Requests per second. A quota that is exhausted for a long time is still tried now and then.
_MIN_RATE = 0.05

# The weight of one response in the averages: about the last 25 responses count.
_RESPONSE_WEIGHT = 0.04
# Seconds without a response, after which everything is forgotten. This is longer than the time
# between two requests at the lowest rate.
_FORGET_AFTER_SECONDS = 60.0
# Seconds that a timer may be late without lowering the rate.
_TIMER_TOLERANCE_SECONDS = 0.01
# Requests that the ceiling allows in this time may be sent at once, up to OPENING_REQUESTS. At
# ECR's default quota these are 10 requests.
_BURST_SECONDS = 1 / 80


class Pacer:
    """Decides when the next request may be sent.

    Until a response is throttled, only the ceiling and the opening window hold requests back: 10
    requests in flight, then 5 until 15 have succeeded, then nine more for each success. The first
    throttled response sets a rate, from the number of requests that succeeded just before.

    Args:
        draw: Returns numbers from 0 to 1. Clients that are throttled at the same time must not
            return at the same time.

    Attributes:
        ceiling: Requests per second that are never exceeded. Default: none.
        rate: The learned rate, in requests per second. None until a response is throttled.
        throttle_share: The share of recent responses that were throttled, 0 to 1. Throttled
            responses to requests that were sent before the last decrease do not count.
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
        # The rate, averaged over recent responses. A decrease starts from this rate.
        self._usual = 0.0
        self._window: float = OPENING_REQUESTS
        self._accepted = 0
        self._successes: deque[float] = deque()
        self._last_decrease = -inf
        self._starving_since: float | None = None

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
            if self._in_flight >= self._window:
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
        self._count(throttled=False)
        self._starving_since = None
        self._accepted += 1
        if self.rate is None:
            self._widen_window()
            self._successes.append(now)
            self._drop_old_successes(now)
        else:
            highest = max(self.ceiling, _MIN_RATE)
            self._change_rate(min(self.rate + self._gain(now, self.rate), highest))

    def throttled(self, now: float, round_trip: float) -> None:
        """Record a throttled response, and the seconds from its request to the response."""
        self._responded(now)
        if self._starving_since is None:
            self._starving_since = now

        if self.rate is None or not self._accepted:
            self.rate = self._usual = min(self.ceiling, self._first_rate(now))
        elif now - round_trip > self._last_decrease:
            kept = min(self.rate, self._usual)
            lost = min(_LOSS_PER_RATE * kept**2, _MAX_LOSS_FACTOR * kept**0.5)
            self._change_rate(max(_MIN_RATE, kept - lost))
        else:
            # The request was sent before the last decrease, which took it into account.
            return

        self._count(throttled=True)
        self._last_decrease = now
        self._next = max(self._next, now + 2 * self._draw() / self.rate)

    def starving(self, now: float) -> float:
        """Return the seconds for which responses have been throttled without one success."""
        return 0.0 if self._starving_since is None else now - self._starving_since

    def _widen_window(self) -> None:
        if self._accepted <= OPENING_REQUESTS:
            # From the opening to the confirming window in equal steps.
            self._window += (_CONFIRMING_REQUESTS - OPENING_REQUESTS) / OPENING_REQUESTS
        elif self._accepted > OPENING_REQUESTS + _CONFIRMING_REQUESTS:
            self._window += _ADDED_REQUESTS_PER_SUCCESS

    def _first_rate(self, now: float) -> float:
        if not self._accepted:
            halvings = self.starving(now) / _UNTRIED_HALF_LIFE_SECONDS
            untried: float = _UNTRIED_RATE * 0.5**halvings
            return max(untried, _MIN_RATE)

        self._drop_old_successes(now)
        return max(_FIRST_RATE_SHARE * len(self._successes), _MIN_FIRST_RATE)

    def _drop_old_successes(self, now: float) -> None:
        while self._successes and self._successes[0] < now - 1.0:
            self._successes.popleft()

    def _gain(self, now: float, rate: float) -> float:
        """Return the requests per second that a success adds to the rate."""
        calm = (now - self._last_decrease) / _RECOVERY_SECONDS
        throttled = self.throttle_share / _MAX_THROTTLE_SHARE
        steady = _GAIN_PER_SECOND / rate * max(0.0, 1 - throttled**4)
        return min(_MAX_GAIN_PER_SUCCESS, steady + calm**3)

    def _change_rate(self, rate: float) -> None:
        self.rate = rate
        self._usual += _RESPONSE_WEIGHT * (rate - self._usual)

    def _responded(self, now: float) -> None:
        self._in_flight -= 1
        self._last_response = now

    def _count(self, *, throttled: bool) -> None:
        self.throttle_share += _RESPONSE_WEIGHT * (throttled - self.throttle_share)

    def _slack(self) -> float:
        """Return how many seconds before its turn a request may be sent.

        It lets a burst pass, and makes up for late timers.
        """
        rate = self.current_rate
        burst = 1.0
        if self.rate is None:
            burst = min(OPENING_REQUESTS, max(1.0, rate * _BURST_SECONDS))
        return max((burst - 1) / rate, _TIMER_TOLERANCE_SECONDS)
