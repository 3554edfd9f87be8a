"""The pacer stays within its bounds for any requests and responses, in any possible order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from ecr_layer_client._calls.pacer import Pacer

if TYPE_CHECKING:
    from collections.abc import Iterator

    Events = list[tuple[float, bool, str]]

CEILINGS = st.floats(0.01, 5_000.0) | st.just(float("inf"))
PAUSES = st.sampled_from([0.0, 0.001, 0.02, 1.0, 30.0]) | st.floats(0.0, 100_000.0)
ENDS = st.sampled_from(["succeeded", "throttled", "abandoned"])
# Each has a pause, whether to send a request, and how the oldest one in flight ends otherwise.
EVENTS = st.lists(st.tuples(PAUSES, st.booleans(), ENDS), max_size=60)
PACERS = st.floats(0.0, 1.0).map(lambda draw: Pacer(lambda: draw))


def played(pacer: Pacer, events: Events) -> Iterator[float]:
    """Play the events, and yield the time after each. The pacer lets each request leave."""
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


@given(EVENTS, CEILINGS, PACERS)
def test_bounds(events: Events, ceiling: float, pacer: Pacer) -> None:
    """The rate, the share of throttled responses and the requests in flight have their bounds."""
    pacer.ceiling = ceiling
    for _ in played(pacer, events):
        assert pacer.current_rate <= ceiling
        assert pacer.rate is None or min(0.05, ceiling) <= pacer.rate <= max(0.05, ceiling)
        assert pacer._in_flight >= 0
        assert 0.0 <= pacer.throttle_share <= 1.0


@given(EVENTS, CEILINGS, PACERS)
def test_a_wait_ends(events: Events, ceiling: float, pacer: Pacer) -> None:
    """A request waits for a response in flight, or for a bounded time, and may leave after it."""
    pacer.ceiling = ceiling
    for now in played(pacer, events):
        wait = pacer.wait(now)
        if wait is None:
            assert pacer._in_flight > 0
        else:
            assert 0.0 <= wait <= 3 / min(0.05, ceiling)
            assert pacer.wait(now + wait + 1e-6) == 0.0
