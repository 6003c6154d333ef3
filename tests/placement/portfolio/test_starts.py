"""No plan of the integer program is worse than a heuristic's under the same cap."""

from dataclasses import replace
from itertools import count
from typing import Literal

import pytest

from placement.heuristics import HEURISTICS
from placement.heuristics.water_filling import filled_routing
from placement.params.search_params import DEFAULTS
from placement.portfolio import starts
from placement.portfolio.starts import CHEAP, route_all
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.outcome import SolveOptions, SolveResult
from placement.problem.solution import Placement, evaluate
from placement.problem.violations import violations
from placement.programs.routing import best_routing
from placement.solve import solve_instance
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement.heuristics.cases import random_instance

CASES = [
    random_instance(1, servers=2, load=0.5),
    random_instance(2, servers=5, models=6, workflows=4, load=0.75, exclusive=False),
    random_instance(3, servers=3, load=0.9, exclusive=False),
    random_instance(4, servers=3, load=0.6, exclusive=False, mixed_types=True),
]


TIGHT = random_instance(33, servers=3, models=6, load=0.65, exclusive=False)


FEW = DEFAULTS.changed({"local_search": {"moves": 4_000}})
"""Short local searches, alike under their own name and as starts."""


def under_cap(instance: Instance, found: SolveResult, cap: float) -> float:
    """Locality of the placement of a result under a cap; -inf where it cannot be kept."""
    seen = replace(instance, load_cap=cap)
    routed = best_routing(seen, found.solution.placement, SolverSettings(threads=1))
    return float("-inf") if routed is None else evaluate(seen, routed).objective


def by_work(seconds: float, step: float) -> Budget:
    """A budget whose clock goes on a step whenever it is read: no machine is slow or fast."""
    ticks = count()
    return Budget(seconds, clock=lambda: next(ticks) * step)


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_no_heuristic_is_better_under_the_same_cap(
    case: int, mode: Literal["online", "offline"]
) -> None:
    """Without a time limit: all of them, each with its own seed and search."""
    instance = CASES[case]
    options = SolveOptions(mode=mode, threads=1, time_limit_s=None, params=FEW, balance=False)
    plan = solve_instance(instance, options)
    for method in (*CHEAP, "local-search"):
        other = solve_instance(instance, replace(options, method=method))
        worth = under_cap(instance, other, plan.instance.load_cap)
        assert plan.evaluation.objective >= worth - 1e-9, method


@pytest.mark.parametrize("case", range(len(CASES)))
def test_cheap_heuristics_are_no_better_however_short_the_time(case: int) -> None:
    """They come first, so that a clock that leaves time for little leaves it for them."""
    instance = CASES[case]
    options = SolveOptions(threads=1, time_limit_s=None, params=FEW)
    for step in (1e-2, 2e-3):
        plan = solve_instance(instance, options, budget=by_work(60.0, step))
        assert not violations(plan.instance, plan.solution)
        assert plan.certificate.best_bound >= plan.evaluation.objective - 1e-9
        for method in CHEAP:
            other = solve_instance(instance, replace(options, method=method))
            worth = under_cap(instance, other, plan.instance.load_cap)
            assert plan.evaluation.objective >= worth - 1e-9, method


@pytest.mark.parametrize("case", range(len(CASES)))
def test_a_clock_changes_nothing_without_being_told_of(case: int) -> None:
    """Under clocks of any speed a plan is the plan without one, or says that it may not be."""
    instance = CASES[case]
    options = SolveOptions(threads=1, time_limit_s=None, params=FEW)
    whole = solve_instance(instance, options)
    assert whole.certificate.deterministic
    said = []
    for step in (3e-1, 3e-2, 3e-3, 3e-4, 1e-9):
        found = solve_instance(instance, options, budget=by_work(60.0, step))
        said.append(found.certificate.deterministic)
        assert not violations(found.instance, found.solution)
        if said[-1]:
            assert found.solution == whole.solution
            assert found.certificate.best_bound == whole.certificate.best_bound
    assert not said[0], "this clock leaves no time for anything"
    assert said[-1], "this one leaves time for all"


def test_a_clock_ten_times_faster_changes_nothing_without_being_told_of() -> None:
    """With the solvers' own limits, which are in seconds of the machine."""
    from time import monotonic

    instance = CASES[1]
    options = SolveOptions(threads=1, time_limit_s=None, params=FEW)
    whole = solve_instance(instance, options)
    for seconds in (2.0, 600.0):
        budget = Budget(seconds, clock=lambda: 10 * monotonic(), pace=10.0)
        found = solve_instance(instance, options, budget=budget)
        assert not found.certificate.deterministic or found.solution == whole.solution


def test_of_many_nodes_the_best_placement_is_routed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that leaves time for one program leaves it for what water-filling finds best."""
    settings = SolverSettings(params=DEFAULTS.changed({"portfolio": {"many_nodes": 0}}))
    case = random_instance(3, servers=4, models=6, workflows=4, load=0.4, exclusive=False)
    instance = normalize(case)
    placements = [HEURISTICS[method](instance, 0, None) for method in CHEAP]
    worth = []
    for placement in placements:
        filled = filled_routing(instance, placement)
        worth.append(-1.0 if filled is None else evaluate(instance, filled).objective)
    assert len(set(worth)) == len(worth)
    routed: list[Placement] = []

    def record(_: Instance, placement: Placement, *rest: object, **more: object) -> None:
        routed.append(placement)

    monkeypatch.setattr(starts, "best_routing", record)
    order = sorted(range(len(placements)), key=worth.__getitem__)
    route_all(instance, [placements[i] for i in order], settings, Budget())
    assert routed[0] == placements[order[-1]]
    assert len(routed) == len(placements)


def test_the_target_is_kept_where_more_replicas_keep_it() -> None:
    """Greedy overloads a GPU by a block of one replica; spares bring it below the cap."""
    from_greedy = solve_instance(TIGHT, SolveOptions(method="greedy"))
    assert from_greedy.certificate.bottleneck_upper > 0.8
    for method in ("local-search", "ilp"):
        found = solve_instance(TIGHT, SolveOptions(method=method, time_limit_s=20))
        assert found.certificate.load_cap == 0.8
        assert found.evaluation.max_utilization <= 0.8 * (1 + 1e-6)
        assert violations(found.instance, found.solution) == []


@pytest.mark.parametrize("seed", [29, 35, 42, 53])
def test_local_search_is_no_worse_than_what_it_starts_from(seed: int) -> None:
    """Where it searched under a cap that is too wide, or cannot serve what a program can."""
    instance = random_instance(seed, servers=4, models=8, workflows=5, load=0.75)
    few = DEFAULTS.changed({"local_search": {"moves": 2_000}})
    options = SolveOptions(
        method="local-search", threads=1, time_limit_s=None, params=few, balance=False
    )
    found = solve_instance(instance, options)
    assert not violations(found.instance, found.solution)
    for method in ("greedy", "greedy-servers", "greedy-no-affinity"):
        other = solve_instance(instance, replace(options, method=method))
        worth = under_cap(instance, other, found.instance.load_cap)
        assert found.evaluation.objective >= worth - 1e-6, method
