"""Greedy server by server: rules of space, what it keeps, and what it leaves to others."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from placement.heuristics.greedy import greedy, replica_order
from placement.heuristics.search_arrays import Servers, flatten_demand
from placement.heuristics.server_greedy import (
    fill_server,
    groups_of,
    join,
    part_of,
    partners_of,
    roomy,
    server_greedy,
)
from placement.heuristics.water_filling import fill, water_fill
from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.normalization import normalize
from placement.problem.outcome import Infeasible
from placement.problem.violations import placement_violations
from tests.placement.heuristics.cases import random_instance


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_it_keeps_every_rule_of_space(seed: int, exclusive: bool) -> None:
    """On any instance, and on those where GPUs are too few for exclusive replicas."""
    servers, mixed = 1 + seed % 3, seed % 4 == 0
    instance = random_instance(
        seed, servers=servers, models=7, exclusive=exclusive, mixed_types=mixed
    )
    try:
        placed = greedy(instance)
    except Infeasible:
        with pytest.raises(Infeasible):
            server_greedy(instance)
        return
    found = server_greedy(instance)
    assert placement_violations(instance, found) == []
    if exclusive:  # the same numbers, so no more of a load on the busiest GPU than greedy has
        each = [np.bincount(p.model, minlength=7).tolist() for p in (found, placed)]
        assert each[0] == each[1]


def pairs(servers: int) -> Instance:
    """As many workflows of two calls as servers of two GPUs, of models of their own."""
    flows = tuple(
        WorkflowDemand(
            f"w{i}", 1.0, np.array([i, servers + i]), np.array([0.5, 0.5]), np.array([(0, 1)])
        )
        for i in range(servers)
    )
    return Instance(
        tuple(f"m{i}" for i in range(2 * servers)),
        np.ones(2 * servers, dtype=np.int64),
        np.ones(2 * servers),
        flows,
        Cluster((ServerType("a", servers, 2, 80.0),)),
        exclusive=True,
    )


def test_what_belongs_together_gets_a_server_each() -> None:
    """All is kept where each workflow fills a server: nothing is left for the next to break."""
    instance = pairs(5)
    assert water_fill(instance, server_greedy(instance)).score == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(6))
def test_a_server_takes_off_the_demand_what_it_keeps(seed: int) -> None:
    """And the replicas that it holds off those that are left; blocks do not overlap."""
    instance = normalize(random_instance(seed, models=6, workflows=4))
    demand = flatten_demand(instance)
    before, numbers = demand.rate.copy(), np.zeros(6, dtype=np.int64)
    np.add.at(numbers, replica_order(instance), 1)
    left = numbers.copy()
    gpus = instance.cluster.server_types[0].gpus
    server = Servers(
        np.array([gpus]),
        np.ascontiguousarray(instance.speed_table[:1]),
        np.zeros(1, dtype=np.int64),
        np.zeros((1, gpus), dtype=np.int64),
        np.zeros((1, gpus), dtype=np.int64),
    )
    fill_server(demand, server, *groups_of(demand), partners_of(demand), left)
    size = int(server.size[0])
    held = np.bincount(server.model[0, :size], minlength=6)
    assert ((left + held) == numbers).all()
    blocks = sorted(
        (int(i), int(i + instance.gpus_required[m]))
        for m, i in zip(server.model[0, :size], server.start[0, :size], strict=True)
    )
    assert all(a[1] <= b[0] for a, b in pairwise(blocks))
    assert blocks[-1][1] <= gpus
    served = np.zeros((len(demand.node_model), 1))
    fresh = demand._replace(rate=before)
    fill(fresh, server, served, np.zeros(server.model.shape))
    taken = [
        served[first:last].max()
        for first, last in zip(demand.node_ptr[:-1], demand.node_ptr[1:], strict=True)
    ]
    assert demand.rate == pytest.approx(np.maximum(0.0, before - taken))


@pytest.mark.parametrize("seed", range(12))
def test_a_content_keeps_the_same_of_the_workflows_linked_on_it_as_of_all(seed: int) -> None:
    """Workflows of which it holds no link, or that are used up, add nothing, to the last bit."""
    rng = np.random.default_rng(seed)
    instance = normalize(random_instance(seed, models=8, workflows=12, gpus=6))
    demand = flatten_demand(instance)
    demand = demand._replace(rate=demand.rate * (rng.random(len(demand.rate)) < 0.8))
    partners, room = partners_of(demand), roomy(demand)
    for _ in range(20):
        content = rng.integers(8, size=int(rng.integers(1, 6)))
        server = Servers(
            np.array([6]),
            np.ascontiguousarray(instance.speed_table[:1]),
            np.array([len(content)]),
            content[np.newaxis],
            rng.integers(5, size=(1, len(content))),
        )
        linked, known = np.zeros(len(demand.rate), dtype=np.int64), 0
        held = np.zeros(8, dtype=np.int64)
        for m in content.tolist():
            held[m] += 1
            known = join(demand, partners, held, m, linked, known)
        nothing = np.zeros((0, 0))
        part = part_of(demand, room, linked, known)
        assert (np.diff(linked[:known]) > 0).all()
        assert fill(part, server, nothing, nothing)[0] == fill(demand, server, nothing, nothing)[0]


def test_it_keeps_more_than_greedy_where_there_is_a_choice() -> None:
    """On clusters of eight servers, in sum by a tenth at least, and never a placement of none."""
    sums = np.zeros(2)
    for seed in range(8):
        instance = normalize(
            random_instance(seed, servers=8, gpus=4, models=10, workflows=8, load=0.6)
        )
        sums += [water_fill(instance, f(instance)).score for f in (greedy, server_greedy)]
    assert sums[1] >= 1.1 * sums[0]


def test_servers_that_differ_by_a_rule_are_left_to_greedy() -> None:
    """Where blocks cannot stand anywhere it is the plain placement."""
    instance = random_instance(0, servers=3)
    kind = replace(instance.cluster.server_types[0], excluded_gpus=(1,))
    ruled = replace(instance, cluster=Cluster((kind,)))
    assert server_greedy(ruled) == greedy(ruled)
