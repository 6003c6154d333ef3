"""The pictures for papers against their baselines, dot by dot."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.testing.compare import compare_images

from tests.cli.pictures import BASELINE, draw, plots

TOLERANCE = 0.5
"""Root mean square of the difference, of 255: a changed digit of a tick exceeds it."""


@pytest.mark.parametrize("name", sorted(plots()))
def test_a_plot_draws_what_its_baseline_shows(name: str, tmp_path: Path) -> None:
    """The same dots; `python -m tests.cli.pictures` renews them: look at what has changed."""
    draw(tmp_path / f"{name}.png", plots()[name])
    wrong = compare_images(
        str(BASELINE / f"{name}.png"), str(tmp_path / f"{name}.png"), tol=TOLERANCE
    )
    assert wrong is None, wrong


def test_a_changed_digit_is_seen(tmp_path: Path) -> None:
    """The tolerance forgives rounding, and no figure that is another."""
    for label in ("0.91", "0.97"):

        def labelled(figure: object, label: str = label) -> None:
            plots()["course"](figure)  # type: ignore[arg-type]
            figure.axes[0].set_xlabel(f"time (s), gap {label}")  # type: ignore[attr-defined]

        draw(tmp_path / f"{label}.png", labelled)
    one, other = str(tmp_path / "0.91.png"), str(tmp_path / "0.97.png")
    assert compare_images(one, other, tol=TOLERANCE) is not None


def test_every_baseline_is_of_a_plot() -> None:
    """What is drawn no more leaves no baseline behind."""
    assert {p.stem for p in BASELINE.glob("*.png")} == set(plots())
