"""How fast one account's operation may be asked, learned from its answers alone; pure: it is told the time.

Many clients share ECR's token bucket without knowing of each other. Each raises its rate a little with every success and cuts it at a
throttled answer; a faster client is throttled oftener, so their rates meet. `benchmarks/pacing.py` shows what comes of it.
"""

from __future__ import annotations

import random
from collections import deque
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

OPENING = 10  # requests in flight before the first answer; each answer admits one more

# A first rate, at the first throttled answer.
_MEMORY = 1.0  # seconds of successes it is drawn from; and of requests that the bucket had saved up, and accepted too
_UNTRIED_RATE = 15.0  # requests a second, until anything was ever accepted: nothing is known of the quota
_UNTRIED_HALVES = 30.0  # seconds of throttled answers alone that halve it
_RISE = 0.5  # requests a second gained for each success, until the first rate proves too high
# From then on.
_GROWTH = 0.02  # requests a second gained for each success: 2 % a second
_PATIENCE = 2.0  # seconds since the last cut that double the growth; it goes by their fourth power
_ADDED = 0.8  # requests a second gained in each second besides, so that slow clients catch up
_CUT = 0.7  # times rate ** _CUT_POWER, lost at a throttled answer; once for the requests that were on their way
_CUT_POWER = 0.7
_MOST_CUT = 0.5  # of the rate, in one reaction time: two round trips, or
_LEAST_REACTION = 0.1  # seconds
_LEAST_RATE = 0.05  # requests a second: a quota that is spent for long is still asked now and then

_FORGOTTEN_AFTER = 60.0  # seconds without an answer, longer than the wait between two at the least rate

_LATENESS = 0.01  # seconds a timer may be late without the rate suffering
_BURST_SECONDS = 1 / 80  # of the ceiling may leave at once, up to OPENING: 10 at ECR's default quota
_SHARE_WEIGHT = 0.02  # of one answer in the share of throttled ones


class Pacer:
    """Says when the next request may leave.

    Nothing is held back but what the opening window holds (10 in flight, one more for each answer) and the ceiling, until an answer is
    throttled; then a rate is set from what was accepted just before.

    Args:
        draw: Gives numbers from 0 to 1: clients throttled at one moment must not come back at one moment.

    Attributes:
        ceiling: Requests a second that are never exceeded. Default: none.
        rate: The learned rate, in requests a second; None until an answer is throttled.
        throttle_share: The share of recent answers that were throttled, 0 to 1.
    """

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self.ceiling: float = inf
        self.throttle_share: float = 0.0
        self._draw = draw
        self._in_flight = 0
        self._last_answer = inf
        self._rtt = 0.0
        self._forget()

    def _forget(self) -> None:
        """Begin anew: what was learned before a long pause says nothing of now."""
        self.rate: float | None = None
        self._window = OPENING
        self._next = -inf
        self._successes: deque[float] = deque()
        self._ever_accepted = False
        self._is_rising = True
        self._last_cut = inf
        self._reaction_ends = -inf
        self._floor = 0.0
        self._starving_since: float | None = None

    @property
    def current_rate(self) -> float:
        """Requests a second that may leave now; inf while nothing holds them back."""
        return min(self.ceiling, inf if self.rate is None else self.rate)

    def wait(self, now: float) -> float | None:
        """Return the seconds until a request may leave: 0 for at once, None for not before an answer comes."""
        if self._in_flight == 0 and now - self._last_answer > _FORGOTTEN_AFTER:
            self._forget()
        if self.rate is None and self._in_flight >= self._window:
            return None
        return max(0.0, self._next - self._slack() - now)

    def sent(self, now: float) -> None:
        """A request left."""
        self._in_flight += 1
        self._next = max(self._next, now) + 1 / self.current_rate

    def abandoned(self) -> None:
        """A request ended without an answer."""
        self._in_flight -= 1

    def succeeded(self, now: float, round_trip: float) -> None:
        """A request was not throttled; whatever else its answer says."""
        self._answered(now, round_trip, throttled=False)
        self._starving_since = None
        self._ever_accepted = True
        self._window += 1
        if self.rate is None:
            self._successes.append(now)
            self._drop_old_successes(now)
        else:
            self.rate = min(self.rate + self._gain(now, self.rate), max(self.ceiling, _LEAST_RATE))

    def throttled(self, now: float, round_trip: float) -> None:
        """A request was refused for rate."""
        self._answered(now, round_trip, throttled=True)
        if self._starving_since is None:
            self._starving_since = now
        if self.rate is None or not self._ever_accepted:
            self.rate = min(self.ceiling, self._first_rate(now))
            self._last_cut = now
            self._successes.clear()
        elif now - round_trip > self._last_cut:
            self._cut(now, self.rate)
        else:
            return
        self._next = max(self._next, now + 2 * self._draw() / self.rate)

    def starving(self, now: float) -> float:
        """Return the seconds for which answers have been throttled without one success."""
        return 0.0 if self._starving_since is None else now - self._starving_since

    def _first_rate(self, now: float) -> float:
        self._drop_old_successes(now)
        if self._successes:
            return len(self._successes) / (_MEMORY + now - self._successes[0])
        halved: float = _UNTRIED_RATE * 0.5 ** (self.starving(now) / _UNTRIED_HALVES)
        return max(_LEAST_RATE, halved)

    def _drop_old_successes(self, now: float) -> None:
        while self._successes and self._successes[0] < now - _MEMORY:
            self._successes.popleft()

    def _gain(self, now: float, rate: float) -> float:
        calm = (now - self._last_cut) / _PATIENCE
        growth = _GROWTH * (1 + calm * calm * calm * calm) + _ADDED / rate
        return _RISE if self._is_rising else min(_RISE, growth)

    def _cut(self, now: float, rate: float) -> None:
        self._is_rising = False
        self._last_cut = now
        if now >= self._reaction_ends:
            self._reaction_ends = now + max(_LEAST_REACTION, 2 * self._rtt)
            self._floor = rate * (1 - _MOST_CUT)
        self.rate = max(rate - _CUT * rate**_CUT_POWER, self._floor, _LEAST_RATE)

    def _answered(self, now: float, round_trip: float, *, throttled: bool) -> None:
        self._in_flight -= 1
        self._last_answer = now
        self._rtt += (round_trip - self._rtt) / 8 if self._rtt else round_trip
        self.throttle_share += _SHARE_WEIGHT * (throttled - self.throttle_share)

    def _slack(self) -> float:
        rate = self.current_rate
        burst = 1.0 if self.rate is not None else min(OPENING, max(1.0, rate * _BURST_SECONDS))
        return max((burst - 1) / rate, _LATENESS)
