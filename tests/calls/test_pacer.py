"""The pacer: told the time and every answer, it says when the next request may leave.

No clock, and the draw is injected.
"""

from __future__ import annotations

from math import inf

import pytest

from ecr_layer_client._calls.pacer import OPENING_REQUESTS, Pacer

RTT = 0.05


def pacer(draw: float = 0.0) -> Pacer:
    """Return a new pacer whose draws are all the same."""
    return Pacer(lambda: draw)


def accepted(count: int, *, every: float = 0.01, draw: float = 0.0) -> tuple[Pacer, float]:
    """Return a pacer after so many successes, one after another, and the time of the last."""
    made = pacer(draw)
    now = 100.0
    for _ in range(count):
        made.sent(now)
        now += every
        made.succeeded(now)
    return made, now


def refused(made: Pacer, now: float, round_trip: float = RTT) -> None:
    """Send a request whose answer comes `now`, throttled."""
    made.sent(now - round_trip)
    made.throttled(now, round_trip)


def answered(made: Pacer, now: float, count: int = 1) -> None:
    """Send requests whose answers come `now`, accepted."""
    for _ in range(count):
        made.sent(now - RTT)
        made.succeeded(now)


def learned(rate: float = 10.0, draw: float = 0.0) -> tuple[Pacer, float]:
    """Return a pacer throttled just now, whose rate is and was for long what is given.

    And the time.
    """
    made, now = accepted(20, draw=draw)
    made.rate = made._usual = rate
    refused(made, now)
    made.rate = made._usual = rate
    return made, now


def rate_of(made: Pacer) -> float:
    """Return the learned rate, which there is."""
    assert made.rate is not None
    return made.rate


def test_opens_at_once() -> None:
    """A new pacer lets the first ten requests leave at once, and no more before an answer comes."""
    made = pacer()
    waits: list[float | None] = []
    for _ in range(OPENING_REQUESTS + 1):
        waits.append(made.wait(1.0))
        made.sent(1.0)
    assert waits == [0.0] * OPENING_REQUESTS + [None]


def in_flight(made: Pacer, now: float) -> int:
    """Let as many leave as may, have them all accepted, and return how many they were."""
    count = 0
    while made.wait(now) == 0.0 and count < 1_000:
        made.sent(now)
        count += 1
    for _ in range(count):
        made.succeeded(now + RTT)
    return count


def test_the_window_confirms_before_it_widens() -> None:
    """Ten at first; five, and five again, while one burst might have been all.

    Then ten for each answer.
    """
    made = pacer()
    assert [in_flight(made, float(turn)) for turn in range(5)] == [10, 5, 5, 50, 500]


def test_what_is_answered_makes_room() -> None:
    """Of the first ten answers, two let one leave."""
    made = pacer()
    for _ in range(OPENING_REQUESTS):
        made.sent(1.0)
    waits: list[float | None] = []
    for _ in range(2):
        made.succeeded(1.1)
    for _ in range(2):
        waits.append(made.wait(1.1))
        made.sent(1.1)
    assert waits == [0.0, None]


def test_a_request_without_an_answer_opens_nothing() -> None:
    """A request that ended without an answer gives its own place back, and no more."""
    made = pacer()
    for _ in range(OPENING_REQUESTS):
        made.sent(1.0)
    made.abandoned()
    assert made.wait(1.0) == 0.0
    made.sent(1.0)
    assert made.wait(1.0) is None


def test_no_rate_before_a_throttled_answer() -> None:
    """Without a throttled answer there is no rate, and nothing is held back."""
    made, now = accepted(1000)
    assert (made.rate, made.current_rate, made.throttle_share, made.wait(now)) == (
        None,
        inf,
        0.0,
        0.0,
    )


@pytest.mark.parametrize("ceiling", [5.0, 0.01, 80.0])
def test_a_low_ceiling_spaces_requests(ceiling: float) -> None:
    """Under a ceiling of up to 80 a second requests leave one by one, evenly, but for a hundredth of a second's lateness."""
    made = pacer()
    made.ceiling = ceiling
    made.sent(1.0)
    assert made.wait(1.0) == pytest.approx(max(0.0, 1 / ceiling - 0.01))


def test_a_high_ceiling_lets_ten_leave_at_once() -> None:
    """Under ECR's default ceiling a first handful of batches is not spaced."""
    made = pacer()
    made.ceiling = 800.0
    for _ in range(9):
        made.sent(1.0)
    assert made.wait(1.0) == 0.0


def test_the_ceiling_holds_without_a_rate() -> None:
    """The rate is the ceiling until one is learned below it."""
    made = pacer()
    made.ceiling = 5.0
    assert made.current_rate == 5.0


@pytest.mark.parametrize(
    ("count", "every", "rate"),
    [
        pytest.param(90, 0.01, 63.0, id="a-second"),
        pytest.param(500, 0.01, 70.0, id="longer"),
        pytest.param(40, 0.0, 28.0, id="at-once"),
    ],
)
def test_first_rate_is_most_of_what_was_accepted(count: int, every: float, rate: float) -> None:
    """The first rate is 0.7 of the successes of the last second."""
    made, now = accepted(count, every=every)
    refused(made, now)
    assert made.rate == pytest.approx(rate, abs=0.8)


@pytest.mark.parametrize("count", [1, 3, 8])
def test_first_rate_of_those_who_got_little(count: int) -> None:
    """Whoever the burst passed over begins at 6 a second, as everybody does."""
    made, now = accepted(count)
    refused(made, now)
    assert made.rate == 6.0


def test_first_rate_after_a_pause() -> None:
    """Successes before a long pause say nothing about the rate: it is no crawl."""
    made, now = accepted(1000)
    refused(made, now + 3600.0)
    assert made.rate == 6.0


def test_untried_rate() -> None:
    """Where nothing was ever accepted, the first rate is 10 a second."""
    made = pacer()
    refused(made, 100.0)
    assert made.rate == 10.0


def test_untried_rate_halves() -> None:
    """Throttled answers alone halve an untried rate every 120 seconds."""
    made = pacer()
    refused(made, 100.0)
    refused(made, 220.0)
    assert made.rate == 5.0


def test_untried_rate_has_a_floor() -> None:
    """Throttled answers alone, for a day, still leave a request every 20 seconds."""
    made = pacer()
    refused(made, 100.0)
    refused(made, 100.0 + 86_400.0)
    assert made.rate == 0.05


def test_first_rate_is_under_the_ceiling() -> None:
    """A first rate is never above the ceiling."""
    made, now = accepted(100)
    made.ceiling = 7.0
    refused(made, now)
    assert made.rate == 7.0


@pytest.mark.parametrize(("draw", "wait"), [(0.5, 0.25), (1.0, 0.5)])
def test_a_throttled_client_comes_back_at_a_drawn_moment(draw: float, wait: float) -> None:
    """After a cut the next request waits up to twice its share of the rate, as it is drawn."""
    made, now = learned(10.0, draw=draw)
    refused(made, now + 10.0)  # 4 a second from now on
    assert made.wait(now + 10.0) == pytest.approx(wait - 0.01)


def test_a_success_just_after_a_cut_adds() -> None:
    """A success gains so much that a second of them gains 3 a second, whatever the rate is."""
    made, now = learned()
    answered(made, now + RTT)
    assert rate_of(made) - 10.0 == pytest.approx(3.0 / 10.0, rel=0.01)


def test_calm_quickens_growth() -> None:
    """The longer nothing was throttled, the more a success gains: by the third power of the time."""
    made, now = learned(300.0)
    before = rate_of(made)
    answered(made, now + 1.5)
    assert rate_of(made) - before == pytest.approx(3.0 / before + 0.5**3, rel=0.01)


def test_growth_has_an_end() -> None:
    """However long nothing was throttled, a success gains at most 0.65 a second: it takes a second to double."""
    made, now = learned()
    answered(made, now + 30.0)
    assert rate_of(made) == 10.65


def test_nothing_is_added_where_too_many_ask() -> None:
    """While a quarter of the answers are throttled, calm alone raises a rate."""
    made, now = learned(300.0)
    for step in range(40):
        refused(made, now + step)
    now += 39.0
    before = rate_of(made)
    answered(made, now + 0.5)
    assert made.throttle_share > 0.25
    assert rate_of(made) - before == pytest.approx((0.5 / 3) ** 3)


def test_growth_ends_at_the_ceiling() -> None:
    """No success raises the rate above the ceiling."""
    made, now = learned()
    made.ceiling = rate_of(made)
    answered(made, now)
    assert made.rate == made.ceiling


@pytest.mark.parametrize(
    ("rate", "left"), [(6.0, 6.0 - 0.06 * 36), (8.0, 8.0 - 0.06 * 64), (400.0, 400.0 - 2.4 * 20)]
)
def test_a_throttled_answer_cuts(rate: float, left: float) -> None:
    """A throttled answer costs 0.06 times the rate, as a part of it, or 2.4 over its root, if that is less."""
    made, now = learned(rate)
    refused(made, now + 1.0)
    assert rate_of(made) == pytest.approx(left)


def test_a_cut_begins_at_what_was_usual() -> None:
    """What a rate has gained of late is lost at a throttled answer, before the cut."""
    made, now = learned()
    answered(made, now + 30.0, count=10)  # 10.65, 11.3 ... 16.5
    usual = 10.0
    for gained in range(1, 11):
        usual += 0.04 * (10.0 + 0.65 * gained - usual)
    refused(made, now + 31.0)
    assert rate_of(made) == pytest.approx(usual - 0.06 * usual**2)


def test_a_lasting_rate_becomes_usual() -> None:
    """A rate that goes on is what is cut: nothing of it is lost before."""
    made, now = learned()
    made.ceiling = 100.0
    answered(made, now + 30.0, count=1_000)
    refused(made, now + 31.0)
    assert rate_of(made) == pytest.approx(100.0 - 2.4 * 10.0)


def test_one_cut_for_what_was_on_its_way() -> None:
    """Requests that left before a cut do not cut again."""
    made, now = learned()
    refused(made, now + 1.0)
    before = made.rate
    for late in (1.01, 1.03, 1.04):
        refused(made, now + late)
    assert made.rate == before


def test_a_rate_never_falls_below_its_floor() -> None:
    """A quota that is spent for long is still asked every 20 seconds."""
    made, now = accepted(100)
    for step in range(1_000):
        refused(made, now + step)
    assert made.rate == 0.05


def test_a_long_pause_is_forgotten() -> None:
    """After a minute without an answer nothing holds back but the opening: what was learned says nothing of now."""
    made, now = learned()
    later = now + 61.0
    assert (made.wait(later), made.rate, made.throttle_share, made.starving(later)) == (
        0.0,
        None,
        0.0,
        0.0,
    )


def test_starving() -> None:
    """Starving is the time since the first throttled answer without a success after it."""
    made, now = accepted(1)
    starving = [made.starving(now)]
    for late in (1.0, 3.0):
        refused(made, now + late)
        starving.append(made.starving(now + late))
    answered(made, now + 4.0)
    starving.append(made.starving(now + 9.0))
    assert starving == [0.0, 0.0, 2.0, 0.0]


def test_throttle_share() -> None:
    """The share of throttled answers follows the recent ones."""
    made, now = accepted(10)
    shares = [made.throttle_share]
    for step in range(500):
        refused(made, now + step)
    shares.append(round(made.throttle_share, 3))
    answered(made, now + 500.0, count=500)
    assert [*shares, round(made.throttle_share, 3)] == [0.0, 1.0, 0.0]


def test_the_window_is_open_once_there_is_a_rate() -> None:
    """With a rate, it is the rate that holds requests back, not the window."""
    made, now = accepted(3)
    refused(made, now)
    for _ in range(OPENING_REQUESTS * 3):
        made.sent(now)
    assert made.wait(now + 3600.0) == 0.0


def test_time_that_is_not_used_is_not_saved() -> None:
    """A pause saves up no burst beyond one request."""
    made, now = learned()
    now += 60.0
    made.sent(now)
    assert made.wait(now) == pytest.approx(max(0.0, 1 / rate_of(made) - 0.01))


def held_at(ceiling: float) -> Pacer:
    """Return a pacer with a ceiling, of which one request was accepted."""
    made = pacer()
    made.ceiling = ceiling
    made.sent(0.0)
    made.succeeded(0.1)
    return made


def test_a_pause_does_not_lift_the_ceiling() -> None:
    """A ceiling of less than one request in a minute holds, though what was learned is forgotten by then."""
    made = held_at(0.01)
    assert made.wait(61.0) == pytest.approx(38.99)
    assert made.wait(100.0) == 0.0


def test_a_ceiling_that_is_raised_holds_at_once() -> None:
    """What a lower ceiling held back leaves as the new one allows."""
    made = held_at(0.1)
    assert made.wait(0.5) == pytest.approx(9.49)
    made.ceiling = 1.0
    assert made.wait(0.5) == pytest.approx(0.5)
