"""The report's pictures against their baselines, shape by shape."""

from __future__ import annotations

import pytest

from tests.cli.pictures import BASELINE, shapes, views


@pytest.mark.parametrize("name", sorted(views()))
def test_a_view_draws_what_its_baseline_shows(name: str) -> None:
    """The same shapes, classes, texts and labels; `python -m tests.cli.pictures` renews them."""
    drawn = shapes(views()[name]())
    assert drawn.count("\n") > 10
    assert drawn == (BASELINE / f"{name}.txt").read_text(encoding="utf-8")


def test_every_baseline_is_of_a_view() -> None:
    """What is drawn no more leaves no baseline behind."""
    assert {p.stem for p in BASELINE.glob("*.txt")} == set(views())
