"""Refinement by a score that the program does not know, against brute force and the rules."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from placement.problem.instance import Instance
from placement.problem.outcome import SolveOptions, SolveResult
from placement.problem.placement_rules import PlacementRules
from placement.problem.score import SolutionScore
from placement.problem.solution import Solution, evaluate
from placement.problem.spare_claims import spare_faults
from placement.problem.violations import violations
from placement.refine import refine, refined_result
from placement.solve import solve_instance
from tests.placement import oracle
from tests.placement.cases import GREEDY, contents, plain
from tests.placement.heuristics.cases import random_instance


def test_refinement_finds_the_best_placement_of_tiny_instances() -> None:
    """Scored by the bottleneck that an independent program computes, it ends at brute force's."""
    reached = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        instance = oracle.random_instance(rng, exclusive=bool(seed % 2), load_cap=5.0)

        def score(solution: Solution, instance: Instance = instance) -> SolutionScore:
            value = oracle.route(instance, contents(instance, solution), bottleneck=True)
            return SolutionScore(value, np.ones(len(instance.model_ids)))

        start = solve_instance(
            instance, SolveOptions(method="greedy-no-affinity", max_utilization=5.0)
        )
        found = refine(start, score, GREEDY, evaluations=60, loss=1.0, caps=())
        best = oracle.least_bottleneck(instance)
        assert best - 1e-7 <= found.value <= found.start_value
        reached += found.value <= best + 1e-7
    assert reached >= 7


@cache
def certified() -> SolveResult:
    return solve_instance(random_instance(1, load=0.4), SolveOptions(time_limit_s=10))


def variance(solution: Solution, instance: Instance) -> SolutionScore:
    loads = evaluate(instance, solution).gpu_load
    return SolutionScore(float(loads.var()), np.ones(len(instance.model_ids)))


@pytest.mark.parametrize("loss", [0.0, 0.05, 1.0])
def test_a_refined_plan_keeps_the_program_and_its_bound(loss: float) -> None:
    """It is feasible, loses no more locality than allowed, and its gap is to the same bound."""
    start = certified()
    found = refine(start, lambda s: variance(s, start.instance), GREEDY, evaluations=40, loss=loss)
    result = refined_result(start, found, 1.0)
    before, after = start.certificate, result.certificate
    assert violations(start.instance, result.solution) == []
    assert after.objective >= before.objective * (1 - loss) - 1e-7
    assert after.best_bound == pytest.approx(before.best_bound)
    assert after.gap == pytest.approx((after.best_bound - after.objective) / after.objective)
    assert found.value <= found.start_value
    assert [s.value for s in found.steps] == sorted((s.value for s in found.steps), reverse=True)
    assert found.evaluations <= 40


@pytest.mark.parametrize("rules", [PlacementRules(spares="none"), PlacementRules(spares="fill")])
def test_a_refined_plan_has_the_spares_that_were_asked_for(rules: PlacementRules) -> None:
    """No replica that does nothing is left, or room for another."""
    instance = replace(random_instance(1, load=0.4), placement_rules=rules)
    start = solve_instance(instance, SolveOptions(method="greedy"))
    mine = start.instance
    found = refine(start, lambda s: variance(s, mine), GREEDY, evaluations=30, loss=1.0)
    assert found.steps
    assert spare_faults(mine, found.solution, "online") == []


def test_equal_inputs_give_equal_refinements() -> None:
    """The number of evaluations ends the search, so two searches agree to the last bit."""
    instance = random_instance(2, load=0.4)
    start = plain(instance)
    found = [
        refine(start, lambda s: variance(s, start.instance), GREEDY, evaluations=20, caps=(0.8,))
        for _ in range(2)
    ]
    assert found[0].steps == found[1].steps
    assert len(found[0].steps) > 1
    assert found[0].steps[-1].value == found[0].value < found[0].start_value
    assert [s.value for s in found[0].steps] == sorted({s.value for s in found[0].steps})[::-1]
    assert found[0].deterministic
    np.testing.assert_array_equal(found[0].solution.load, found[1].solution.load)


def test_what_scores_infinite_is_never_kept() -> None:
    """Where every candidate is ruled out, the plain solution stays."""
    instance = random_instance(3, load=0.4)
    start = plain(instance)

    def score(solution: Solution) -> SolutionScore:
        value = 1.0 if solution is start.solution else float("inf")
        return SolutionScore(value, np.ones(len(instance.model_ids)))

    found = refine(start, score, GREEDY, evaluations=15, caps=())
    assert found.solution is start.solution
    assert not found.steps
