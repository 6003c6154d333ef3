"""The results page tells wins from losses, at each method's headroom and at equal headroom."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.suite import rows_of
from benchmarks.suite_cases import Case
from benchmarks.suite_contest import collect, equal_pairs
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
        "time_limit_s": 20.0,
        **more,
    }


def test_every_loss_is_named_with_its_reason() -> None:
    """One lost by a lower cap is won at the rival's; one lost by weights is listed with what the
    other weights give; a won case is not listed."""
    rows = [row(c, "ilp", r) for c in ("a load 1", "b load 1", "c load 1") for r in ROUTERS]
    lost = {"server_efficiency": 95.0}
    for router in ROUTERS:
        rows += [
            row("a load 1", "greedy", router, load_cap=0.9, objective=0.95, **lost),
            row("a load 1", "ilp", router, load_cap=0.9, objective=0.97, best_bound=0.97,
                at_cap_of="greedy", server_efficiency=97.0),
            row("b load 1", "greedy", router, objective=0.8, **lost),
            row("b load 1", "ilp", router, at_cap_of="greedy", whole_workflows=True,
                server_efficiency=96.5),
            row("c load 1", "greedy", router, server_efficiency=50.0, objective=0.5, p99=4.0),
        ]  # fmt: skip
    rows.append({"case": "c load 1", "method": "partition", "infeasible": "too small",
                 "time_limit_s": 20.0})  # fmt: skip
    text = page(rows)
    own, equal = text.split("## At equal headroom")
    assert "| plan | greedy | 33 % |" in own
    assert "| plan | greedy | 67 % |" in equal
    assert "| greedy | 3 | 1 | 0 | 3 of 3 | 3 of 3 |" in equal
    losses = text[text.index("does not win") :]
    assert "| greedy | 2 | 1 | 0 |" in losses, "of two losses one has the tighter cap, and is won"
    assert "1 cases: ilp's objective is the higher one" in losses
    assert "- b load 1: SE 90.0 against 95.0 (96.5)" in losses
    assert "- a load 1" not in losses
    assert "- c load 1: SE" not in losses
    assert "| greedy | 1 |" in losses, "one tail is shorter than ilp's"
    assert "- partition: c load 1" in text


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """A case in which greedy's bottleneck is above the program's, and one more rival."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.suite.METHODS", ("ilp", "greedy", "random"))
        return rows_of(Case("small", "8/4", "offline", None, exclusive=False), 10.0)


def test_at_equal_headroom_the_program_loses_to_nobody(rows: list[dict[str, Any]]) -> None:
    """Both rows of a pair have one cap, the looser of their own, and ilp's objective, with its
    proof, is no lower than its rival's."""
    results = collect(rows)
    differ = 0
    for rival in ("greedy", "random"):
        ((a, b),) = equal_pairs(results, rival, "plan")
        own = {m: results.own[a["case"]][m, "plan"]["load_cap"] for m in ("ilp", rival)}
        assert a["load_cap"] == pytest.approx(b["load_cap"])
        assert a["load_cap"] == pytest.approx(max(own.values()))
        assert max(a["max_utilization"], b["max_utilization"]) <= a["load_cap"] * (1 + 1e-6)
        assert a["best_bound"] + 1e-9 >= a["objective"] >= b["objective"] - 1e-6
        differ += own["ilp"] < own[rival] * (1 - 1e-6)
    assert differ, "the case is one in which a rival has more room of its own"
