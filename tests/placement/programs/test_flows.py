"""The block of rates, whole workflows and links, against the mathematics of docs/model.md."""

from __future__ import annotations

import numpy as np
import pulp
import pytest

from placement.problem.cluster import Cluster
from placement.problem.instance import Instance, WorkflowDemand
from placement.programs.flows import (
    WHOLE_WORKFLOW,
    Place,
    add_demand,
    keepable,
    kept_terms,
    nodes_with_requests,
    scale_of,
)
from placement.solver.milp import SolverSettings, linear, solve_program


@pytest.fixture
def instance() -> Instance:
    """Three nodes, two of them of one model, two links, four servers; a second one asks nothing."""
    flow = WorkflowDemand(
        "w", 2.0, np.array([0, 1, 0]), np.array([0.1, 0.3, 0.2]), np.array([[0, 1], [1, 2]])
    )
    idle = WorkflowDemand("idle", 0.0, np.array([1]), np.array([1.0]), np.zeros((0, 2), int))
    return Instance(
        model_ids=("a", "b"),
        gpus_required=np.array([1, 1]),
        memory_per_gpu_gb=np.array([10.0, 10.0]),
        workflows=(flow, idle),
        cluster=Cluster.homogeneous(8, 2),
        alpha=0.25,
    )


def test_worth_of_what_is_kept(instance: Instance) -> None:
    """The whole rate kept is worth the scale, alpha of it for the whole workflow."""
    parts = keepable(instance, 0)
    assert [(p.part, p.nodes) for p in parts] == [
        ((0, WHOLE_WORKFLOW), (0, 1, 2)), ((0, 0), (0, 1)), ((0, 1), (1, 2)),
    ]  # fmt: skip
    rate = instance.workflows[0].rate
    assert rate * parts[0].worth == pytest.approx(0.25 * scale_of(instance))
    assert rate * sum(p.worth for p in parts) == pytest.approx(scale_of(instance))
    assert nodes_with_requests(instance) == [(0, 0, 0), (0, 1, 1), (0, 2, 0)]


@pytest.mark.parametrize("seed", range(10))
def test_kept_is_the_least_of_the_rates(instance: Instance, seed: int) -> None:
    """With its rates given, a place keeps min a of a workflow and of each link, and no more."""
    rates = np.random.default_rng(seed).uniform(0, 2, 3)
    problem = pulp.LpProblem("kept", pulp.LpMaximize)
    place = Place(problem, instance, "_7", np.ones(len(instance.model_ids)))
    for n, rate in enumerate(rates):
        problem += linear([(place.serve(0, n), 1.0)]) == rate
    kept = place.keep(keepable(instance, 0))
    problem += linear(kept_terms(kept))
    assert solve_program(problem, SolverSettings()).status == "optimal"
    assert {part: variable.varValue for part, variable, _ in kept} == pytest.approx(
        {
            (0, WHOLE_WORKFLOW): rates.min(),
            (0, 0): min(rates[0], rates[1]),
            (0, 1): min(rates[1], rates[2]),
        }
    )
    assert {v.name for _, v, _ in kept} == {"c_0_7", "l_0_0_7", "l_0_1_7"}


def test_nothing_is_kept_where_a_node_is_missing(instance: Instance) -> None:
    """Without the last node there is neither the whole workflow nor the second link."""
    place = Place(
        pulp.LpProblem("part", pulp.LpMaximize), instance, "", np.ones(len(instance.model_ids))
    )
    place.serve(0, 0)
    place.serve(0, 1)
    assert [part for part, _, _ in place.keep(keepable(instance, 0))] == [(0, 0)]
    nothing = [part._replace(worth=0.0) for part in keepable(instance, 0)]
    assert place.keep(nothing) == []


def test_loads_do_the_work_of_their_model(instance: Instance) -> None:
    """Half as long on a server of speed 2, both nodes of model a together."""
    problem = pulp.LpProblem("work", pulp.LpMinimize)
    place = Place(problem, instance, "", np.full(len(instance.model_ids), 2.0))
    for n, rate in enumerate((1.0, 0.5, 2.0)):
        problem += linear([(place.serve(0, n), 1.0)]) == rate
    loads = [pulp.LpVariable(f"h_{m}", 0) for m in range(2)]
    for m, h in enumerate(loads):
        place.do_work(m, [(h, 1.0)])
    problem += linear([(h, 1.0) for h in loads])
    assert solve_program(problem, SolverSettings()).status == "optimal"
    assert [h.varValue for h in loads] == pytest.approx([(0.1 + 2 * 0.2) / 2, 0.5 * 0.3 / 2])


def test_sets_of_nodes_bring_the_work_of_all(instance: Instance) -> None:
    """A rate at which nodes are served together costs each model what its nodes cost."""
    place = Place(
        pulp.LpProblem("sets", pulp.LpMaximize), instance, "", np.full(len(instance.model_ids), 2.0)
    )
    y = place.serve_together(0, (0, 1, 2), "all")
    assert {m: terms[0] for m, terms in place.work.items()} == {
        0: (y, pytest.approx(0.15)), 1: (y, pytest.approx(0.15)),
    }  # fmt: skip


@pytest.mark.parametrize(("carries", "rows"), [(None, 1), (0.7, 1), (0.5, 0)])
def test_no_more_than_all_there_is(instance: Instance, carries: float | None, rows: int) -> None:
    """A replica serves at most the workflow's rate, which its load says where that is less."""
    problem = pulp.LpProblem("rate", pulp.LpMaximize)
    place = Place(problem, instance, "", np.ones(len(instance.model_ids)))
    x = pulp.LpVariable("x", 0, 1)
    a = place.serve(0, 1, [x], carries=carries)  # all of it is a load of 0.3 * 2
    assert len(problem.constraints) == rows
    for row in problem.constraints.values():
        assert dict(row) == {a: 1.0, x: -2.0}


@pytest.mark.parametrize("elastic", [False, True])
def test_all_is_served_or_said_to_be_missing(instance: Instance, elastic: bool) -> None:
    """Rates of a node add up to its workflow's; what is missing has a variable or is infeasible."""
    problem = pulp.LpProblem("demand", pulp.LpMaximize)
    served: list[tuple[pulp.LpVariable, float]] = [
        (pulp.LpVariable(f"a{i}", 0, 0.6), 1.0) for i in range(3)
    ]
    missing = add_demand(problem, instance, (0, 1), served, elastic=elastic)
    problem += linear(served)
    status = solve_program(problem, SolverSettings()).status
    assert status == ("optimal" if elastic else "infeasible")
    assert (missing is not None) == elastic
    if missing is not None:
        assert missing.varValue == pytest.approx(0.2)
    assert "demand_0_1" in problem.constraints
