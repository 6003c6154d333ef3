"""Two steps at once: both results, both budgets, and no error lost."""

from threading import Event

import pytest

from placement.solver.beside import both
from placement.solver.budget import Budget, OutOfTime, tick

PATIENCE_S = 60.0


def test_both_run_at_once() -> None:
    """Each waits for a sign of the other, which one after the other would wait for ever."""
    first, second = Event(), Event()

    def here() -> bool:
        first.set()
        return second.wait(PATIENCE_S)

    def there() -> bool:
        second.set()
        return first.wait(PATIENCE_S)

    assert both(here, there) == (True, True)


def test_what_bounds_the_caller_bounds_both() -> None:
    """The thread is told that the time of the phase is over."""
    ended = []

    def there() -> None:
        try:
            tick()
        except OutOfTime:
            ended.append("there")
            raise

    with Budget(0.0).bounded():
        both(lambda: None, there)
        ended.append("not reached")
    assert ended == ["there"]


@pytest.mark.parametrize("wrong", ["here", "there"])
def test_an_error_of_either_is_raised_when_both_have_ended(wrong: str) -> None:
    """The other one is not left running."""
    done = []

    def step(name: str) -> None:
        if name == wrong:
            raise ValueError(name)
        done.append(name)

    with pytest.raises(ValueError, match=wrong):
        both(lambda: step("here"), lambda: step("there"))
    assert done == [{"here": "there", "there": "here"}[wrong]]
