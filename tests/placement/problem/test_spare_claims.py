"""What plans say of spare replicas and GPUs: kept by what solves, refuted where it is not so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from placement.check import check_plan
from placement.files.plan_file import read_plan, write_plan
from placement.problem.cluster import Cluster
from placement.problem.instance_building import build_instance
from placement.problem.model_rules import ModelRules
from placement.problem.names import LOAD_AFTER_LOSS, Spares
from placement.problem.outcome import SolveOptions
from placement.problem.placement_rules import PlacementRules
from placement.problem.plan import Plan
from placement.problem.plan_building import build_plan
from placement.problem.rules import Rules
from placement.problem.solution import Flows, Placement, Solution
from placement.problem.spare_claims import fitting
from placement.problem.trace import Demand
from placement.problem.violations import placement_violations
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from placement.programs.after_loss import losses
from placement.solve import solve, solve_instance
from placement.solver.milp import SolverSettings
from placement.survive import solve_surviving

MODELS = tuple(Model(name, name, 30.0, 1, 1.0) for name in "ab")
WORKLOAD = Workload(MODELS, (Workflow("w", "w", (Node("n", 0), Node("o", 1)), (Edge(0, 1),)),))
DEMAND = Demand(np.ones(1), np.full(1, 0.2), (np.full(2, 1.0),), 10.0)


def planned(rules: PlacementRules, gpus: int = 4, **options: object) -> Plan:
    """Two models of 30 GB on servers of two GPUs of 80 GB: two fit on a GPU."""
    return solve(
        WORKLOAD,
        DEMAND,
        Cluster.homogeneous(gpus, 2),
        SolveOptions(**options),  # type: ignore[arg-type]
        rules=Rules(placement=rules),
    )


def claiming(plan: Plan, rules: PlacementRules) -> list[str]:
    """What is wrong with a plan that says it was made under other rules on spares."""
    mine = replace(plan.instance.placement_rules, spares=rules.spares, pack=rules.pack)
    instance = replace(plan.instance, placement_rules=mine)
    return check_plan(replace(plan, instance=instance))


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
@pytest.mark.parametrize("rules", [PlacementRules(spares="none"), PlacementRules(pack=True)])
def test_the_file_keeps_what_was_asked_for(
    rules: PlacementRules, suffix: str, tmp_path: Path
) -> None:
    """A plan that is read says what it was made under."""
    path = tmp_path / f"plan{suffix}"
    write_plan(path, planned(rules))
    found = read_plan(path).instance.placement_rules
    assert (found.spares, found.pack) == (rules.spares, rules.pack)


def test_claims_that_do_not_hold_are_refuted() -> None:
    """A full plan has spares, one without any has room, and one over all GPUs is not packed."""
    full = planned(PlacementRules(spares="fill"))
    assert full.placement.n_replicas == 8
    none = planned(PlacementRules(spares="none"))
    assert none.placement.n_replicas == 2
    for plan, rules, words in (
        (none, PlacementRules(spares="fill"), "one more replica fits"),
        (none, PlacementRules(pack=True), "holds nothing"),
        (full, PlacementRules(spares="fill"), None),
        (none, PlacementRules(spares="none"), None),
    ):
        faults = claiming(plan, rules)
        assert [words in f for f in faults] == ([True] if words else [])
    # Idle ones beside those of the plan: each could be left out.
    busy = dict(zip(none.placement.replicas(), none.load.tolist(), strict=True))
    load = np.array([busy.get(row, 0.0) for row in full.placement.replicas()])
    idle = replace(none, placement=full.placement, load=load)
    assert any("can be left out" in f for f in claiming(idle, PlacementRules(spares="none")))


@pytest.mark.parametrize("spares", ["none", "fill"])
@pytest.mark.parametrize("limit_s", [0.0, None])
@pytest.mark.parametrize(
    "models",
    [
        {},
        {"a": ModelRules(max_replicas=2)},
        {"a": ModelRules(min_replicas=3), "b": ModelRules(spread=2)},
        {"a": ModelRules(apart_from=("b",))},
        {"a": ModelRules(together_with=("b",))},
    ],
)
def test_what_is_solved_keeps_the_claim_in_any_time(
    spares: Spares, limit_s: float | None, models: dict[str, ModelRules]
) -> None:
    """Under rules on numbers and company, with no time at all too; found by no solver."""
    plan = planned(PlacementRules(models=models, spares=spares), time_limit_s=limit_s)
    assert check_plan(plan) == []


def test_what_stands_for_a_loss_is_no_spare() -> None:
    """A plan that survives keeps replicas that are idle now, on all GPUs, and says no untruth."""
    for rules in (PlacementRules(spares="none"), PlacementRules(pack=True)):
        instance = build_instance(
            WORKLOAD, DEMAND, Cluster.homogeneous(4, 2), Rules(placement=rules)
        )
        found = solve_surviving(instance, SolveOptions()).result
        plan = build_plan(found, WORKLOAD)
        worst = losses(found.instance, found.solution.placement, SolverSettings())[0]
        stated = {**plan.expected, LOAD_AFTER_LOSS: worst.load}
        assert check_plan(replace(plan, expected=stated)) == []
        assert found.instance.cluster.usable_gpus.sum() == 4
        assert (np.bincount(found.solution.placement.model) >= 2).all()
        assert found.instance.placement_rules.spares == "few"


def test_a_replica_of_a_solver_s_noise_is_left_out() -> None:
    """Shares too small for a plan leave it without load, and so it is a spare."""
    rules = PlacementRules(spares="none")
    instance = build_instance(WORKLOAD, DEMAND, Cluster.homogeneous(4, 2), Rules(placement=rules))
    result = solve_instance(instance, SolveOptions(method="greedy"))
    solution = result.solution
    (home,) = set(solution.flows.server.tolist())
    rows = [*solution.placement.replicas(), (0, 1 - home, 0)]
    load = dict(zip(rows, [*solution.load.tolist(), 1e-12], strict=True))
    placement = Placement.of(rows)
    flows = Flows(
        np.append(solution.flows.workflow, 0),
        np.append(solution.flows.node, 0),
        np.append(solution.flows.server, 1 - home),
        np.append(solution.flows.rate, 2e-13),
    )
    noisy = Solution(placement, flows, np.array([load[row] for row in placement.replicas()]))
    plan = build_plan(replace(result, solution=noisy), WORKLOAD)
    assert plan.placement == solution.placement
    assert check_plan(plan) == []


def test_what_fits_is_found_as_by_trying_every_block() -> None:
    """On random placements: something is added where, and only where, some block is free."""
    instance = planned(PlacementRules()).instance
    rng = np.random.default_rng(0)
    every = [(m, s, i) for m in range(2) for s in range(2) for i in range(2)]
    seen = set()
    for _ in range(60):
        least = [(0, int(rng.integers(2)), int(rng.integers(2))), (1, 0, 0)]
        held = [row for row in every if rng.random() < 0.8]
        placement = Placement.of([*least, *held])
        more = fitting(instance, placement)
        free = set(every) - set(placement.replicas())
        assert bool(more) == bool(free)
        assert set(more) <= free
        assert placement_violations(instance, Placement.of([*placement.replicas(), *more])) == []
        seen.add(bool(free))
    assert seen == {True, False}
