"""The retry budget: ten retries a second, and one more for ten requests. It delays retries."""

from __future__ import annotations

import pytest

from ecr_layer_client._calls.retry_budget import RetryBudget


@pytest.fixture
def budget() -> RetryBudget:
    """Give a budget of which ten retries were made at once."""
    budget = RetryBudget()
    assert [budget.spend(100.0) for _ in range(10)] == [0.0] * 10
    return budget


def test_more_than_ten_at_once(budget: RetryBudget) -> None:
    """Later retries wait for a tenth of a second each."""
    assert [budget.spend(100.0) for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])


def test_a_second_refills_it(budget: RetryBudget) -> None:
    """A second adds ten retries."""
    assert [budget.spend(101.0) for _ in range(11)] == pytest.approx([0.0] * 10 + [0.1])


def test_ten_are_saved(budget: RetryBudget) -> None:
    """At most ten retries are saved, however long nothing is retried and however much is sent."""
    for _ in range(1000):
        budget.earn()
    waits = [budget.spend(100_000.0) for _ in range(11)]
    assert waits == pytest.approx([0.0] * 10 + [0.1])


def test_requests_earn(budget: RetryBudget) -> None:
    """Ten requests earn one retry."""
    for _ in range(10):
        budget.earn()
    assert [budget.spend(100.0) for _ in range(2)] == pytest.approx([0.0, 0.1])


def test_a_clock_that_goes_back(budget: RetryBudget) -> None:
    """A time before the last one adds and removes no retries."""
    assert budget.spend(50.0) == pytest.approx(0.1)
