"""The front door: a workload, its demand and a cluster in, a plan out."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from placement.check import check_plan
from placement.files.config_file import read_config
from placement.files.plan_file import read_plan, write_plan
from placement.files.request_file import read_requests
from placement.heuristics import HEURISTICS
from placement.problem.cluster import Cluster
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.instance_building import build_instance
from placement.problem.names import METHODS, SCORED, Method
from placement.problem.outcome import Progress, SolveOptions
from placement.problem.plan_building import build_plan
from placement.problem.rules import Rules
from placement.problem.trace import Trace, measure_demand
from placement.problem.workload import Workload
from placement.solve import solve, solve_instance
from placement.solver.budget import Budget
from placement.solver.solver_names import SolverUnavailable
from tests.placement.heuristics.cases import random_instance

CONFIGS = Path(__file__).parents[2] / "configs"
CLUSTER = Cluster.homogeneous(8)


@pytest.fixture(scope="module")
def small() -> tuple[Workload, Trace]:
    workload = read_config(CONFIGS / "small.yaml")
    return workload, read_requests(CONFIGS / "small_requests.yaml", workload)


def test_a_plan_is_the_one_of_the_instance(small: tuple[Workload, Trace], tmp_path: Path) -> None:
    """A trace or its demand: the plan is what the instance's solve gives, file for file."""
    workload, trace = small
    options, rules = SolveOptions(method="greedy", seed=1), Rules("edges", exclusive=True)
    instance = build_instance(workload, measure_demand(workload, trace), CLUSTER, rules)
    write_plan(tmp_path / "0.yaml", build_plan(solve_instance(instance, options), workload))
    for i, demand in enumerate((trace, measure_demand(workload, trace)), start=1):
        plan = solve(workload, demand, CLUSTER, options, rules=rules)
        write_plan(tmp_path / f"{i}.yaml", plan)
        assert (tmp_path / f"{i}.yaml").read_bytes() == (tmp_path / "0.yaml").read_bytes()
    plan = read_plan(tmp_path / "1.yaml")
    assert (plan.objective, plan.instance.exclusive) == ("edges", True)
    assert check_plan(plan) == []


def test_every_method_that_is_listed_is_there(small: tuple[Workload, Trace]) -> None:
    """Each gives a plan that holds; the one that needs a score says so, and nothing else is."""
    assert set(HEURISTICS) < set(METHODS) == set(get_args(Method))
    for method in METHODS:
        options = SolveOptions(method=method, time_limit_s=5)
        if method == SCORED:
            with pytest.raises(ValueError, match="needs a simulator's score of placements"):
                solve(*small, CLUSTER, options)
            continue
        plan = solve(*small, CLUSTER, options)
        assert check_plan(plan) == []
        assert plan.certificate.method == method


@pytest.mark.parametrize("method", ["greedy", "ilp"])
def test_a_solver_that_is_not_there_is_named_before_anything_is_done(
    method: Method, small: tuple[Workload, Trace]
) -> None:
    """Else a heuristic would search for minutes before its first program."""
    told: list[Progress] = []
    instance = build_instance(small[0], measure_demand(*small), CLUSTER)
    with pytest.raises(SolverUnavailable, match="NOBODY"):
        solve_instance(instance, SolveOptions(method=method, solver="NOBODY"), progress=told.append)
    assert told == []


def test_a_target_that_no_gpu_can_have_is_refused(small: tuple[Workload, Trace]) -> None:
    """Eighty is no percentage here, and all the time is the most that there is."""
    for wrong in ("80", "1.01"):
        refused = rf"max_utilization is {wrong}, .* above 0 and at most 1"
        with pytest.raises(ValueError, match=refused):
            solve(*small, CLUSTER, SolveOptions(max_utilization=float(wrong)))


def test_a_solve_says_why_it_ended() -> None:
    """No time, an interrupt, a gap that was asked for, or nothing left to prove."""
    instance = random_instance(3, servers=3, gpus=3, load=0.55)
    stopped = Budget(0.0)
    early = solve_instance(instance, SolveOptions(time_limit_s=0.0), budget=stopped)
    assert early.certificate.gap > 0.01
    assert early.certificate.status == "time limit"
    assert not early.certificate.deterministic
    interrupted = Budget(60.0)
    interrupted.interrupt()
    ended = solve_instance(instance, SolveOptions(), budget=interrupted)
    assert ended.certificate.status == "interrupted"
    # By patterns: the compact program of a small cluster is closed whatever gap is asked for.
    wide = solve_instance(instance, SolveOptions(gap=0.9, form="patterns", time_limit_s=None))
    assert wide.certificate.status == "gap"
    assert wide.certificate.deterministic
    told: list[Progress] = []
    whole = solve_instance(instance, SolveOptions(gap=0.0, form="compact"), progress=told.append)
    # What is told on the way: a time that passes, plans that get better, bounds that all hold.
    assert tuple(told) == whole.history
    assert [e.seconds for e in told] == sorted(e.seconds for e in told)
    assert {"start", "balance", "done"} <= {e.phase for e in told}
    for event in told:
        worth = event.incumbent or 0.0
        assert worth <= whole.certificate.objective + 1e-9
        assert whole.certificate.objective <= (event.best_bound or 1.0) + 1e-9 <= 1.0 + 2e-9
    assert whole.certificate.status == "optimal"
    assert whole.certificate.best_bound <= early.certificate.best_bound + 1e-9


def test_nothing_is_sought_where_the_start_keeps_all() -> None:
    """Of a start that crosses nowhere no form need prove that no locality exceeds 1."""
    flow = WorkflowDemand("w", 0.2, np.array([0, 1]), np.full(2, 0.5), np.array([[0, 1]]))
    instance = Instance(
        model_ids=("a", "b"),
        gpus_required=np.ones(2, dtype=np.int64),
        memory_per_gpu_gb=np.full(2, 30.0),
        workflows=(flow,),
        cluster=Cluster.homogeneous(4, 2),
    )
    certificate = solve_instance(instance, SolveOptions(form="patterns")).certificate
    assert (certificate.status, certificate.best_bound) == ("optimal", 1.0)
    assert certificate.objective == pytest.approx(1.0)
    assert certificate.duals is None
