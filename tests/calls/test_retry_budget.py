"""The budget of retries: ten a second, one more for each ten requests.

It delays and refuses none.
"""

from __future__ import annotations

import pytest

from ecr_layer_client._calls.retry_budget import RetryBudget


def test_ten_at_once() -> None:
    """A new budget has ten retries at once, and the next ones wait for a tenth of a second each."""
    budget = RetryBudget()
    waits = [budget.spend(100.0) for _ in range(13)]
    assert waits == pytest.approx([0.0] * 10 + [0.1, 0.2, 0.3])


def test_time_refills_it() -> None:
    """A second gives ten retries back."""
    budget = RetryBudget()
    for _ in range(15):
        budget.spend(100.0)
    assert budget.spend(101.0) == 0.0


def test_no_more_than_ten_are_saved_up() -> None:
    """However long nothing is retried, and however much is asked, ten are saved up."""
    budget = RetryBudget()
    for _ in range(1000):
        budget.earn()
    waits = [budget.spend(100_000.0) for _ in range(11)]
    assert waits == pytest.approx([0.0] * 10 + [0.1])


def test_requests_earn() -> None:
    """Ten requests earn one retry."""
    budget = RetryBudget()
    for _ in range(11):
        budget.spend(100.0)
    for _ in range(10):
        budget.earn()
    assert budget.spend(100.0) == pytest.approx(0.1)


def test_a_clock_that_goes_back_takes_nothing() -> None:
    """A time before the last one refills nothing and takes nothing."""
    budget = RetryBudget()
    budget.spend(100.0)
    assert [budget.spend(50.0) for _ in range(10)] == pytest.approx([0.0] * 9 + [0.1])
