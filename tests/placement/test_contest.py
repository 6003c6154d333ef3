"""Methods on equal terms: the contest's mode and seed, and more room that makes nobody worse."""

from __future__ import annotations

import pytest

from placement.contest import Contest
from placement.problem.outcome import SolveOptions, relative_gap
from placement.problem.solution import evaluate
from placement.problem.violations import violations
from tests.placement.heuristics.cases import random_instance

METHODS = ("greedy", "ilp")


@pytest.mark.parametrize("method", METHODS)
def test_mode_and_seed_are_those_of_the_contest(method: str) -> None:
    """Whatever the options of the method say."""
    contest = Contest(random_instance(1), "offline", seed=7)
    options = SolveOptions(method=method, mode="online", seed=1)  # type: ignore[arg-type]
    found = contest.solve(options)
    assert (found.options.mode, found.options.seed) == ("offline", 7)
    online = contest.solve(options, load_cap=0.9)
    assert online.certificate.load_cap == 0.9
    assert online.options.seed == 7


@pytest.mark.parametrize("method", METHODS)
def test_more_room_makes_no_method_worse(method: str) -> None:
    """Under every looser cap: a plan that keeps it, at least as good, and a bound above it."""
    better = 0
    for seed in range(4):
        instance = random_instance(seed, servers=2, gpus=3, load=0.9)
        contest = Contest(instance, "offline")
        options = SolveOptions(method=method, gap=1e-3)  # type: ignore[arg-type]
        own = contest.solve(options)
        cap = own.certificate.load_cap
        for factor in (0.5, 1.0, 1.2, 2.0):
            found = contest.solve_at_cap(options, own, factor * cap)
            if factor <= 1:
                assert found is own
                continue
            assert found.instance.load_cap == pytest.approx(factor * cap)
            assert found.certificate.load_cap == pytest.approx(factor * cap)
            assert violations(found.instance, found.solution) == []
            objective = evaluate(found.instance, found.solution).objective
            assert objective >= own.evaluation.objective - 1e-9
            assert found.certificate.objective == pytest.approx(objective)
            assert found.certificate.best_bound >= objective - 1e-9
            gap = relative_gap(found.certificate.objective, found.certificate.best_bound)
            assert found.certificate.gap == pytest.approx(gap)
            better += objective > own.evaluation.objective + 1e-4
    assert better
