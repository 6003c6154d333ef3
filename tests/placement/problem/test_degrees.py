"""Models that leave a choice of degrees, against a config written out for each choice."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placement.check import check
from placement.files.config_file import read_config
from placement.files.request_file import read_requests
from placement.problem.cluster import Cluster
from placement.problem.degrees import solve_choices
from placement.problem.instance_building import build_instance
from placement.problem.outcome import Infeasible, SolveOptions, SolveResult
from placement.problem.plan import Plan
from placement.problem.trace import Trace
from placement.problem.workload import Workload
from placement.solve import solve, solve_instance
from placement.support.faults import InputError
from placement.verify.proof import check_bound
from runtime.simulate import simulate

BIG = [{"gpus": 1, "seconds": 4.0}, {"gpus": 2, "seconds": 2.4}]
MID = [{"gpus": 1, "seconds": 2.0}, {"gpus": 2, "seconds": 1.5}]


def read(tmp_path: Path, big: Any, mid: Any) -> tuple[Workload, Trace]:
    """A model is a list of degrees, or one of them."""
    models = {}
    for name, memory, said in (("big", 60.0, big), ("mid", 44.0, mid), ("small", 20.0, 1)):
        one = said if isinstance(said, dict) else {}
        models[name] = {
            "name": name, "memory_gb": memory, "gpus_required": one.get("gpus", said),
            "load_time_seconds": 1, "inference_time_mean": one.get("seconds", 1.0),
        }  # fmt: skip
        if isinstance(said, list):
            del models[name]["inference_time_mean"]
    flow = {
        "nodes": [{"id": m, "model": m} for m in models],
        "edges": [{"from": "big", "to": "mid"}, {"from": "mid", "to": "small"}],
    }
    (tmp_path / "c.json").write_text(json.dumps({"models": models, "workflows": {"w": flow}}))
    (tmp_path / "r.yaml").write_text("rates: {w: 0.3}\nseconds: 300\n")
    workload = read_config(tmp_path / "c.json")
    return workload, read_requests(tmp_path / "r.yaml", workload)


def latency(plan: Plan, workload: Workload, trace: Trace) -> np.ndarray:
    return simulate(workload, trace, plan, policy="plan").end_s


@pytest.mark.parametrize("gpus_per_server", [2, 3])
def test_the_best_choice_is_found_and_runs_as_it_would_alone(
    gpus_per_server: int, tmp_path: Path
) -> None:
    """Least cap, then locality, over all choices; judged, proven and simulated alike."""
    cluster = Cluster.homogeneous(6, gpus_per_server)
    workload, trace = read(tmp_path, BIG, MID)
    plan = solve(workload, trace, cluster)
    assert check(plan, workload, trace) == []
    assert check_bound(plan).holds
    worth: dict[tuple[int, int], tuple[float, float]] = {}
    runs = {}
    for big, mid in product(BIG, MID):
        alone, same = read(tmp_path, big, mid)
        key = int(big["gpus"]), int(mid["gpus"])
        try:
            found = solve(alone, same, cluster)
        except Infeasible:
            continue
        worth[key] = -found.certificate.load_cap, found.certificate.objective
        runs[key] = latency(found, alone, same)
    chosen = tuple(int(k) for k in plan.instance.gpus_required[:2])
    mine = -plan.certificate.load_cap, plan.certificate.objective
    assert mine == pytest.approx(max(worth.values()), abs=1e-6)
    assert worth[chosen] == pytest.approx(mine, abs=1e-6)
    np.testing.assert_allclose(latency(plan, workload, trace), runs[chosen], rtol=1e-9)


@pytest.mark.parametrize(
    ("lower", "bound", "status"), [(0.75, 0.9, "work limit"), (0.85, 0.6, "optimal")]
)
def test_a_choice_under_a_higher_cap_counts_for_the_bound(
    lower: float, bound: float, status: str, tmp_path: Path
) -> None:
    """Some plan of it may keep the lower cap, unless its least load is proven to be above."""
    workload, trace = read(tmp_path, BIG, 1)
    plain = solve_instance(
        build_instance(workload, trace, Cluster.homogeneous(6, 3)), SolveOptions(method="greedy")
    )

    def found(cap: float, objective: float, lower: float) -> SolveResult:
        stated = replace(
            plain.certificate,
            method="ilp",
            status="optimal",
            objective=objective,
            best_bound=objective,
            gap=0.0,
            load_cap=cap,
            bottleneck_lower=lower,
            bottleneck_upper=cap,
        )
        return replace(plain, certificate=stated)

    results = iter([found(0.8, 0.6, 0.5), found(0.9, 0.9, lower)])
    chosen, best = solve_choices([plain.instance] * 2, lambda _: next(results))
    assert (chosen, best.certificate.best_bound) == (0, bound)
    assert best.certificate.gap == pytest.approx(bound / 0.6 - 1)
    assert best.certificate.status == status


def test_a_choice_too_many_and_degrees_that_are_none_are_said(tmp_path: Path) -> None:
    """What is wrong, with what to do."""
    many = [{"gpus": k, "seconds": 1.0} for k in range(1, 8)]
    workload, trace = read(tmp_path, many, many)
    with pytest.raises(ValueError, match="49 choices of gpus_required"):
        solve(workload, trace, Cluster.homogeneous(8, 8))
    with pytest.raises(InputError, match=r"models\.big.*seconds.*is missing"):
        read(tmp_path, [{"gpus": 1}], 1)
    with pytest.raises(InputError, match="gpus_required"):
        read(tmp_path, [], 1)
