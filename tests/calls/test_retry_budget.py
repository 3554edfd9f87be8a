"""The retry budget: ten retries a second, and one more for ten requests. It delays retries."""

from __future__ import annotations

import pytest

from ecr_layer_client._calls.retry_budget import RetryBudget


def test_ten_at_once() -> None:
    """A new budget has ten retries at once, and later ones wait for a tenth of a second each."""
    budget = RetryBudget()
    waits = [budget.spend(100.0) for _ in range(13)]
    assert waits == pytest.approx([0.0] * 10 + [0.1, 0.2, 0.3])


def test_a_second_refills_it() -> None:
    """A second adds ten retries."""
    budget = RetryBudget()
    for _ in range(15):
        budget.spend(100.0)
    assert budget.spend(101.0) == 0.0


def test_ten_are_saved() -> None:
    """At most ten retries are saved, however long nothing is retried and however much is sent."""
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


def test_a_clock_that_goes_back() -> None:
    """A time before the last one adds and removes no retries."""
    budget = RetryBudget()
    budget.spend(100.0)
    assert [budget.spend(50.0) for _ in range(10)] == pytest.approx([0.0] * 9 + [0.1])
