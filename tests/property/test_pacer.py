"""The pacer holds its bounds whatever is sent and answered, in any order that can happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from ecr_layer_client._calls.pacer import Pacer

if TYPE_CHECKING:
    from collections.abc import Iterator

CEILINGS = st.floats(0.01, 5_000.0) | st.just(float("inf"))
PAUSES = st.sampled_from([0.0, 0.001, 0.02, 1.0, 30.0]) | st.floats(0.0, 100_000.0)
ENDS = st.sampled_from(["succeeded", "throttled", "abandoned"])
# Each: a pause, whether to send, and, where something is in flight, how the oldest ends.
EVENTS = st.lists(st.tuples(PAUSES, st.booleans(), ENDS), max_size=60)
DRAWS = st.floats(0.0, 1.0)


def played(pacer: Pacer, events: list[tuple[float, bool, str]]) -> Iterator[float]:
    """Play the events, in time, and yield the time after each.

    A request is sent only when the pacer lets it.
    """
    now = 1_000.0
    sent: list[float] = []
    for pause, sends, end in events:
        now += pause
        if sends and pacer.wait(now) == 0:
            pacer.sent(now)
            sent.append(now)
        elif sent:
            began = sent.pop(0)
            if end == "succeeded":
                pacer.succeeded(now)
            elif end == "throttled":
                pacer.throttled(now, now - began)
            else:
                pacer.abandoned()
        yield now


@given(EVENTS, CEILINGS, DRAWS)
def test_the_rate_stays_within_its_bounds(
    events: list[tuple[float, bool, str]], ceiling: float, draw: float
) -> None:
    """A rate is never below 0.05, or a ceiling below that, and never above the ceiling."""
    pacer = Pacer(lambda: draw)
    pacer.ceiling = ceiling
    for _ in played(pacer, events):
        assert pacer.current_rate <= ceiling
        assert pacer.rate is None or min(0.05, ceiling) <= pacer.rate <= max(0.05, ceiling)


@given(EVENTS, CEILINGS, DRAWS)
def test_a_wait_is_never_negative_and_ends(
    events: list[tuple[float, bool, str]], ceiling: float, draw: float
) -> None:
    """A wait is None only while something is in flight, else finite and not negative.

    When it is over, a request may leave.
    """
    pacer = Pacer(lambda: draw)
    pacer.ceiling = ceiling
    for now in played(pacer, events):
        wait = pacer.wait(now)
        if wait is None:
            assert pacer._in_flight > 0
        else:
            assert 0.0 <= wait <= 3 / min(0.05, ceiling)
            assert pacer.wait(now + wait + 1e-6) == 0.0


@given(EVENTS, CEILINGS, DRAWS)
def test_what_is_in_flight_is_counted(
    events: list[tuple[float, bool, str]], ceiling: float, draw: float
) -> None:
    """What is in flight is never negative, and the share of throttled answers stays a share."""
    pacer = Pacer(lambda: draw)
    pacer.ceiling = ceiling
    for _ in played(pacer, events):
        assert pacer._in_flight >= 0
        assert 0.0 <= pacer.throttle_share <= 1.0
