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


def exhaust(made: Pacer, now: float) -> None:
    """Let an empty bucket throttle four requests at `now`."""
    for _ in range(4):
        throttle(made, now)


def succeed(made: Pacer, now: float, count: int = 1) -> None:
    """Send requests that succeed at `now`."""
    for _ in range(count):
        made.sent(now - ROUND_TRIP)
        made.succeeded(now)


def learned(rate: float = 10.0, draw: float = 0.0) -> tuple[Pacer, float]:
    """Return a pacer that was throttled just now and has had its rate for long, and the time."""
    made, now = succeeded(20, draw=draw)
    exhaust(made, now)
    made.rate = made._usual = rate
    return made, now


def rate_of(made: Pacer) -> float:
    """Return the learned rate, which there is."""
    assert made.rate is not None
    return made.rate


def play(made: Pacer, now: float, count: int, nth: int, every: float = 0.001) -> float:
    """Send requests one by one, of which every nth is throttled, and return the time after them."""
    for number in range(1, count + 1):
        made.sent(now)
        now += every
        if number % nth:
            made.succeeded(now)
        else:
            made.throttled(now, every / 2)
    return now


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
    """Ten requests leave at first, five and five while one burst might be all, then any."""
    made = pacer()
    assert [in_flight(made, float(turn)) for turn in range(4)] == [10, 5, 5, 1_000]


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
        pytest.param(90, 0.01, 90.0, id="a-second"),
        pytest.param(500, 0.01, 100.0, id="longer"),
        pytest.param(40, 0.0, 40.0, id="at-once"),
    ],
)
def test_first_rate(count: int, every: float, rate: float) -> None:
    """The first rate is the number of successes of the last second."""
    made, now = succeeded(count, every=every)
    exhaust(made, now)
    assert made.rate == pytest.approx(rate, abs=1.0)


@pytest.mark.parametrize(
    ("count", "pause", "ceiling", "rate"),
    [
        *((count, 0.0, inf, 5.0) for count in (0, 1, 5)),
        pytest.param(1000, 3600.0, inf, 5.0, id="after-a-pause"),
        pytest.param(100, 0.0, 7.0, 7.0, id="ceiling"),
    ],
)
def test_bounds_of_the_first_rate(count: int, pause: float, ceiling: float, rate: float) -> None:
    """The first rate is at least 5 a second, also after a long pause, and at most the ceiling."""
    made, now = succeeded(count)
    made.ceiling = ceiling
    exhaust(made, now + pause)
    assert made.rate == rate


def test_a_rate_before_any_success() -> None:
    """Without any success the rate stays at 5 a second, for as long as it takes."""
    made = pacer()
    for second in range(1_000):
        throttle(made, 100.0 + second)
    assert made.rate == 5.0


@pytest.mark.parametrize(("draw", "wait"), [(0.5, 1 / 3), (1.0, 2 / 3)])
def test_a_drawn_wait(draw: float, wait: float) -> None:
    """After a cut, the next request waits for a drawn time, up to twice its share of the rate."""
    made, now = learned(10.0, draw=draw)
    throttle(made, now + 10.0)
    # The rate is 3 a second from now on.
    assert made.wait(now + 10.0) == pytest.approx(wait - 0.01)


@pytest.mark.parametrize(
    ("rate", "calm", "gain", "tolerance"),
    [
        pytest.param(10.0, ROUND_TRIP, 3.0 / 10.0, 0.01, id="just-after"),
        pytest.param(300.0, 2.0, 3.0 / 300.0 + 0.5**3, 0.01, id="calm"),
    ],
)
def test_a_success_adds(rate: float, calm: float, gain: float, tolerance: float) -> None:
    """A success adds 3 over the rate, and after a calm its third power."""
    made, now = learned(rate)
    before = rate_of(made)
    succeed(made, now + calm)
    assert rate_of(made) - before == pytest.approx(gain, rel=tolerance)


def test_growth_ends_at_the_ceiling() -> None:
    """No success raises the rate above the ceiling."""
    made, now = learned()
    made.ceiling = rate_of(made)
    succeed(made, now)
    assert made.rate == made.ceiling


@pytest.mark.parametrize(
    ("rate", "left"), [(6.0, 6.0 - 0.07 * 36), (8.0, 8.0 - 0.07 * 64), (400.0, 400.0 - 2.4 * 20)]
)
def test_a_throttled_response_cuts(rate: float, left: float) -> None:
    """A throttled response takes 0.07 times the rate of it, or 2.4 over its root if less."""
    made, now = learned(rate)
    throttle(made, now + 1.0)
    assert rate_of(made) == pytest.approx(left)


def test_a_cut_begins_at_the_usual_rate() -> None:
    """A throttled response takes the latest gains away, before the cut."""
    made, now = learned()
    succeed(made, now + 4.0, count=10)
    rate = usual = 10.0
    for _ in range(10):
        rate += 3.0 / rate + 1.0
        usual += 0.04 * (rate - usual)
    throttle(made, now + 5.0)
    assert rate_of(made) == pytest.approx(usual - 2.4 * usual**0.5)


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


def test_a_request_that_is_sent_at_the_moment_of_a_cut() -> None:
    """A request that was sent when a cut was made does not cut again."""
    made, _ = learned()
    throttle(made, 128.0)
    before = made.rate
    throttle(made, 129.0, round_trip=1.0)
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
    exhaust(made, now)
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


def test_an_empty_bucket() -> None:
    """Four throttled responses more than others set a rate, and three do not."""
    made, now = succeeded(100)
    for late in (0.0, 0.01, 0.02):
        throttle(made, now + late)
    succeed(made, now + 0.03)
    throttle(made, now + 0.04)
    before = made.rate
    throttle(made, now + 0.05)
    assert (before, made.rate is None) == (None, False)


def test_scattered_throttling_sets_no_rate() -> None:
    """Throttled responses between others set no rate, however many they are."""
    made = pacer()
    # One in 40 ms each second: fewer than 20 in 4 seconds.
    play(made, 1.0, 10_000, nth=10, every=0.025)
    assert made.rate is None


def test_a_throttled_response_holds_requests_back() -> None:
    """After a throttled response, those in flight come before the next request leaves."""
    made, now = succeeded(100)
    waits_of(made, 3, now)
    made.throttled(now + ROUND_TRIP, ROUND_TRIP)
    made.succeeded(now + ROUND_TRIP)
    waits = [made.wait(now + ROUND_TRIP)]
    made.succeeded(now + ROUND_TRIP)
    assert [*waits, made.wait(now + ROUND_TRIP)] == [None, 0.0]


def in_trial(nth: int = 20) -> tuple[Pacer, float]:
    """Return a pacer that has just begun a trial, of every nth request throttled, and the time."""
    made = pacer()
    return made, play(made, 1.0, 20 * nth, nth)


def test_a_trial_halves_the_rate() -> None:
    """Twenty scattered throttled responses begin a trial at half of the rate."""
    made, now = in_trial()
    # Of 400 requests, 380 have succeeded in the last second.
    rates = [made.rate]
    play(made, now, 300, nth=20)
    assert [*rates, made.rate] == [190.0, 190.0]


def test_noise() -> None:
    """As large a share of throttled responses in a trial is noise, and sets no rate."""
    made, now = in_trial()
    now = play(made, now, 400, nth=20)
    assert (made.rate, round(made.noise, 3)) == (None, 0.05)
    # Noise does not hold requests back, nor do more throttled responses in a row.
    exhaust(made, now + 1.0)
    assert (made.rate, made.wait(now + 1.0)) == (None, 0.0)


def test_a_quota_that_throttles_a_few() -> None:
    """A trial without throttled responses shows a quota: the rate before it becomes the rate."""
    made, now = in_trial()
    play(made, now, 400, nth=1_000)
    assert (round(rate_of(made)), made.noise) == (380, 0.0)


def test_half_of_the_responses_are_never_noise() -> None:
    """More than a third of throttled responses is never noise, even if it lasts."""
    made, now = in_trial(nth=2)
    play(made, now, 40, nth=2)
    assert (made.rate is None, made.noise) == (False, 0.0)


def test_responses_to_earlier_requests_are_no_part_of_a_trial() -> None:
    """A trial counts the responses to its own requests."""
    made = pacer()
    waits_of(made, 300, 1.0)
    now = play(made, 1.0, 400, nth=20)
    # A quota throttles none of the requests of the trial, but all of the earlier ones.
    for _ in range(300):
        made.throttled(now + 0.1, now + 0.1 - 1.0)
    play(made, now + 0.1, 400, nth=1_000)
    assert (made.rate is None, made.noise) == (False, 0.0)


def test_noise_beside_responses_to_earlier_requests() -> None:
    """Throttled responses to earlier requests do not change the noise that a trial finds."""
    made = pacer()
    waits_of(made, 300, 1.0)
    now = play(made, 1.0, 400, nth=20)
    for _ in range(300):
        made.throttled(now + 0.1, now + 0.1 - 1.0)
    play(made, now + 0.1, 400, nth=20)
    assert (made.rate, made.noise) == (None, 0.05)


def test_a_third_of_the_responses_may_be_noise() -> None:
    """A third of throttled responses that lasts in a trial is noise."""
    made, now = in_trial(nth=3)
    play(made, now, 60, nth=3)
    assert (made.rate, made.noise) == (None, 1 / 3)


def beside_noise() -> tuple[Pacer, float]:
    """Return a pacer that knows both a quota and noise of 5 %, and the time."""
    made, now = in_trial(nth=4)
    return made, play(made, now, 80, nth=20)


def test_noise_does_not_lower_a_rate() -> None:
    """Beside a quota, throttled responses that the noise explains do not lower the rate."""
    made, now = beside_noise()
    before = rate_of(made)
    play(made, now, 100, nth=20)
    assert (round(made.noise, 3), rate_of(made) > before) == (0.05, True)


def test_more_than_the_noise_lowers_a_rate() -> None:
    """Beside noise, the fifth throttled response in a row lowers the rate."""
    made, now = beside_noise()
    now = play(made, now, 40, nth=1_000)
    rates: list[float] = []
    for late in range(1, 6):
        throttle(made, now + late, round_trip=0.001)
        rates.append(rate_of(made))
    assert (rates[:4], rates[4] < rates[0]) == ([rates[0]] * 4, True)


def test_the_noise_allows_whole_responses() -> None:
    """Beside noise of an eighth, the sixth throttled response in a row lowers the rate."""
    made, now = in_trial(nth=2)
    now = play(made, now, 40, nth=8)
    now = play(made, now, 40, nth=1_000)
    rates: list[float] = []
    # Each response adds a quarter to what is allowed, up to 4, and each allowed one takes 1.
    for late in range(1, 7):
        throttle(made, now + late, round_trip=0.001)
        rates.append(rate_of(made))
    assert (made.noise, rates[:5], rates[5] < rates[0]) == (0.125, [rates[0]] * 5, True)


@pytest.mark.parametrize(
    ("nth", "tried"), [(15, False), (10, False), (5, True)], ids=["little", "twice", "much"]
)
def test_noise_that_rises(nth: int, tried: bool) -> None:
    """Noise is tested again once it is more than twice what it was."""
    made, now = in_trial()
    now = play(made, now, 400, nth=20)
    # The response after the sample belongs to the trial, or to the next sample.
    play(made, now, 20 * nth + 1, nth=nth)
    assert (made.rate is not None) == tried
