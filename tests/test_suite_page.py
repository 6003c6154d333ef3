"""The results page tells wins from losses."""

from __future__ import annotations

from typing import Any

from benchmarks.suite_page import page

ROUTERS = ("plan", "locality", "earliest", "least-loaded")


def row(case: str, method: str, router: str, **more: Any) -> dict[str, Any]:
    return {
        "case": case,
        "scheduler": "static",
        "method": method,
        "routing": router,
        "server_efficiency": 90.0,
        "cross_server_communications": 10,
        "utilization_variance": 5.0,
        "makespan": 100.0,
        "p99": 8.0,
        "throughput": 1.0,
        "completed_requests": 100,
        "objective": 0.9,
        "best_bound": 0.9 if method == "ilp" else None,
        "gap": 0.0 if method == "ilp" else None,
        "load_cap": 0.8,
        "solve_seconds": 1.0,
        **more,
    }


def test_every_loss_is_named_with_its_reason() -> None:
    """A case lost by a lower cap and one lost by weights are listed apart; a won case is not."""
    rows = [row(c, "ilp", r) for c in ("a load 1", "b load 1", "c load 1") for r in ROUTERS]
    lost = {"server_efficiency": 95.0}
    for router in ROUTERS:
        rows += [
            row("a load 1", "greedy", router, load_cap=0.9, objective=0.95, **lost),
            row("b load 1", "greedy", router, objective=0.8, **lost),
            row("c load 1", "greedy", router, server_efficiency=50.0, objective=0.5, p99=4.0),
        ]
    rows.append({"case": "c load 1", "method": "partition", "infeasible": "too small"})
    text = page(rows)
    losses = text[text.index("does not win") :]
    assert "1 cases: ilp found a lower bottleneck load" in losses
    assert "1 cases: ilp's objective is the higher one" in losses
    assert "- a load 1: SE 90.0 against 95.0" in losses
    assert "- c load 1: SE" not in losses
    assert "| plan | greedy | 33 % |" in text
    assert "| greedy | 2 of 2 | 2 of 2 | 1 | 0 |" in text
    assert "| greedy | 1 |" in losses, "one tail is shorter than ilp's"
    assert "- partition: c load 1" in text
