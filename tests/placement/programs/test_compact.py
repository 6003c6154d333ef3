"""The compact program and the front door against brute force over all placements."""

from dataclasses import replace

import pytest

from placement.heuristics import HEURISTICS
from placement.problem.outcome import SolveOptions
from placement.problem.solution import evaluate
from placement.problem.violations import violations
from placement.programs.bottleneck import compact_bottleneck
from placement.programs.compact_search import solve_compact
from placement.programs.least_load import least_bottleneck
from placement.programs.routing import best_routing
from placement.solve import solve_instance
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement import oracle
from tests.placement.cases import case

HIGHS = SolverSettings(threads=1)
SEEDS = range(25)


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("block", range(5))
def test_compact_finds_the_optimum_of_brute_force(block: int, exclusive: bool) -> None:
    """Over all placements of 250 tiny clusters none is better, and the bound is the optimum."""
    for seed in SEEDS:
        instance = case(1000 * block + seed, exclusive=exclusive)
        best = oracle.best_locality(instance)
        got = solve_compact(instance, HIGHS, Budget(), start=None, gap=0.0)
        assert violations(instance, got.solution) == []
        assert evaluate(instance, got.solution).objective == pytest.approx(best, abs=1e-5), seed
        assert got.best_bound == pytest.approx(best, abs=1e-5), seed


def test_the_cases_are_of_every_kind() -> None:
    """Blocks of 1 and 2 GPUs, one server type and two, other speeds, limits that bind."""
    cases = [case(seed, exclusive=exclusive) for exclusive in (True, False) for seed in SEEDS]
    kinds = {
        "two sizes of blocks": lambda c: set(c.gpus_required) == {1, 2},
        "two server types": lambda c: len(c.cluster.server_types) == 2,
        "two speeds": lambda c: len({t.speed for t in c.cluster.server_types}) == 2,
        "identical servers": lambda c: c.cluster.server_types[0].count == 2,
        "a limit of one": lambda c: c.max_models_per_gpu == 1,
        "a limit of two": lambda c: c.max_models_per_gpu == 2,
        "exclusive": lambda c: c.exclusive,
        "links": lambda c: c.total_link_rate > 0,
        "no links": lambda c: c.total_link_rate == 0,
        "a locality that the cap costs": lambda c: 0.01 < oracle.best_locality(c) < 0.99,
    }
    for name, holds in kinds.items():
        assert sum(map(holds, cases)) >= 3, name


@pytest.mark.parametrize("seed", [39, 45])
def test_a_limit_of_models_per_gpu_is_kept_where_it_costs_locality(seed: int) -> None:
    """Three wide models of which memory lets all share a GPU, and the limit only two."""
    instance = case(seed, exclusive=False)
    assert instance.max_models_per_gpu == 2
    best = oracle.best_locality(instance)
    assert oracle.best_locality(replace(instance, max_models_per_gpu=3)) > best + 0.1
    got = solve_compact(instance, HIGHS, Budget(), start=None, gap=0.0)
    assert violations(instance, got.solution) == []
    assert got.best_bound == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("exclusive", [True, False])
def test_bottleneck_interval_holds_the_least_of_brute_force(exclusive: bool) -> None:
    """U* of brute force lies in the proven interval, which is narrow, for any target."""
    for seed in SEEDS:
        instance = case(seed, exclusive=exclusive)
        least = oracle.least_bottleneck(instance)
        _, start = least_bottleneck(instance, HEURISTICS["greedy"](instance, 0, None), HIGHS)
        got = compact_bottleneck(instance, HIGHS, Budget(), target=0.0, start=start)
        assert got.lower <= least * (1 + 1e-6)
        assert got.upper == pytest.approx(least, rel=2e-3)
        loose = compact_bottleneck(instance, HIGHS, Budget(), target=2 * least, start=start)
        assert loose.lower <= least * (1 + 1e-6)
        assert loose.upper <= 2 * least * (1 + 1e-6)


@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("exclusive", [True, False])
def test_the_front_door_keeps_the_order_of_objectives(exclusive: bool, mode: str) -> None:
    """The cap follows from U* of brute force, and the locality is the best under that cap."""
    for seed in range(12):
        instance = case(seed, exclusive=exclusive)
        least = oracle.least_bottleneck(instance)
        options = SolveOptions(mode=mode, gap=0.0)  # type: ignore[arg-type]
        result = solve_instance(instance, options)
        assert result.certificate.form == "compact"
        cap = result.instance.load_cap
        if mode == "online" and least <= 0.8:
            assert cap == 0.8
        else:
            assert cap == pytest.approx(1.05 * least, rel=3e-3)
        assert violations(result.instance, result.solution) == []
        best = oracle.best_locality(result.instance)
        assert result.certificate.best_bound >= best - 1e-6
        assert result.evaluation.objective == pytest.approx(best, rel=3e-5, abs=1e-6)


def test_never_worse_than_the_greedy_start() -> None:
    """With no time at all the plan is still the best start, and its bound is still valid."""
    for seed in range(10):
        instance = case(seed, exclusive=seed % 2 == 0)
        budget = Budget(0.0)
        result = solve_instance(instance, SolveOptions(time_limit_s=0.0), budget=budget)
        assert violations(result.instance, result.solution) == []
        placement = HEURISTICS["greedy"](instance, 0, None)
        routed = best_routing(result.instance, placement, HIGHS)
        if routed is not None:
            start = evaluate(result.instance, routed).objective
            assert result.evaluation.objective >= start * (1 - 2e-5)
        assert result.certificate.best_bound >= oracle.best_locality(result.instance) - 1e-6


@pytest.mark.parametrize("solver", ["CBC", "highs"])
def test_any_solver_proves_the_same_optimum(solver: str) -> None:
    """CBC, and HiGHS by another spelling, agree with brute force."""
    for seed in range(4):
        instance = case(seed, exclusive=seed % 2 == 0)
        got = solve_compact(instance, SolverSettings(solver), Budget(), start=None, gap=0.0)
        assert got.best_bound == pytest.approx(oracle.best_locality(instance), abs=1e-5)
