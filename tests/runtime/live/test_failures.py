"""Retries and circuit breakers, by instants that the test gives."""

from __future__ import annotations

import pytest

from runtime.live.backoff import RetryParams
from runtime.live.breaker import Breaker, BreakerParams


def test_waits_grow_up_to_the_longest_and_are_the_same_for_a_seed() -> None:
    """Between half and all of an exponential wait, with jitter that differs between calls."""
    params = RetryParams(first_s=1.0, growth=2.0, longest_s=10.0, seed=3)
    for attempt, most in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 10.0), (50, 10.0)):
        waits = {params.wait_s(e, attempt) for e in range(20)}
        assert len(waits) == 20
        assert all(most / 2 <= w <= most for w in waits)
        assert params.wait_s(7, attempt) == RetryParams(first_s=1.0, longest_s=10.0, seed=3).wait_s(
            7, attempt
        )
    assert params.wait_s(7, 1) != RetryParams(first_s=1.0, seed=4).wait_s(7, 1)


def test_a_server_that_says_when_is_obeyed_within_reason() -> None:
    """`Retry-After` counts in place of the wait, up to the longest."""
    params = RetryParams(longest_s=10.0)
    assert params.wait_s(0, 1, 3.5) == 3.5
    assert params.wait_s(0, 1, 1e5) == 10.0


def test_a_circuit_opens_after_failures_in_a_row_only() -> None:
    """An answer between two failures begins the count anew."""
    breaker = Breaker(BreakerParams(threshold=3))
    for _ in range(5):
        breaker.fail(0.0)
        breaker.fail(0.0)
        breaker.succeed()
    assert not breaker.is_open
    for _ in range(3):
        breaker.fail(7.0)
    assert breaker.is_open
    assert breaker.opened == 1


def test_an_open_circuit_lets_one_trial_through_and_waits_longer_after_each_failure() -> None:
    """Closed again by the first answer."""
    breaker = Breaker(BreakerParams(threshold=1, cooldown_s=2.0, growth=3.0, longest_s=10.0))
    breaker.fail(100.0)
    now_s = 100.0
    for pause_s in (2.0, 6.0, 10.0, 10.0):
        assert breaker.wait_s(now_s) == pytest.approx(pause_s)
        now_s += pause_s
        assert breaker.wait_s(now_s) == 0.0
        breaker.send()
        assert breaker.wait_s(now_s) == float("inf")
        breaker.fail(now_s)
    breaker.send()
    breaker.succeed()
    assert breaker.wait_s(now_s) == 0.0
    assert not breaker.is_open


def test_failures_of_calls_that_were_under_way_say_nothing_new() -> None:
    """They make the pause of an open circuit no longer."""
    breaker = Breaker(BreakerParams(threshold=1, cooldown_s=2.0))
    breaker.fail(0.0)
    for _ in range(10):
        breaker.fail(1.0)
    assert breaker.wait_s(0.0) == pytest.approx(2.0)
    assert breaker.opened == 1


@pytest.mark.parametrize(
    "make", [lambda: BreakerParams(threshold=0), lambda: RetryParams(retries=-1)]
)
def test_senseless_parameters_are_refused(make: object) -> None:
    """With a sentence."""
    with pytest.raises(ValueError, match=r"at least|never negative"):
        make()  # type: ignore[operator]
