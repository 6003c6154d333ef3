"""Circuit breakers, by instants that the test gives."""

from __future__ import annotations

import pytest

from runtime.live.breaker import Breaker, BreakerParams


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


@pytest.mark.parametrize("wrong", [{"threshold": 0}, {"cooldown_s": 0.0}, {"growth": 0.9}])
def test_senseless_parameters_are_refused(wrong: dict[str, float]) -> None:
    """With a sentence; the least that makes sense is taken."""
    with pytest.raises(ValueError, match="at least"):
        BreakerParams(**wrong)  # type: ignore[arg-type]
    BreakerParams(threshold=1, cooldown_s=1e-3, growth=1.0)
