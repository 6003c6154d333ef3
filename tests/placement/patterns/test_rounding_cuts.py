"""Rounding cuts on what is kept: no plan breaks one, bounds gain by them, stored ones hold."""

from dataclasses import replace

import pytest

from placement.heuristics import HEURISTICS
from placement.patterns.column_generation import Pool, Pricers, Until, generate
from placement.patterns.cutting_planes import add_broken_rows
from placement.patterns.initial_patterns import first_patterns
from placement.patterns.master_rows import rounding_rows
from placement.patterns.pattern import patterns_of
from placement.patterns.pricing.problems import pricings_for
from placement.patterns.proven_bound import ProvenBound
from placement.patterns.rounding_cuts import WHOLE_WORKFLOW, KeptRow, kept_rows, server_rows
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.solution import Solution, dense_flows, evaluate
from placement.programs.compact_search import solve_compact
from placement.programs.routing import best_routing
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from placement.verify import proven_bound
from tests.placement.heuristics.cases import random_instance

HIGHS = SolverSettings(threads=1)


def left_over(instance: Instance, solution: Solution, row: KeptRow) -> float:
    """What a plan leaves of a row's limit, as a share of the part's rate."""
    w, e = row.part
    _, rate = dense_flows(instance, solution.flows, w)
    nodes = range(len(rate)) if e == WHOLE_WORKFLOW else instance.workflows[w].links[e].tolist()
    kept = rate[list(nodes)].min(axis=0).sum()
    servers = patterns_of(instance, solution.placement)
    held = sum(n * row.coefficient(p) for p, n in servers.items())
    return float(row.most - kept - held) / row.rate


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("mixed_types", [False, True])
def test_no_plan_breaks_a_row_and_a_row_more_is_broken(exclusive: bool, mixed_types: bool) -> None:
    """Routed for the most locality, plans reach the rows; K + 1 in place of K is wrong."""
    tight = wrong = 0
    for seed in range(30):
        instance = random_instance(
            seed, servers=3, exclusive=exclusive, mixed_types=mixed_types, load=0.3 + seed % 5 / 10
        )
        for method in ("greedy", "greedy-no-affinity", "random"):
            placement = HEURISTICS[method](instance, seed, None)
            plan = best_routing(instance, placement, HIGHS)
            if plan is None:
                continue
            patterns = patterns_of(instance, plan.placement)
            for row in (*kept_rows(instance), *server_rows(instance, patterns)):
                left = left_over(instance, plan, row)
                assert left >= -1e-6
                tight += left < 1e-4
                wrong += left < max(row.weight) / row.rate - 1e-3
    assert tight > 20
    assert wrong > 20


def bounds_of(instance: Instance) -> tuple[Instance, Pool, list[float]]:
    """Generate patterns without the rows, then with those that are broken; the bound of each."""
    normal = normalize(instance)
    pool = Pool(ProvenBound(rounding_rows(normal))).having(first_patterns(normal))
    bounds = []
    for _ in range(2):
        pricings = pricings_for(normal, pool.rows, positions=True)
        pool = generate(normal, HIGHS, Budget(), pool, Until(0.0), Pricers(pricings))
        pool = replace(pool, proven=replace(pool.proven, placed=True))
        bounds.append(pool.best_bound)
        before, pool = pool, add_broken_rows(normal, HIGHS, Budget(), pool)
        if pool.rows == before.rows:
            break
    return normal, pool, bounds


def three_servers(seed: int, *, exclusive: bool = True) -> tuple[Instance, float]:
    """A small instance and its optimum by the compact form."""
    instance = random_instance(seed, servers=3, gpus=3, load=0.6, exclusive=exclusive)
    instance = replace(instance, load_cap=0.9)
    compact = solve_compact(instance, HIGHS, Budget(), start=None, gap=0.0)
    return instance, evaluate(instance, compact.solution).objective


@pytest.mark.parametrize("exclusive", [True, False])
def test_bounds_gain_by_the_rows_and_stay_above_the_optimum(exclusive: bool) -> None:
    """On three servers: compact optimum <= bound with rows <= bound without; exclusive, below."""
    gained = 0
    for seed in (6, 7, 12, 16, 18):
        instance, best = three_servers(seed, exclusive=exclusive)
        _, _, bounds = bounds_of(instance)
        assert best <= bounds[-1] + 1e-6
        gained += bounds[-1] < bounds[0] - 1e-4
    assert gained > 1 or not exclusive


def test_stored_rows_prove_the_bound_and_forged_ones_no_lower_one() -> None:
    """`proven_bound` makes the rows anew; without them, or with others, bounds stay valid."""
    weaker = 0
    for seed in (6, 16, 18):
        instance, best = three_servers(seed)
        normal, pool, bounds = bounds_of(instance)
        data = pool.proven.as_json(normal)
        rows = data["kept"]
        assert isinstance(rows, list)
        again = proven_bound(instance, data)
        assert again == pytest.approx(bounds[-1], abs=1e-6)
        first = {"workflow": rows[0]["workflow"]}
        forgeries = [[], None, "x", [{"workflow": "no"}], rows[::-1], [{**rows[0], "link": 99}]]
        forgeries += [[{**first, "reference": r}] * 9 for r in (0.37, -1.0, 0.0, float("nan"), "1")]
        for forged in forgeries:
            bound = proven_bound(instance, {**data, "kept": forged})
            assert bound >= best - 1e-6
            weaker += bound > again + 1e-6
    assert weaker > 3
