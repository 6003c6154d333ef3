"""The page on the original's data lists what is lost, and not what is won."""

from __future__ import annotations

from typing import Any

from benchmarks.gswarm_data import ROUTINGS, page


def row(case: str, method: str, **efficiency: float) -> dict[str, Any]:
    measured = {
        routing: {
            "server_efficiency": efficiency.get(routing, 50.0),
            "csc": 3,
            "utilization_variance": 4.0,
            "makespan_s": 100.0,
            "p99_s": 9.0,
        }
        for routing in ROUTINGS
    }
    return {
        "case": case, "gpus": 8, "gpus_per_server": 4, "mode": "online", "method": method,
        "objective": 1.0, "best_bound": 1.0, "status": "optimal", "max_utilization": 2.0,
        "replicas": 8, "solve_s": 1.0, **measured,
    }  # fmt: skip


def test_losses_are_listed_by_router() -> None:
    """A lower efficiency under `locality` counts, one under the blind `earliest` does not."""
    rows = [
        row("a", "ilp", plan=90.0, earliest=10.0),
        row("a", "greedy", plan=80.0, locality=60.0, earliest=99.0),
        row("b", "ilp", plan=90.0),
        row("b", "greedy", plan=80.0),
    ]
    listed = [line for line in page(rows).splitlines() if line.startswith("- ")]
    assert len(listed) == 1
    assert "a 8/4 online, greedy, router `locality`: 50.0 against 60.0" in listed[0]
    assert "In no case." in page(rows[2:])
