"""The pacer: it is given times and responses, and says when the next request may leave.

It has no clock, and its draw is injected.
"""

from __future__ import annotations

from math import inf

import pytest

from ecr_layer_client._calls.pacer import OPENING_REQUESTS, Pacer

ROUND_TRIP = 0.05  # s


def pacer(draw: float = 0.0, ceiling: float = inf) -> Pacer:
    """Return a new pacer whose draws are all the same."""
    made = Pacer(lambda: draw)
    made.ceiling = ceiling
    return made


def succeeded(count: int, *, every: float = 0.01, draw: float = 0.0) -> tuple[Pacer, float]:
    """Return a pacer after so many successes, one after another, and the time of the last."""
    made = pacer(draw)
    now = 100.0
    for _ in range(count):
        made.sent(now)
        now += every
        made.succeeded(now)
    return made, now


def throttle(made: Pacer, now: float, round_trip: float = ROUND_TRIP) -> None:
    """Send a request whose throttled response comes at `now`."""
    made.sent(now - round_trip)
    made.throttled(now, round_trip)


def succeed(made: Pacer, now: float, count: int = 1) -> None:
    """Send requests that succeed at `now`."""
    for _ in range(count):
        made.sent(now - ROUND_TRIP)
        made.succeeded(now)


def learned(rate: float = 10.0, draw: float = 0.0) -> tuple[Pacer, float]:
    """Return a pacer that was throttled just now and has had its rate for long, and the time."""
    made, now = succeeded(20, draw=draw)
    made.rate = made._usual = rate
    throttle(made, now)
    made.rate = made._usual = rate
    return made, now


def rate_of(made: Pacer) -> float:
    """Return the learned rate, which there is."""
    assert made.rate is not None
    return made.rate


def waits_of(made: Pacer, count: int, now: float = 1.0) -> list[float | None]:
    """Send so many requests at once, and return how long the pacer lets each of them wait."""
    waits: list[float | None] = []
    for _ in range(count):
        waits.append(made.wait(now))
        made.sent(now)
    return waits


def test_opens_at_once() -> None:
    """A new pacer lets ten requests leave at once, and no more before a response comes."""
    assert waits_of(pacer(), OPENING_REQUESTS + 1) == [0.0] * OPENING_REQUESTS + [None]


def in_flight(made: Pacer, now: float) -> int:
    """Send all requests that may leave, let them succeed, and return their number."""
    count = 0
    while made.wait(now) == 0.0 and count < 1_000:
        made.sent(now)
        count += 1
    for _ in range(count):
        made.succeeded(now + ROUND_TRIP)
    return count


def test_the_window_confirms_before_it_widens() -> None:
    """Ten requests leave at first, five and five while one burst might be all, then ten each."""
    made = pacer()
    assert [in_flight(made, float(turn)) for turn in range(5)] == [10, 5, 5, 50, 500]


def test_a_response_makes_room() -> None:
    """Two of the first ten responses let one request leave."""
    made = pacer()
    waits_of(made, OPENING_REQUESTS)
    for _ in range(2):
        made.succeeded(1.1)
    assert waits_of(made, 2, 1.1) == [0.0, None]


def test_a_request_without_a_response() -> None:
    """A request that ends without a response gives its own place back, and no more."""
    made = pacer()
    waits_of(made, OPENING_REQUESTS)
    made.abandoned()
    assert waits_of(made, 2) == [0.0, None]


def test_no_rate_before_a_throttled_response() -> None:
    """Without a throttled response there is no rate, and nothing waits."""
    made, now = succeeded(1000)
    facts = (made.rate, made.current_rate, made.throttle_share, made.wait(now))
    assert facts == (None, inf, 0.0, 0.0)


@pytest.mark.parametrize("ceiling", [5.0, 0.01, 80.0])
def test_a_low_ceiling_spaces_requests(ceiling: float) -> None:
    """Under a ceiling of up to 80 a second requests leave evenly, at most 0.01 s early."""
    made = pacer(ceiling=ceiling)
    made.sent(1.0)
    assert made.wait(1.0) == pytest.approx(max(0.0, 1 / ceiling - 0.01))
    assert made.current_rate == ceiling


def test_a_high_ceiling_lets_ten_leave_at_once() -> None:
    """Under ECR's default ceiling ten requests at first leave at once."""
    assert waits_of(pacer(ceiling=800.0), 10) == [0.0] * 10


@pytest.mark.parametrize(
    ("count", "every", "rate"),
    [
        pytest.param(90, 0.01, 63.0, id="a-second"),
        pytest.param(500, 0.01, 70.0, id="longer"),
        pytest.param(40, 0.0, 28.0, id="at-once"),
    ],
)
def test_first_rate(count: int, every: float, rate: float) -> None:
    """The first rate is 0.7 of the successes of the last second."""
    made, now = succeeded(count, every=every)
    throttle(made, now)
    assert made.rate == pytest.approx(rate, abs=0.8)


@pytest.mark.parametrize(
    ("count", "pause", "ceiling", "rate"),
    [
        *((count, 0.0, inf, 6.0) for count in (1, 3, 8)),
        pytest.param(1000, 3600.0, inf, 6.0, id="after-a-pause"),
        pytest.param(100, 0.0, 7.0, 7.0, id="ceiling"),
    ],
)
def test_bounds_of_the_first_rate(count: int, pause: float, ceiling: float, rate: float) -> None:
    """The first rate is at least 6 a second, also after a long pause, and at most the ceiling."""
    made, now = succeeded(count)
    made.ceiling = ceiling
    throttle(made, now + pause)
    assert made.rate == rate


@pytest.mark.parametrize(
    ("seconds", "rate"),
    [([0.0], 10.0), ([0.0, 120.0], 5.0), ([0.0, 86_400.0], 0.05)],
    ids=["first", "halved", "lowest"],
)
def test_an_untried_rate(seconds: list[float], rate: float) -> None:
    """Without any success a rate begins at 10 a second and halves every 120 s, down to 0.05."""
    made = pacer()
    for each in seconds:
        throttle(made, 100.0 + each)
    assert made.rate == rate


@pytest.mark.parametrize(("draw", "wait"), [(0.5, 0.25), (1.0, 0.5)])
def test_a_drawn_wait(draw: float, wait: float) -> None:
    """After a cut, the next request waits for a drawn time, up to twice its share of the rate."""
    made, now = learned(10.0, draw=draw)
    throttle(made, now + 10.0)
    # The rate is 4 a second from now on.
    assert made.wait(now + 10.0) == pytest.approx(wait - 0.01)


@pytest.mark.parametrize(
    ("rate", "calm", "gain", "tolerance"),
    [
        pytest.param(10.0, ROUND_TRIP, 3.0 / 10.0, 0.01, id="just-after"),
        pytest.param(300.0, 1.5, 3.0 / 300.0 + 0.5**3, 0.01, id="calm"),
        pytest.param(10.0, 30.0, 0.65, 1e-12, id="most"),
    ],
)
def test_a_success_adds(rate: float, calm: float, gain: float, tolerance: float) -> None:
    """A success adds 3 over the rate, and after a calm its third power, at most 0.65 in all."""
    made, now = learned(rate)
    before = rate_of(made)
    succeed(made, now + calm)
    assert rate_of(made) - before == pytest.approx(gain, rel=tolerance)


def test_a_success_adds_less_while_many_are_throttled() -> None:
    """While a quarter of the responses are throttled, only a calm raises the rate."""
    made, now = learned(300.0)
    for step in range(40):
        throttle(made, now + step)
    now += 39.0
    before = rate_of(made)
    succeed(made, now + 0.5)
    assert made.throttle_share > 0.25
    assert rate_of(made) - before == pytest.approx((0.5 / 3) ** 3)


def test_growth_ends_at_the_ceiling() -> None:
    """No success raises the rate above the ceiling."""
    made, now = learned()
    made.ceiling = rate_of(made)
    succeed(made, now)
    assert made.rate == made.ceiling


@pytest.mark.parametrize(
    ("rate", "left"), [(6.0, 6.0 - 0.06 * 36), (8.0, 8.0 - 0.06 * 64), (400.0, 400.0 - 2.4 * 20)]
)
def test_a_throttled_response_cuts(rate: float, left: float) -> None:
    """A throttled response takes 0.06 times the rate of it, or 2.4 over its root if less."""
    made, now = learned(rate)
    throttle(made, now + 1.0)
    assert rate_of(made) == pytest.approx(left)


def test_a_cut_begins_at_the_usual_rate() -> None:
    """A throttled response takes the latest gains away, before the cut."""
    made, now = learned()
    # The rate grows from 10.65 to 16.5.
    succeed(made, now + 30.0, count=10)
    usual = 10.0
    for gained in range(1, 11):
        usual += 0.04 * (10.0 + 0.65 * gained - usual)
    throttle(made, now + 31.0)
    assert rate_of(made) == pytest.approx(usual - 0.06 * usual**2)


def test_a_lasting_rate_becomes_usual() -> None:
    """A rate that lasts is cut without a loss before."""
    made, now = learned()
    made.ceiling = 100.0
    succeed(made, now + 30.0, count=1_000)
    throttle(made, now + 31.0)
    assert rate_of(made) == pytest.approx(100.0 - 2.4 * 10.0)


def test_one_cut_for_a_round_trip() -> None:
    """Requests that were sent before a cut do not cut again."""
    made, now = learned()
    throttle(made, now + 1.0)
    before = made.rate
    for late in (1.01, 1.03, 1.04):
        throttle(made, now + late)
    assert made.rate == before


def test_the_lowest_rate() -> None:
    """A quota that is spent for long is still tried every 20 seconds."""
    made, now = succeeded(100)
    for step in range(1_000):
        throttle(made, now + step)
    assert made.rate == 0.05


def test_a_long_pause_is_forgotten() -> None:
    """A minute without a response makes the pacer forget what it learned."""
    made, now = learned()
    later = now + 61.0
    assert (made.wait(later), made.rate) == (0.0, None)
    assert (made.throttle_share, made.starving(later)) == (0.0, 0.0)


def test_starving() -> None:
    """Starving is the time since the first throttled response without a later success."""
    made, now = succeeded(1)
    starving = [made.starving(now)]
    for late in (1.0, 3.0):
        throttle(made, now + late)
        starving.append(made.starving(now + late))
    succeed(made, now + 4.0)
    assert [*starving, made.starving(now + 9.0)] == [0.0, 0.0, 2.0, 0.0]


def test_throttle_share() -> None:
    """The share of throttled responses follows the recent ones."""
    made, now = succeeded(10)
    shares = [made.throttle_share]
    for step in range(500):
        throttle(made, now + step)
    shares.append(round(made.throttle_share, 3))
    succeed(made, now + 500.0, count=500)
    assert [*shares, round(made.throttle_share, 3)] == [0.0, 1.0, 0.0]


def test_a_rate_replaces_the_window() -> None:
    """With a rate, the rate holds requests back, and the window does not."""
    made, now = succeeded(3)
    throttle(made, now)
    waits_of(made, OPENING_REQUESTS * 3, now)
    assert made.wait(now + 3600.0) == 0.0


def test_a_pause_saves_no_burst() -> None:
    """A pause saves at most one request."""
    made, now = learned()
    now += 60.0
    made.sent(now)
    assert made.wait(now) == pytest.approx(max(0.0, 1 / rate_of(made) - 0.01))


def held_at(ceiling: float) -> Pacer:
    """Return a pacer with a ceiling after one success."""
    made = pacer(ceiling=ceiling)
    made.sent(0.0)
    made.succeeded(0.1)
    return made


def test_a_pause_does_not_lift_the_ceiling() -> None:
    """A ceiling below one request a minute holds, although the pacer forgets after a minute."""
    made = held_at(0.01)
    assert made.wait(61.0) == pytest.approx(38.99)
    assert made.wait(100.0) == 0.0


def test_a_ceiling_that_is_raised() -> None:
    """A ceiling that is raised holds at once for requests that wait."""
    made = held_at(0.1)
    assert made.wait(0.5) == pytest.approx(9.49)
    made.ceiling = 1.0
    assert made.wait(0.5) == pytest.approx(0.5)
