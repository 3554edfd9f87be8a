"""The pacer: told the time and every answer, it says when the next request may leave. No clock, and the draw is injected."""

from __future__ import annotations

from math import inf

import pytest

from ecr_layer_client._pacer import OPENING, Pacer

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
        made.succeeded(now, RTT)
    return made, now


def refused(made: Pacer, now: float, round_trip: float = RTT) -> None:
    """Send a request whose answer comes `now`, throttled."""
    made.sent(now - round_trip)
    made.throttled(now, round_trip)


def learned(count: int = 100) -> tuple[Pacer, float]:
    """Return a pacer with a learned rate, cut once, long enough ago for the next cut to begin anew."""
    made, now = accepted(count)
    refused(made, now)
    now += 10.0
    refused(made, now)
    return made, now + 10.0


def rate_of(made: Pacer) -> float:
    """Return the learned rate, which there is."""
    assert made.rate is not None
    return made.rate


def test_opens_at_once() -> None:
    """A new pacer lets the first ten requests leave at once, and no more before an answer comes."""
    made = pacer()
    waits: list[float | None] = []
    for _ in range(OPENING + 1):
        waits.append(made.wait(1.0))
        made.sent(1.0)
    assert waits == [0.0] * OPENING + [None]


def test_an_answer_opens_the_window() -> None:
    """Each answer lets one leave in its own place, and one more."""
    made = pacer()
    for _ in range(OPENING):
        made.sent(1.0)
    made.succeeded(1.1, 0.1)
    waits: list[float | None] = []
    for _ in range(3):
        waits.append(made.wait(1.1))
        made.sent(1.1)
    assert waits == [0.0, 0.0, None]


def test_a_request_without_an_answer_opens_nothing() -> None:
    """A request that ended without an answer gives its own place back, and no more."""
    made = pacer()
    for _ in range(OPENING):
        made.sent(1.0)
    made.abandoned()
    assert made.wait(1.0) == 0.0
    made.sent(1.0)
    assert made.wait(1.0) is None


def test_no_rate_before_a_throttled_answer() -> None:
    """Without a throttled answer there is no rate, and nothing is held back."""
    made, now = accepted(1000)
    assert (made.rate, made.current_rate, made.throttle_share, made.wait(now)) == (None, inf, 0.0, 0.0)


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


def test_first_rate_is_what_was_accepted() -> None:
    """The first rate is drawn from the successes of the last second and the burst before it."""
    made, now = accepted(100)  # in 0.99 s
    refused(made, now)
    assert rate_of(made) == pytest.approx(100 / (1.0 + 0.99))


def test_first_rate_forgets_what_was_long_ago() -> None:
    """Only successes of the last second before the newest count."""
    made, now = accepted(500)
    refused(made, now)
    assert rate_of(made) == pytest.approx(100 / 2.0, rel=0.02)


def test_first_rate_after_a_pause() -> None:
    """Successes before a long pause say nothing about the rate: it is no crawl."""
    made, now = accepted(1)
    refused(made, now + 3600.0)
    assert rate_of(made) >= 1.0


def test_untried_rate() -> None:
    """Where nothing was ever accepted, the first rate is 15 a second."""
    made = pacer()
    refused(made, 100.0)
    assert made.rate == 15.0


def test_untried_rate_halves() -> None:
    """Throttled answers alone halve an untried rate every 30 seconds."""
    made = pacer()
    refused(made, 100.0)
    refused(made, 130.0)
    assert made.rate == 7.5


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


@pytest.mark.parametrize(("draw", "wait"), [(0.0, 0.0), (1.0, 0.02)])
def test_a_throttled_client_comes_back_at_a_drawn_moment(draw: float, wait: float) -> None:
    """After a first rate the next request waits up to twice its share of the rate, as it is drawn."""
    made, now = accepted(100, draw=draw)
    refused(made, now + 1.0)
    assert made.wait(now + 1.0) == pytest.approx(max(0.0, draw * 2 / rate_of(made) - 0.01), abs=wait)


def test_it_rises_until_a_first_cut() -> None:
    """A first rate gains half a request a second for each success."""
    made, now = accepted(100)
    refused(made, now)
    before = rate_of(made)
    made.sent(now)
    made.succeeded(now + RTT, RTT)
    assert rate_of(made) == pytest.approx(before + 0.5)


def test_growth_after_a_cut_is_gentler() -> None:
    """After a cut a success gains something, and less than a rising rate does."""
    made, now = learned()
    just_cut = now - 9.0
    before = rate_of(made)
    made.sent(just_cut)
    made.succeeded(just_cut, RTT)
    assert 0.0 < rate_of(made) - before < 0.1


def test_growth_goes_by_the_calm() -> None:
    """The longer nothing was throttled, the more a success gains, up to what a rising rate does."""
    made, now = learned()
    before = rate_of(made)
    made.sent(now)
    made.succeeded(now, RTT)
    assert rate_of(made) - before == pytest.approx(0.5)


def test_a_long_pause_is_forgotten() -> None:
    """After a minute without an answer nothing holds back but the opening: what was learned says nothing of now."""
    made, now = learned()
    assert made.wait(now + 61.0) == 0.0
    assert (made.rate, made.starving(now + 61.0)) == (None, 0.0)


def test_growth_ends_at_the_ceiling() -> None:
    """No success raises the rate above the ceiling."""
    made, now = learned()
    made.ceiling = rate_of(made)
    made.sent(now)
    made.succeeded(now, RTT)
    assert made.rate == made.ceiling


def test_a_throttled_answer_cuts() -> None:
    """A throttled answer cuts the rate by 0.7 times its power of 0.7."""
    made, now = accepted(100)
    refused(made, now)
    before = rate_of(made)
    refused(made, now + 1.0)
    assert rate_of(made) == pytest.approx(before - 0.7 * before**0.7)


def test_one_cut_for_what_was_on_its_way() -> None:
    """Requests that left before a cut do not cut again."""
    made, now = accepted(100)
    refused(made, now)
    refused(made, now + 1.0)
    before = made.rate
    for late in (1.01, 1.03, 1.04):
        refused(made, now + late)
    assert made.rate == before


def test_cuts_are_bounded_within_a_reaction_time() -> None:
    """However many cuts fall into one reaction time, the rate loses at most half."""
    made, now = learned()
    before = rate_of(made)
    for step in range(5):
        refused(made, now + step * 0.015, round_trip=0.001)
    assert rate_of(made) == pytest.approx(before * 0.5)


def test_a_rate_never_falls_below_its_floor() -> None:
    """A quota that is spent for long is still asked every 20 seconds."""
    made, now = accepted(100)
    for step in range(1000):
        refused(made, now + step)
    assert made.rate == 0.05


def test_starving() -> None:
    """Starving is the time since the first throttled answer without a success after it."""
    made, now = accepted(1)
    starving = [made.starving(now)]
    for late in (1.0, 3.0):
        refused(made, now + late)
        starving.append(made.starving(now + late))
    made.sent(now + 4.0)
    made.succeeded(now + 4.0, RTT)
    starving.append(made.starving(now + 9.0))
    assert starving == [0.0, 0.0, 2.0, 0.0]


def test_throttle_share() -> None:
    """The share of throttled answers follows the recent ones."""
    made, now = accepted(10)
    shares = [made.throttle_share]
    for step in range(500):
        refused(made, now + step)
    shares.append(round(made.throttle_share, 3))
    for _ in range(500):
        made.sent(now + 500.0)
        made.succeeded(now + 500.0, RTT)
    assert [*shares, round(made.throttle_share, 3)] == [0.0, 1.0, 0.0]


def test_the_window_is_open_once_there_is_a_rate() -> None:
    """With a rate, it is the rate that holds requests back, not the window."""
    made, now = accepted(3)
    refused(made, now)
    for _ in range(OPENING * 3):
        made.sent(now)
    assert made.wait(now + 3600.0) == 0.0


def test_time_that_is_not_used_is_not_saved() -> None:
    """A pause saves up no burst beyond one request."""
    made, now = learned()
    now += 60.0
    made.sent(now)
    assert made.wait(now) == pytest.approx(max(0.0, 1 / rate_of(made) - 0.01))
