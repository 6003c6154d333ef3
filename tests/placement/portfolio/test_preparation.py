"""The start of the integer program: the best that is known, routed under the cap it is for."""

from dataclasses import replace

import pytest

from placement.heuristics import HEURISTICS
from placement.params.search_params import DEFAULTS
from placement.portfolio import starts
from placement.portfolio.preparation import Start, best_start, first_start
from placement.portfolio.starts import CHEAP, Placer, search_wider
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.outcome import SolveOptions
from placement.problem.solution import evaluate
from placement.problem.violations import violations
from placement.programs.routing import best_routing
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement.heuristics.cases import random_instance

FEW = DEFAULTS.changed({"local_search": {"moves": 2_000}})
SETTINGS = SolverSettings(threads=1, params=FEW)
CASES = [
    random_instance(3, servers=4, models=6, workflows=4, load=0.4, exclusive=False),
    random_instance(2, servers=5, models=6, workflows=4, load=0.75, exclusive=False),
    random_instance(1, servers=2, load=0.5),
    random_instance(3, servers=3, load=0.9, exclusive=False),
    random_instance(5, servers=6, models=8, workflows=5, load=1.2),
]


def started(instance: Instance, options: SolveOptions, settings: SolverSettings) -> Start:
    """The best start, from the first one."""
    placer = Placer(replace(instance, load_cap=options.max_utilization), options, settings)
    return best_start(placer, first_start(placer, Budget(), lambda event: None), Budget())


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("case", range(len(CASES)))
def test_the_start_keeps_the_cap_and_is_no_worse_than_a_cheap_one(case: int, many: bool) -> None:
    """Whether programs route at once or wait for the search, as they do of many nodes."""
    params = FEW.changed({"portfolio": {"many_nodes": 0 if many else 10_000}})
    settings = replace(SETTINGS, params=params)
    instance = normalize(CASES[case], 0.8)
    options = replace(SolveOptions(), max_utilization=0.8 / (instance.load_unit or 1.0))
    start = started(instance, options, settings)
    assert violations(start.instance, start.solution) == []
    worth = evaluate(start.instance, start.solution).objective
    for method in CHEAP:
        placed = HEURISTICS[method](start.instance, options.seed, None)
        routed = best_routing(start.instance, placed, SETTINGS)
        if routed is not None:
            assert worth >= evaluate(start.instance, routed).objective - 1e-7


@pytest.mark.parametrize("seed", range(3))
def test_in_overload_the_cheap_ones_see_the_cap_of_the_program(seed: int) -> None:
    """Even where local search finds nothing: what greedy has under the cap, the start has."""
    params = FEW.changed({"local_search": {"moves": 1, "start_moves": 1}})
    given = random_instance(seed, servers=6, models=8, workflows=5, load=1.2)
    instance = normalize(given, 0.8)
    options = replace(SolveOptions(), max_utilization=0.8 / (instance.load_unit or 1.0))
    settings = replace(SETTINGS, params=params)
    start = started(instance, options, settings)
    assert start.instance.load_cap > options.max_utilization
    worth = evaluate(start.instance, start.solution).objective
    routed = [
        best_routing(start.instance, HEURISTICS[m](start.instance, options.seed, None), SETTINGS)
        for m in CHEAP
    ]
    found = [evaluate(start.instance, s).objective for s in routed if s is not None]
    assert worth >= max(found, default=0.0) - 1e-7


def test_what_is_routed_already_is_not_routed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search under the cap finds what it found before: no program is solved for it."""
    instance = normalize(CASES[0], 0.8)
    options = replace(SolveOptions(), max_utilization=0.8 / (instance.load_unit or 1.0))
    instance = replace(instance, load_cap=options.max_utilization)
    placer = Placer(instance, options, SETTINGS)
    placement = placer.place("local-search", instance.load_cap, Budget())
    routed = best_routing(instance, placement, SETTINGS)
    assert routed is not None
    monkeypatch.setattr(starts, "best_routing", None)
    assert search_wider(placer, instance, Budget(), [routed]) is None
    assert search_wider(placer, instance, Budget(), []) == placement
