"""What a server can keep of a workflow that does not fit on it: prices that no content exceeds."""

from dataclasses import replace
from itertools import combinations, islice
from typing import Any

import numpy as np
import pulp
import pytest
from scipy.optimize import linprog

from placement.params.search_params import DEFAULTS
from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.programs import best_fitting_set, compact
from placement.programs.block_packing import blocks_fit
from placement.programs.compact_search import solve_compact
from placement.programs.fitting_sets import mostly_divided, node_prices, separating_prices
from placement.solver.budget import Budget
from placement.solver.milp import ProgramOutcome, SolverSettings
from tests.placement.oracle import best_locality, contents, random_instance

HIGHS = SolverSettings(threads=1)


def kept(instance: Instance, w: int, rate: np.ndarray) -> float:
    """Locality of rates of one workflow's nodes on one server, shape (V,)."""
    whole, link = instance.locality_weights(w)
    pairs = instance.workflows[w].links.tolist()
    return float(whole * rate.min() + link * sum(min(rate[u], rate[v]) for u, v in pairs))


@pytest.mark.parametrize("seed", range(40))
def test_no_content_keeps_more_than_its_rates_are_priced(seed: int) -> None:
    """On every content of every server type, any rates keep at most their price."""
    rng = np.random.default_rng(seed)
    instance = random_instance(rng, exclusive=False, load_cap=0.8)
    prices = node_prices(instance)
    for kind in instance.cluster.server_types:
        for content in contents(instance, kind):
            models = {m for m, _ in content}
            for w in instance.active_workflows:
                there = [int(m) in models for m in instance.workflows[w].node_model]
                for _ in range(5):
                    rate = rng.uniform(0.0, 1.0, len(there)) * there
                    assert kept(instance, w, rate) <= rate @ np.array(prices[w]) + 1e-9


@pytest.mark.parametrize("seed", range(40))
def test_prices_bound_the_optimum_by_brute_force(seed: int) -> None:
    """The prices of all rates are never below the best locality of any plan."""
    instance = random_instance(np.random.default_rng(seed), exclusive=False, load_cap=0.8)
    best = best_locality(instance)
    bound = sum(
        instance.workflows[w].rate * sum(prices) for w, prices in node_prices(instance).items()
    )
    assert best <= bound + instance.locality_constant + 1e-7


def long_workflow(seed: int) -> Instance:
    """A workflow of nine nodes over eight models, of which servers of two types hold a few."""
    rng = np.random.default_rng(seed)
    models, nodes = 8, 9
    after = [(int(rng.integers(max(0, v - 2), v)), v) for v in range(1, nodes)]
    flow = WorkflowDemand(
        id="long",
        rate=1.0,
        node_model=np.append(np.arange(models), rng.integers(models)),
        work_s=np.full(nodes, 0.1),
        links=np.array([*after, (0, nodes - 1)]),
        weights=rng.choice([1.0, 2.0], nodes),
    )
    return replace(
        random_instance(rng, exclusive=False, load_cap=0.8),
        model_ids=tuple("abcdefgh"),
        gpus_required=rng.integers(1, 3, models),
        memory_per_gpu_gb=rng.choice([15.0, 30.0, 45.0], models),
        workflows=(flow,),
        cluster=Cluster((ServerType("s", 2, 3, 80.0), ServerType("t", 1, 2, 100.0))),
        max_models_per_gpu=None,
        alpha=0.5,
        objective="mixed",
        gpu_fraction=(),
    )


def all_kept(instance: Instance, w: int) -> float:
    """Locality of a request of which nothing is parted."""
    whole, link = instance.locality_weights(w)
    return whole + link * float(instance.workflows[w].link_weights.sum())


def sets_that_fit(instance: Instance) -> tuple[np.ndarray, np.ndarray]:
    """Every set of the nodes of one workflow that fits, shape (S, V), and what it keeps."""
    flow = instance.workflows[0]
    nodes = range(len(flow.node_model))
    whole, link = instance.locality_weights(0)

    def block(m: int) -> tuple[int, float]:
        return int(instance.gpus_required[m]), float(instance.memory_per_gpu_gb[m])

    rows, worth, too_large = [], [], list[set[int]]()
    for size in range(1, len(nodes) + 1):
        for part in combinations(nodes, size):
            models = {int(flow.node_model[v]) for v in part}
            if any(q <= models for q in too_large):
                continue
            blocks = tuple(block(m) for m in sorted(models))
            if not any(blocks_fit(t, blocks, len(blocks)) for t in instance.cluster.server_types):
                too_large.append(models)
                continue
            inside = [u in part and v in part for u, v in flow.links.tolist()]
            rows.append([float(v in part) for v in nodes])
            worth.append(link * float(flow.link_weights @ inside) + whole * (size == len(nodes)))
    assert too_large
    return np.array(rows), np.array(worth)


@pytest.mark.parametrize("seed", range(4))
def test_prices_are_the_least_that_pay_for_every_set_that_fits(seed: int) -> None:
    """A linear program with a row for each of the sets of nine nodes has no lower optimum."""
    instance = long_workflow(seed)
    rows, worth = sets_that_fit(instance)
    least = linprog(np.ones(9), A_ub=-rows, b_ub=-worth)
    prices = node_prices(instance)[0]
    assert sum(prices) == pytest.approx(least.fun, rel=1e-6)
    assert (rows @ np.array(prices) >= worth - 1e-9).all()


@pytest.mark.parametrize(
    "limits",
    [{"rounds": 1}, {"rounds": 3, "nodes": 1}, {"covers": 1}, {"work": 3_000}, {"work": 0}],
)
def test_prices_pay_for_every_set_wherever_the_search_ends(limits: dict[str, int]) -> None:
    """And are no more than those of sets that all fit."""
    for seed in range(3):
        instance = long_workflow(seed)
        rows, worth = sets_that_fit(instance)
        prices = node_prices(instance, DEFAULTS.changed({"fitting_sets": limits}))[0]
        assert (rows @ np.array(prices) >= worth - 1e-9).all()
        assert sum(prices) <= all_kept(instance, 0) + 1e-9


def test_blocks_of_half_a_gpu_are_counted_and_not_cut_off_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 14 that take more than half a GPU, any four fit on four GPUs, by memory in sum seven.

    Sets that do not fit are thousands, and each that a program finds costs another.
    """
    models = 14
    flow = WorkflowDemand(
        id="long",
        rate=1.0,
        node_model=np.arange(models),
        work_s=np.full(models, 0.1),
        links=np.array([(v - 1, v) for v in range(1, models)]),
    )
    instance = replace(
        long_workflow(0),
        model_ids=tuple(map(str, range(models))),
        gpus_required=np.ones(models, dtype=np.int64),
        memory_per_gpu_gb=np.linspace(41.0, 47.0, models),
        workflows=(flow,),
        cluster=Cluster((ServerType("s", 4, 4, 80.0),)),
    )
    solve, programs = best_fitting_set.solve_program, []

    def counted(problem: pulp.LpProblem, *args: Any, **named: Any) -> ProgramOutcome:
        programs.append(problem.name)
        return solve(problem, *args, **named)

    monkeypatch.setattr(best_fitting_set, "solve_program", counted)
    prices = node_prices(instance)[0]
    _, link = instance.locality_weights(0)
    # Of 13 links at most 10 are inside of four parts of at most four nodes.
    assert sum(prices) >= 10 * link - 1e-9
    assert sum(prices) < all_kept(instance, 0)
    assert 0 < programs.count("together") < 100


def test_the_workflow_that_keeps_most_is_divided_first() -> None:
    """The other has the prices of sets that all fit, as both have where no time is left."""
    first = long_workflow(0)
    both = replace(
        first,
        workflows=(replace(first.workflows[0], rate=0.1), replace(first.workflows[0], id="more")),
    )
    every = [all_kept(both, w) for w in range(2)]
    few = DEFAULTS.changed({"fitting_sets": {"work": 2 * 2 * 81}})
    prices = node_prices(both, few)
    assert sum(prices[0]) == pytest.approx(every[0])
    assert sum(prices[1]) < every[1] * 0.999
    ended = node_prices(both, DEFAULTS, Budget(0.0))
    assert [sum(ended[w]) for w in range(2)] == pytest.approx(every)


def test_long_workflows_count_by_what_they_are_worth() -> None:
    """One that fits nowhere is most of the locality, until one that fits is asked for more."""
    alone = long_workflow(0)
    short = replace(
        alone.workflows[0],
        id="short",
        node_model=np.arange(2),
        work_s=np.full(2, 0.1),
        links=np.array([(0, 1)]),
        weights=None,
    )
    for rate, most in ((0.0, True), (0.5, True), (10.0, False)):
        both = replace(alone, workflows=(*alone.workflows, replace(short, rate=rate)))
        assert mostly_divided(both) == most


def test_rows_of_what_does_not_fit_cut_no_plan_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the rows and without them the compact program has the same optimum."""
    drawn = (
        random_instance(np.random.default_rng(seed), exclusive=False, load_cap=1.0)
        for seed in range(60)
    )
    feasible = ((i, best_locality(i)) for i in drawn if separating_prices(i))
    cases = list(islice(((i, b) for i, b in feasible if b > -1.0), 6))
    assert len(cases) == 6
    for instance, best in cases:
        for rows in (True, False):
            monkeypatch.setattr(compact, "has_set_rows", lambda _, rows=rows: rows)
            found = solve_compact(instance, HIGHS, Budget(), start=None, gap=0.0)
            assert found.best_bound == pytest.approx(best, abs=1e-6)


def test_prices_are_told_where_no_server_holds_the_whole_workflow() -> None:
    """Where one does, they add up to all that can be kept; else to less."""
    some = 0
    for seed in range(60):
        instance = random_instance(np.random.default_rng(seed), exclusive=False, load_cap=1.0)
        every = [c for kind in instance.cluster.server_types for c in contents(instance, kind)]
        prices = node_prices(instance)
        for w in instance.active_workflows:
            models = set(instance.workflows[w].node_model.tolist())
            together = any(models <= {m for m, _ in content} for content in every)
            assert not (together and w in separating_prices(instance)), seed
            # Without a worth of the whole, links may all be kept although it is not.
            assert together or w in separating_prices(instance) or instance.alpha == 0, seed
            all_kept = kept(instance, w, np.ones(len(instance.workflows[w].node_model)))
            if together:
                assert sum(prices[w]) == pytest.approx(all_kept)
            some += w in separating_prices(instance)
    assert some > 10
