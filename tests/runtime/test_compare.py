"""The verdict on a comparison: who is ahead, by how much, and why where it is not the program."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.compare import comparison_verdict, ranked


def row(method: str | None, efficiency: float, **more: Any) -> dict[str, Any]:
    """A row of `compare`."""
    return {
        "scheduler": "static" if method else "baseline",
        "method": method,
        "routing": "plan" if method else None,
        "server_efficiency": efficiency,
        "cross_server_communications": more.get("crossings", 0),
        "p99": more.get("p99", 10.0),
        "load_cap": more.get("cap", 0.8) if method else None,
        "objective": more.get("objective", efficiency / 100) if method else None,
    }


def test_rows_are_ranked_by_efficiency_then_crossings_then_tail() -> None:
    """A later key decides only between equals."""
    rows = [
        row("greedy", 50.0, p99=1.0),
        row("ilp", 90.0, crossings=2, p99=1.0),
        row("random", 90.0, crossings=1, p99=9.0),
        row("partition", 90.0, crossings=1, p99=8.0),
    ]
    assert [r["method"] for r in ranked(rows)] == ["partition", "random", "ilp", "greedy"]


@pytest.mark.parametrize(
    ("rival", "level", "words"),
    [
        ({"efficiency": 80.0}, "good", "90.0% of requests on one server, 10.0 points more"),
        ({"efficiency": 90.02}, "good", "as many as greedy under plan"),
        ({"efficiency": 95.0, "cap": 0.97}, "fair", "97.0% of the time, the program's 80.0%"),
        ({"efficiency": 95.0, "objective": 0.85}, "fair", "the queues of this trace decide"),
        ({"efficiency": 95.0, "objective": 0.96}, "fair", "5.0 points more than ilp under plan"),
    ],
)
def test_a_rival_ahead_is_named_and_explained(
    rival: dict[str, Any], level: str, words: str
) -> None:
    """By its looser cap, or by queues where its plan is no better at mean rates."""
    verdict = comparison_verdict([row("ilp", 90.0), row("greedy", **rival)])
    assert verdict.level == level
    assert words in verdict.headline


def test_without_a_program_the_best_is_named() -> None:
    """Schedulers without a plan count too; the shortest tail is somebody's."""
    verdict = comparison_verdict([row("greedy", 40.0), row(None, 50.0, p99=3.0)])
    assert verdict.headline.startswith("baseline keeps 50.0%")
    assert "shortest tail: baseline, P99 3.0 s" in verdict.remarks[0].text
    assert "greedy under plan keeps 40.0%" in comparison_verdict([row("greedy", 40.0)]).headline
