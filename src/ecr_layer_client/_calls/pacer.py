"""How fast one account's operation may be asked, learned from its answers alone.

Pure: it is told the time.

Many clients share ECR's token bucket without knowing of each other. Each raises its rate with every
success and cuts it at a throttled answer; a faster client is throttled oftener and cut deeper, so
their rates meet. A rate that has grown by luck falls back to what was usual before it is cut. Where
others have ended, nothing is throttled for long, and those that are left take over what is free.
`benchmarks/pacing.py` shows what comes of it.
"""

from __future__ import annotations

import random
from collections import deque
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

OPENING = 10  # requests in flight before the first answer
# In flight next, until as many more were accepted: of many who begin at once, most find the bucket
# empty then.
_CONFIRMING = 5
_WIDENING = 9  # more in flight for each answer from then on

# The first rate, at the first throttled answer, is the larger of
# Of what was accepted in the last second, a burst included that the bucket had saved up, and.
_FIRST_SHARE = 0.7
# Requests a second, for those whom the burst passed over. Where nothing was ever accepted, it is.
_LEAST_FIRST = 6.0
_UNTRIED_RATE = 10.0  # requests a second, for nothing is known of the quota;
_UNTRIED_HALVES = 120.0  # seconds of throttled answers alone that halve it
# A success raises it.
# Requests a second gained in each second, however slow one is, so that the slow catch up; not
# while.
_ADDED = 3.0
_MOST_THROTTLED = (
    0.25  # of the answers are throttled: then too many ask, and nobody's share is larger
)
# Seconds since the last cut in which a success comes to gain one request a second more; by their
# third power.
_PATIENCE = 3.0
_MOST_GAIN = 0.65  # requests a second gained for a success
# A throttled answer cuts it.
# Times the rate, the part of it lost: the faster lose more, so that shares meet; but never more
# than.
_CUT = 0.06
_MOST_CUT = (
    2.4  # over the root of the rate: the very fast are throttled often, and lose little by each
)
_LEAST_RATE = 0.05  # requests a second: a quota that is spent for long is still asked now and then

# Of one answer in the usual rate and in the share of throttled answers: the last 25 or so count.
_WEIGHT = 0.04
_FORGOTTEN_AFTER = (
    60.0  # seconds without an answer, longer than the wait between two at the least rate
)
_LATENESS = 0.01  # seconds a timer may be late without the rate suffering
_BURST_SECONDS = (
    1 / 80
)  # of the ceiling may leave at once, up to OPENING: 10 at ECR's default quota


class Pacer:
    """Says when the next request may leave.

    Until an answer is throttled, only the ceiling and the opening window hold requests back: 10 in
    flight, then 5 until 15 were accepted, then nine more for each answer. A throttled answer sets a
    rate, from what was accepted just before.

    Args:
        draw: Gives numbers from 0 to 1: clients throttled at one moment must not come back at one
            moment.

    Attributes:
        ceiling: Requests a second that are never exceeded. Default: none.
        rate: The learned rate, in requests a second; None until an answer is throttled.
        throttle_share: The share of recent answers that were throttled, 0 to 1; of those to
            requests that left before a cut, none count.
    """

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self.ceiling: float = inf
        self._draw = draw
        self._in_flight = 0
        self._last_answer = inf
        self._last_sent = -inf
        self._next = -inf
        self._forget()

    def _forget(self) -> None:
        """Begin anew: what was learned before a long pause says nothing of now.

        The ceiling holds all the same.
        """
        self.rate: float | None = None
        self.throttle_share: float = 0.0
        self._usual = 0.0  # the rate, averaged over recent answers: what a cut begins at
        self._window: float = OPENING
        self._accepted = 0
        self._successes: deque[float] = deque()
        self._last_cut = -inf
        self._starving_since: float | None = None

    @property
    def current_rate(self) -> float:
        """Requests a second that may leave now; inf while nothing holds them back."""
        return min(self.ceiling, inf if self.rate is None else self.rate)

    def wait(self, now: float) -> float | None:
        """Return the seconds until a request may leave: 0 for at once, None for not before an answer comes."""
        if self._in_flight == 0 and now - self._last_answer > _FORGOTTEN_AFTER:
            self._forget()
        slack = self._slack()
        if self.rate is None:
            if self._in_flight >= self._window:
                return None
            self._next = min(
                self._next, self._last_sent + slack + 1 / self.ceiling
            )  # a ceiling that was raised holds at once
        return max(0.0, self._next - slack - now)

    def sent(self, now: float) -> None:
        """A request left."""
        self._in_flight += 1
        self._last_sent = now
        self._next = max(self._next, now) + 1 / self.current_rate

    def abandoned(self) -> None:
        """A request ended without an answer."""
        self._in_flight -= 1

    def succeeded(self, now: float) -> None:
        """A request was not throttled; whatever else its answer says."""
        self._answered(now)
        self._count(throttled=False)
        self._starving_since = None
        self._accepted += 1
        if self.rate is None:
            if self._accepted <= OPENING:
                self._window += (_CONFIRMING - OPENING) / OPENING
            elif self._accepted > OPENING + _CONFIRMING:
                self._window += _WIDENING
            self._successes.append(now)
            self._drop_old_successes(now)
        else:
            self._go_at(min(self.rate + self._gain(now, self.rate), max(self.ceiling, _LEAST_RATE)))

    def throttled(self, now: float, round_trip: float) -> None:
        """A request was refused for rate."""
        self._answered(now)
        if self._starving_since is None:
            self._starving_since = now
        if self.rate is None or not self._accepted:
            self.rate = self._usual = min(self.ceiling, self._first_rate(now))
        elif now - round_trip > self._last_cut:
            kept = min(self.rate, self._usual)
            self._go_at(max(_LEAST_RATE, kept - min(_CUT * kept**2, _MOST_CUT * kept**0.5)))
        else:
            return
        self._count(throttled=True)
        self._last_cut = now
        self._next = max(self._next, now + 2 * self._draw() / self.rate)

    def starving(self, now: float) -> float:
        """Return the seconds for which answers have been throttled without one success."""
        return 0.0 if self._starving_since is None else now - self._starving_since

    def _first_rate(self, now: float) -> float:
        if not self._accepted:
            untried: float = _UNTRIED_RATE * 0.5 ** (self.starving(now) / _UNTRIED_HALVES)
            return max(untried, _LEAST_RATE)
        self._drop_old_successes(now)
        return max(_FIRST_SHARE * len(self._successes), _LEAST_FIRST)

    def _drop_old_successes(self, now: float) -> None:
        while self._successes and self._successes[0] < now - 1.0:
            self._successes.popleft()

    def _gain(self, now: float, rate: float) -> float:
        calm = (now - self._last_cut) / _PATIENCE
        throttled = self.throttle_share / _MOST_THROTTLED
        added = _ADDED / rate * max(0.0, 1 - throttled**4)
        return min(_MOST_GAIN, added + calm**3)

    def _go_at(self, rate: float) -> None:
        self.rate = rate
        self._usual += _WEIGHT * (rate - self._usual)

    def _answered(self, now: float) -> None:
        self._in_flight -= 1
        self._last_answer = now

    def _count(self, *, throttled: bool) -> None:
        self.throttle_share += _WEIGHT * (throttled - self.throttle_share)

    def _slack(self) -> float:
        rate = self.current_rate
        burst = 1.0 if self.rate is not None else min(OPENING, max(1.0, rate * _BURST_SECONDS))
        return max((burst - 1) / rate, _LATENESS)
