"""Plans beside each other: those that no other beats, and nothing else, are called the best."""

from __future__ import annotations

from cli.views.plans import Point, plans_side_by_side, points_of
from runtime.figures import latency_percentile
from tests.runtime.scenes import make_scene


def test_a_plan_is_beaten_by_one_that_is_nowhere_worse() -> None:
    """Better in one figure and worse in none; equal plans leave each other alone."""
    plain = Point("a", 0.9, 10.0, 8)
    assert plain.beaten_by(Point("b", 0.9, 9.0, 8))
    assert plain.beaten_by(Point("b", 0.95, 10.0, 7))
    assert not plain.beaten_by(Point("b", 0.9, 10.0, 8))
    assert not plain.beaten_by(Point("b", 0.99, 11.0, 8))
    assert not plain.beaten_by(Point("b", 0.99, 9.0, 9))


def test_the_figures_are_those_of_the_runs() -> None:
    """A dot for each plan, whose words hold its P99; a plan that is kept whole beats its like."""
    one, other = make_scene(4, name="one"), make_scene(4, name="other", keep=0.2)
    points = points_of([one, other])
    assert [p.p99_s for p in points] == [latency_percentile(s, 99) for s in (one, other)]
    page = plans_side_by_side([one, other])
    assert page.count("<circle") == 2 * 2  # for screens, and for telephones
    assert page.count("no other is better") >= 1
