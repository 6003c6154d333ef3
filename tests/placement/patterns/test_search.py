"""Column generation against brute force and against the compact form."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from placement.heuristics import HEURISTICS
from placement.patterns import pattern_bottleneck, solve_patterns
from placement.patterns.bounding import bound_apart
from placement.patterns.column_generation import Pool
from placement.patterns.incumbent import Findings, Search, incumbent_of
from placement.patterns.master_rows import standing_rows
from placement.patterns.proven_bound import ProvenBound
from placement.problem.cluster import Cluster, ServerType
from placement.problem.normalization import normalize
from placement.problem.solution import evaluate
from placement.problem.violations import violations
from placement.programs import best_fitting_set, fitting_sets
from placement.programs.compact_search import solve_compact
from placement.programs.routing import best_routing
from placement.solver.budget import Budget
from placement.solver.milp import ProgramOutcome, SolverSettings
from placement.verify import proven_bound
from tests.placement import oracle
from tests.placement.cases import case

HIGHS = SolverSettings(threads=1)


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("block", range(4))
def test_the_bound_is_never_below_the_optimum_of_brute_force(block: int, exclusive: bool) -> None:
    """On 200 tiny clusters of one or two types: plan <= optimum <= bound, the plan feasible."""
    for seed in range(25):
        instance = case(500 * block + seed, exclusive=exclusive)
        best = oracle.best_locality(instance)
        start = _start(instance)
        if start is None:
            continue
        got = solve_patterns(instance, HIGHS, Budget(), start=start, gap=0.0)
        worth = evaluate(instance, got.solution).objective
        assert violations(instance, got.solution) == []
        assert worth <= best + 1e-6
        assert got.best_bound >= best - 1e-6
        if got.status == "optimal":
            assert worth == pytest.approx(best, abs=1e-5)
        if got.duals is not None:
            again = proven_bound(instance, got.duals)
            assert again == pytest.approx(got.best_bound, abs=1e-6) or again <= got.best_bound


def test_the_bound_of_workflows_apart_is_valid_and_proven_anew() -> None:
    """On tiny clusters no plan is better, and the stored multipliers prove it."""
    below = 0
    for seed in range(40):
        instance = case(seed, exclusive=bool(seed % 2))
        normal = normalize(instance)
        pool = Pool(ProvenBound(standing_rows(normal)))
        search = Search(
            instance,
            normal,
            HIGHS,
            Budget(),
            0.0,
            None,
            Findings(pool, incumbent_of(instance, None)),
        )
        bound_apart(search)
        proven = search.pool.proven
        assert proven.value >= oracle.best_locality(instance) - 1e-6, seed
        if proven.value < 1.0:
            below += 1
            again = proven_bound(instance, proven.as_json(normal))
            assert again == pytest.approx(proven.value, abs=1e-6), seed
    assert below > 5


def test_the_bound_of_workflows_apart_takes_a_part_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of thousands it would take all: what is known by then is a bound, and the search goes on."""
    now = [0.0]
    solve = best_fitting_set.solve_program

    def slow(*args: Any, **named: Any) -> ProgramOutcome:
        now[0] += 1.0
        return solve(*args, **named)

    for module in (best_fitting_set, fitting_sets):
        monkeypatch.setattr(module, "solve_program", slow)
    instance = case(4, exclusive=False)
    normal = normalize(instance)
    fitting_sets._least_prices.cache_clear()
    fitting_sets.node_prices(normal)
    needed, now[0] = now[0], 0.0
    fitting_sets._least_prices.cache_clear()
    budget = Budget(2 * needed, clock=lambda: now[0])
    pool = Pool(ProvenBound(standing_rows(normal)))
    findings = Findings(pool, incumbent_of(instance, None))
    search = Search(instance, normal, HIGHS, budget, 0.0, None, findings)
    bound_apart(search)
    assert now[0] < 0.8 * needed
    assert budget.cut_short and not budget.expired
    assert search.pool.best_bound >= oracle.best_locality(instance) - 1e-6


def _start(instance):  # type: ignore[no-untyped-def]
    bottleneck = pattern_bottleneck(instance, HIGHS, Budget(), target=instance.load_cap)
    return best_routing(instance, bottleneck.solution.placement, HIGHS)


@pytest.mark.parametrize("exclusive", [True, False])
def test_bottleneck_interval_holds_the_least_of_brute_force(exclusive: bool) -> None:
    """U* of brute force lies in the interval, for a target out of reach and one within."""
    for seed in range(30):
        instance = case(seed, exclusive=exclusive)
        least = oracle.least_bottleneck(instance)
        for target in (0.0, least * 1.5):
            got = pattern_bottleneck(instance, HIGHS, Budget(), target=target)
            assert got.lower <= least * (1 + 1e-6)
            assert got.upper >= least * (1 - 1e-6)
            assert got.upper <= max(target, least * 1.01)


@pytest.mark.parametrize("exclusive", [True, False])
def test_no_time_gives_a_weak_bound_but_a_valid_one(exclusive: bool) -> None:
    """Cut off at once, the start is returned with a bound that still holds."""
    for seed in range(10):
        instance = case(seed, exclusive=exclusive)
        start = _start(instance)
        for seconds in (0.0, 0.02):
            got = solve_patterns(instance, HIGHS, Budget(seconds), start=start, gap=0.0)
            assert got.best_bound >= oracle.best_locality(instance) - 1e-6


def test_a_tampered_bound_is_lower_than_what_the_duals_prove() -> None:
    """Whatever the multipliers are, the recomputed bound is valid; changed ones are weaker."""
    rng = np.random.default_rng(0)
    for seed in range(10):
        instance = case(seed, exclusive=True)
        best = oracle.best_locality(instance)
        got = solve_patterns(instance, HIGHS, Budget(), start=_start(instance), gap=0.0)
        if got.duals is None:
            continue
        demand = {
            w: [x + rng.normal(0, 0.3) for x in row] for w, row in got.duals["demand"].items()
        }  # type: ignore[attr-defined]
        replicas = [x + rng.normal(0, 0.3) for x in got.duals["replicas"]]  # type: ignore[attr-defined]
        bent = {"demand": demand, "replicas": replicas}
        assert proven_bound(instance, bent) >= best - 1e-6
        for malformed in ({}, {"demand": 3, "replicas": ["x", float("nan"), 1e300]}):
            assert proven_bound(instance, malformed) >= best - 1e-6


def test_patterns_and_compact_bound_each_other_on_small_clusters() -> None:
    """Each form's plan stays below the other's bound, with a smaller last server and two types."""
    for seed in range(4):
        instance = case(seed, exclusive=bool(seed % 2))
        types = (ServerType("a", 2, 3, 80.0), ServerType("b", 1, 2, 80.0, 1.5))
        instance = replace(instance, cluster=Cluster(types))
        placement = HEURISTICS["local-search"](instance, 0, None)
        start = best_routing(instance, placement, HIGHS)
        if start is None:
            continue
        one = solve_patterns(instance, HIGHS, Budget(4), start=start, gap=1e-4)
        two = solve_compact(instance, HIGHS, Budget(4), start=start, gap=1e-4)
        assert evaluate(instance, one.solution).objective <= two.best_bound + 1e-6
        assert evaluate(instance, two.solution).objective <= one.best_bound + 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_bounds_of_many_servers_are_proven_anew(seed: int) -> None:
    """Cut, drafted and proven at the end: the stored multipliers give the bound that is told."""
    small = case(seed, exclusive=True)
    kind = replace(small.cluster.server_types[0], count=300)
    times = 300 / small.cluster.n_servers
    instance = replace(
        small,
        cluster=Cluster((kind,)),
        workflows=tuple(replace(w, rate=w.rate * times) for w in small.workflows),
    )
    got = solve_patterns(instance, HIGHS, Budget(), start=None, gap=1e-5)
    worth = evaluate(instance, got.solution).objective
    assert worth <= got.best_bound + 1e-9
    assert got.best_bound - worth <= 0.01
    assert got.duals is not None
    again = proven_bound(instance, got.duals)
    assert again == pytest.approx(got.best_bound, abs=1e-6)


def test_the_same_input_gives_the_same_plan() -> None:
    """Two runs with one seed and one thread agree in every replica, rate and bound."""
    instance = case(3, exclusive=True)
    a, b = (
        solve_patterns(instance, HIGHS, Budget(), start=_start(instance), gap=0.0) for _ in range(2)
    )
    assert a.best_bound == b.best_bound
    for name in ("model", "server", "start"):
        assert (getattr(a.solution.placement, name) == getattr(b.solution.placement, name)).all()
    assert (a.solution.flows.rate == b.solution.flows.rate).all()
