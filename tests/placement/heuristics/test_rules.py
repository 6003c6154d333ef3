"""What every heuristic owes: rules kept, every used model placed, no straw man."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.heuristics import HEURISTICS
from placement.heuristics.selective_replication import selective_replication
from placement.portfolio.partition import partition
from placement.problem.cluster import Cluster
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.outcome import Infeasible, SolveOptions
from placement.problem.solution import Placement
from placement.problem.violations import placement_violations, violations
from placement.solve import solve_instance
from placement.solver.milp import SolverSettings
from tests.placement.heuristics.cases import random_instance


def instance_of(load: float, *, exclusive: bool = False) -> Instance:
    """Four models on 1 to 4 GPUs, three workflows, 4 servers of 4 GPUs, at a fraction of them."""
    chains = ((0, 1), (2, 1, 3), (1, 0, 2))
    rates = np.array([1.0, 0.6, 0.8])
    work = np.array([1.0, 0.5, 2.0, 1.5])
    gpus = np.array([1, 1, 2, 4])
    erlangs = [float((work[list(c)] * gpus[list(c)]).sum()) for c in chains]
    offered = float(rates @ erlangs)
    rates = rates * load * 16 / offered
    return Instance(
        model_ids=("a", "b", "c", "d"),
        gpus_required=gpus,
        memory_per_gpu_gb=np.array([20.0, 30.0, 40.0, 50.0]),
        workflows=tuple(
            WorkflowDemand(
                id=f"w{i}",
                rate=float(rate),
                node_model=np.array(nodes),
                work_s=work[list(nodes)],
                links=np.array([[v, v + 1] for v in range(len(nodes) - 1)]),
            )
            for i, (rate, nodes) in enumerate(zip(rates, chains, strict=True))
        ),
        cluster=Cluster.homogeneous(16, 4),
        exclusive=exclusive,
    )


@pytest.mark.parametrize("method", sorted(HEURISTICS))
@pytest.mark.parametrize("load", [0.3, 0.9, 2.0])
@pytest.mark.parametrize("exclusive", [False, True])
def test_every_used_model_has_a_replica(method: str, load: float, exclusive: bool) -> None:
    """In overload too, where serving the others would be easier without the largest model."""
    instance = instance_of(load, exclusive=exclusive)
    assert placement_violations(instance, HEURISTICS[method](instance, 0, None)) == []


@pytest.mark.parametrize("method", ["partition", "selective-replication", "random"])
@pytest.mark.parametrize("exclusive", [False, True])
def test_every_method_keeps_the_rules_of_the_program(method: str, exclusive: bool) -> None:
    """Space, sharing, flows and loads hold, in overload too."""
    for load in (0.4, 1.2):
        result = solve_instance(
            instance_of(load, exclusive=exclusive),
            SolveOptions(method=method, time_limit_s=5.0),
            score=lambda placement: float(len(np.unique(placement.server))),
        )
        assert violations(result.instance, result.solution) == []


def test_a_split_loses_nothing_where_parts_do_not_meet() -> None:
    """Two workflows without a common model, a server each: parts and whole are equally good."""
    one = instance_of(0.2)
    apart = replace(
        one,
        cluster=Cluster.homogeneous(8, 4),
        workflows=(
            replace(one.workflows[0], rate=0.3),
            replace(one.workflows[1], node_model=np.array([2, 2, 2]), rate=0.1),
        ),
    )
    found = solve_instance(apart, SolveOptions(method="partition"))
    assert found.evaluation.objective == pytest.approx(1.0, abs=1e-4)


def test_a_part_may_get_no_gpu_that_is_left() -> None:
    """Of three servers two are excluded whole: no split has room, which is said."""
    instance = random_instance(0, servers=3)
    kind = instance.cluster.server_types[0]
    dead = replace(kind, name="dead", count=2, excluded_gpus=tuple(range(kind.gpus)))
    cluster = replace(instance.cluster, server_types=(replace(kind, count=1), dead))
    with pytest.raises(Infeasible, match="no random split"):
        partition(replace(instance, cluster=cluster), SolverSettings())


def test_one_server_has_no_parts() -> None:
    """What cannot be split is said in a sentence."""
    one = instance_of(0.1)
    alone = replace(one, cluster=Cluster.homogeneous(4, 4), workflows=one.workflows[:1])
    with pytest.raises(Infeasible, match="one server"):
        solve_instance(alone, SolveOptions(method="partition"))


def test_replication_follows_the_simulator() -> None:
    """The replica that the score asks for is the one that is added, as often as it helps."""
    instance = instance_of(0.4)

    def score(placement: Placement) -> float:
        return -abs(float((placement.model == 2).sum()) - 4.0)

    placement = selective_replication(instance, score)
    assert (placement.model == 2).sum() == 4


@pytest.mark.parametrize("load", [0.4, 1.2])
def test_search_seeks_headroom_before_locality(load: float) -> None:
    """Local search keeps all rules, and its bottleneck is no worse than the greedy's."""
    instance = instance_of(load)
    found = {
        m: solve_instance(instance, SolveOptions(method=m)) for m in ("greedy", "local-search")
    }
    for result in found.values():
        assert violations(result.instance, result.solution) == []
    bottleneck = {m: r.certificate.bottleneck_upper for m, r in found.items()}
    if load > 1:
        assert bottleneck["local-search"] <= bottleneck["greedy"] + 1e-9
    else:
        objective = {m: r.evaluation.objective for m, r in found.items()}
        assert objective["local-search"] >= objective["greedy"] - 1e-9
