"""The clock interrupts, is remembered where it does, and reaches whatever is bounded by it."""

import pytest

from placement.solver.budget import OVER_S, Budget, tick


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def test_only_what_was_told_by_the_clock_is_cut_short() -> None:
    """Time that runs out unseen changes nothing; one look at it, from any part, is remembered."""
    clock = Clock()
    whole = Budget(10.0, clock=clock)
    phase = whole.part(0.5).part(0.5)
    assert not phase.expired
    clock.now += 3.0
    assert not whole.cut_short
    assert phase.expired
    assert whole.cut_short
    assert not whole.expired


@pytest.mark.parametrize(("wanted", "cut"), [(2.0, False), (6.0, True)])
def test_a_step_that_is_too_long_is_the_word_of_the_clock(wanted: float, cut: bool) -> None:
    """A step not begun for want of time depends on the clock as one that it ends."""
    whole = Budget(5.0, clock=Clock())
    assert whole.affords(wanted) != cut
    assert whole.cut_short == cut


def test_without_a_limit_nothing_is_cut_short() -> None:
    """Whatever time passes."""
    clock = Clock()
    whole = Budget(clock=clock)
    clock.now += 1e9
    assert not whole.part(0.1).expired
    assert whole.part(0.1).affords(1e9)
    assert whole.limit_s is None
    assert not whole.cut_short


def test_solvers_are_told_seconds_of_the_machine() -> None:
    """Under a clock that runs ten times faster a solver has a tenth of the time."""
    assert Budget(20.0, clock=Clock(), pace=10.0).limit_s == pytest.approx(2.0)


def test_interruption_reaches_every_part_and_is_no_result_of_work() -> None:
    """Parts made before and after it have expired."""
    whole = Budget()
    before = whole.part(0.5)
    whole.interrupt()
    assert before.expired
    assert whole.part(0.5).expired
    assert whole.cut_short
    assert not whole.closing().expired, "what a solve owes after its end"


def test_a_bounded_step_ends_at_its_first_tick_after_its_time() -> None:
    """The innermost bound counts; what was done before the tick stays, and work goes on behind."""
    clock = Clock()
    whole = Budget(10.0, clock=clock)
    done = []
    with whole.bounded():
        with whole.part(0.1).bounded():
            tick()
            done.append("inner")
            clock.now += 2.0
            tick()
            done.append("too late")
        tick()
        done.append("outer")
    tick()
    assert done == ["inner", "outer"]


def test_a_phase_that_runs_over_is_named() -> None:
    """With the seconds that it took beyond its part; one in time is not."""
    clock = Clock()
    whole = Budget(10.0, clock=clock)
    with whole.phase("quick", 0.5):
        clock.now += 1.0
    with whole.phase("slow", 0.5):
        clock.now += 4.5 + 2 * OVER_S
    assert [o.phase for o in whole.overruns] == ["slow"]
    assert whole.overruns[0].seconds == pytest.approx(2 * OVER_S)


def test_a_step_is_afforded_again_if_what_it_took_is_left() -> None:
    """Of ten seconds: after four begun at nothing, and not after six; the clock has its say."""
    now = [0.0]
    for taken, again in ((4.0, True), (6.0, False)):
        now[0] = 0.0
        budget = Budget(10.0, clock=lambda: now[0])
        begin = budget.elapsed_s
        now[0] = taken
        assert budget.affords_again(begin) == again
        assert budget.cut_short != again
    assert Budget().affords_again(-1e9)
