"""Packed servers against brute force and the routing program."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from placement.params.search_params import DEFAULTS
from placement.patterns import pattern_bottleneck, solve_patterns
from placement.patterns.columns.content_pool import Column, column_of
from placement.patterns.columns.flat_problem import flat_flows
from placement.patterns.columns.packed_rates import serve_all
from placement.patterns.columns.server_packing import ServerPacker
from placement.patterns.packed_search import packing_suits, search_packings, solution_of, unserved
from placement.patterns.pattern import canonical
from placement.problem.cluster import ServerType
from placement.problem.instance import Instance
from placement.problem.normalization import at_rates_of, normalize
from placement.problem.outcome import Progress
from placement.problem.solution import evaluate, settle
from placement.problem.violations import violations
from placement.programs.routing import best_routing
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from placement.verify import proven_bound
from tests.placement import oracle
from tests.placement.cases import case, drawn_placement
from tests.placement.heuristics.cases import random_instance
from tests.placement.patterns.searches import search_at

HIGHS = SolverSettings(threads=1)


def packers(seeds: int) -> Iterator[tuple[int, Instance, ServerPacker, list[int]]]:
    """Seeds and instances with demand, what packs their servers, and the types of all of them."""
    for seed in range(seeds):
        instance = case(seed, exclusive=False)
        if instance.active_workflows:
            normal = normalize(instance)
            packer = ServerPacker(normal, flat_flows(normal), DEFAULTS.server_packing, seed)
            types = normal.cluster.server_types
            yield seed, instance, packer, [t for t, k in enumerate(types) for _ in range(k.count)]


def test_packed_servers_keep_all_rules_and_no_more_than_the_best_plan() -> None:
    """On tiny clusters: where all is served it is a plan, at most as good as brute force finds."""
    plans = best_ones = 0
    for seed, instance, packer, kinds in packers(30):
        normal, flows = packer.instance, packer.flows
        columns = packer.pack(kinds, flows.rate[flows.node_flow].copy(), 2.0, 300)
        served = serve_all(normal, flows, columns, HIGHS, Budget(), price=100.0)
        assert served is not None
        if unserved(flows, served).any():
            continue
        plan = settle(instance, at_rates_of(instance, normal, solution_of(normal, served)))
        worth, best = evaluate(instance, plan).objective, oracle.best_locality(instance)
        assert violations(instance, plan) == [], seed
        assert worth <= best + 1e-6
        plans += 1
        best_ones += worth >= best - 1e-6
    assert plans >= 15
    assert best_ones >= plans / 3


def test_mending_serves_what_is_missing_where_that_costs_less() -> None:
    """Nothing is served twice or forgotten, no server does what it cannot, and none gets worse."""
    served_more = 0
    for seed, _, packer, kinds in packers(25):
        normal, flows = packer.instance, packer.flows
        demand = flows.rate[flows.node_flow]
        # Packed for a part of the demand, at little care for the work: the rest is missing.
        left = (
            demand * np.random.default_rng(seed).uniform(0.3, 1.0, len(flows.rate))[flows.node_flow]
        )
        missing = demand - left
        columns = packer.pack(kinds, left, 0.1, 100)
        missing += left
        price = 20.0 * packer.density
        mended, after = packer.mend(columns, missing, price)

        def total(of: list[Column], lacking: np.ndarray, at: float) -> float:
            return sum(c.worth for c in of) - at * float(lacking @ packer.work)  # noqa: B023

        assert total(mended, after, price) >= total(columns, missing, price) - 1e-9
        rates = np.zeros(len(demand))
        for column in mended:
            rates[column.node] += column.rate
        assert rates + after == pytest.approx(demand, abs=1e-9)
        possible = serve_all(normal, flows, mended, HIGHS, Budget(), price=100.0, rates=rates)
        assert possible is not None
        assert possible.left @ packer.work == pytest.approx(0.0, abs=1e-6)
        served_more += after @ packer.work < missing @ packer.work - 1e-6
    assert served_more >= 12


def test_rates_are_found_where_the_placement_has_any() -> None:
    """All is served exactly where the routing program finds rates, and keeps no more than it."""
    both = [0, 0]
    for seed in range(20):
        instance = normalize(case(seed, exclusive=True))
        placement, _ = drawn_placement(instance, np.random.default_rng(seed))
        flows, kinds = flat_flows(instance), instance.cluster.server_type
        columns = []
        for s in np.unique(placement.server).tolist():
            here = placement.server == s
            content = list(
                zip(placement.model[here].tolist(), placement.start[here].tolist(), strict=True)
            )
            pattern = canonical(instance, int(kinds[s]), content)
            columns.append(column_of(flows, pattern, np.zeros(len(flows.node_model))))
        served = serve_all(instance, flows, columns, HIGHS, Budget(), price=100.0)
        routed = best_routing(instance, placement, HIGHS)
        assert served is not None
        assert unserved(flows, served).any() == (routed is None)
        both[routed is None] += 1
        if routed is not None:
            kept = sum(c.worth for c in served.columns) / instance.cluster.n_servers
            best = evaluate(instance, routed).objective
            assert kept + instance.locality_constant <= best + 1e-6
    assert min(both) >= 2


def test_a_search_keeps_what_packing_finds_if_it_is_better() -> None:
    """The incumbent is never worse afterwards, and no better than the bound allows."""
    params = DEFAULTS.changed({"server_packing": {"rounds": 3, "moves": [100, 300]}})
    brief = SolverSettings(threads=1, params=params)
    search, again = (
        search_at(settings=brief, servers=4, exclusive=False, bound=10.0) for _ in range(2)
    )
    before = search.worth
    search_packings(search)
    assert search.worth >= before
    assert search.best is not None
    assert violations(search.instance, search.best) == []
    search_packings(again)  # two packings at once hang on no clock
    assert again.best == search.best


def test_small_clusters_are_packed_before_they_are_searched_by_place() -> None:
    """Plan <= optimum of brute force <= bound, proven anew; no plan met on the way is lost."""
    quick = {"least_nodes": 0, "rounds": 2, "moves": [100]}
    params = DEFAULTS.changed({"server_packing": quick})
    packed = 0
    for seed in range(12):
        instance = case(seed, exclusive=False)
        bottleneck = pattern_bottleneck(instance, HIGHS, Budget(), target=instance.load_cap)
        start = best_routing(instance, bottleneck.solution.placement, HIGHS)
        if start is None:
            continue
        met: list[Progress] = []
        brief = SolverSettings(threads=1, params=params)
        got = solve_patterns(instance, brief, Budget(), start=start, gap=0.0, progress=met.append)
        worth, best = evaluate(instance, got.solution).objective, oracle.best_locality(instance)
        assert violations(instance, got.solution) == [], seed
        assert worth <= best + 1e-6
        assert got.best_bound >= best - 1e-6
        if got.status == "optimal":
            assert worth == pytest.approx(best, abs=1e-5)
        if got.duals is not None:
            assert proven_bound(instance, got.duals) <= got.best_bound + 1e-6
        phases = [event.phase for event in met]
        if "packing" in phases:
            packed += 1
            assert not {"patterns", "dive"} & set(phases[: phases.index("packing")])
            assert all(worth >= (event.incumbent or 0.0) - 1e-9 for event in met)
    assert packed >= 3


@pytest.mark.parametrize(
    ("least", "shared", "suits"), [(0, True, True), (0, False, False), (99, True, False)]
)
@pytest.mark.parametrize("small", [False, True])
def test_servers_are_packed_where_gpus_are_shared_and_nodes_many(
    least: int, shared: bool, suits: bool, small: bool
) -> None:
    """And nowhere else: exclusive GPUs and few nodes are left to masters."""
    params = DEFAULTS.changed(
        {
            "server_packing": {"least_nodes": least},
            "beyond_cap": {"most_servers": 3 if small else 1},
        }
    )
    instance = random_instance(1, servers=3, exclusive=not shared)
    assert packing_suits(instance, params) == suits


def test_a_server_that_can_hold_nothing_of_what_is_missing_stays_as_it_is() -> None:
    """As one of too little memory, which packing has left empty."""
    drawn = random_instance(1, servers=3, exclusive=False)
    small = ServerType("small", 1, 1, 1e-3)
    types = (*drawn.cluster.server_types, small)
    normal = normalize(replace(drawn, cluster=replace(drawn.cluster, server_types=types)))
    flows = flat_flows(normal)
    left = flows.rate[flows.node_flow].copy()
    empty = column_of(flows, canonical(normal, len(types) - 1, []), np.zeros(len(left)))
    packer = ServerPacker(normal, flows, DEFAULTS.server_packing, 0)
    columns, missing = packer.mend([empty], left, 1.0)
    assert columns == [empty]
    assert (missing == left).all()
