"""How long a call waits before it is tried again."""

from __future__ import annotations

import pytest

from runtime.live.backoff import RetryParams


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


@pytest.mark.parametrize("wrong", [{"retries": -1}, {"first_s": -0.1}, {"growth": 0.9}])
def test_senseless_parameters_are_refused(wrong: dict[str, float]) -> None:
    """With a sentence; the least that makes sense is taken."""
    with pytest.raises(ValueError, match="never negative"):
        RetryParams(**wrong)  # type: ignore[arg-type]
    assert RetryParams(retries=0, first_s=0.0, growth=1.0).wait_s(0, 3) == 0.0
