"""Every form of the program under time slices that cost capacity, against brute force."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from placement.problem.instance import Instance
from placement.problem.outcome import SolveOptions, SolveResult
from placement.problem.solution import Placement, evaluate
from placement.problem.violations import violations
from placement.programs.least_load import least_bottleneck
from placement.programs.routing import best_routing
from placement.solve import solve_instance
from placement.solver.milp import SolverSettings
from tests.placement import oracle

SEEDS = range(10)
"""Each kind of sharing; some with models whose calls leave the GPU idle."""

NEAR = 1e-6


@cache
def shared(seed: int) -> Instance:
    """A random instance that the target of 0.8 is tight for, or roomy, or too low."""
    instance = oracle.random_instance(
        np.random.default_rng([seed, 1]),
        exclusive=False,
        load_cap=0.8,
        sharing=oracle.SLICED[seed % len(oracle.SLICED)],
        fractions=(0.5, 0.9, 1.0) if seed % 3 == 0 else (1.0,),
    )
    factor = 0.8 / oracle.least_bottleneck(instance) / [1.001, 1.04, 0.8, 1.2][seed % 4]
    workflows = tuple(replace(w, rate=w.rate * factor) for w in instance.workflows)
    return replace(instance, workflows=workflows)


def solved(instance: Instance, form: str) -> SolveResult:
    options = SolveOptions(form=form, gap=0.0, threads=1)  # type: ignore[arg-type]
    return solve_instance(instance, options)


@pytest.mark.parametrize("form", ["compact", "patterns"])
@pytest.mark.parametrize("block", range(2))
def test_promises_hold_where_slices_cost_capacity(block: int, form: str) -> None:
    """The plan keeps the rule, none is better than its bound, U* lies in its interval."""
    proven = lost = 0
    for seed in SEEDS[block::2]:
        instance = shared(seed)
        least = oracle.least_bottleneck(instance)
        result = solved(instance, form)
        certificate, cap = result.certificate, result.certificate.load_cap
        assert violations(result.instance, result.solution) == []
        best = oracle.best_locality(replace(instance, load_cap=cap * (1 - NEAR)))
        most = oracle.best_locality(replace(instance, load_cap=cap * (1 + NEAR)))
        assert certificate.objective <= most + NEAR, seed
        assert certificate.best_bound >= best - NEAR, seed
        assert certificate.bottleneck_lower <= least * (1 + NEAR), seed
        assert certificate.bottleneck_upper >= least * (1 - NEAR), seed
        if certificate.status == "optimal":
            proven += 1
            assert certificate.objective >= best - NEAR, seed
        free = replace(instance, cluster=replace(instance.cluster, sharing=oracle.EVEN))
        lost += oracle.best_locality(replace(free, load_cap=cap)) > most + 1e-3
        lost += oracle.least_bottleneck(free) < 0.99 * least
    assert proven >= 3
    assert lost >= 1  # the rule costs locality, or raises the least load


def test_routing_a_placement_counts_those_that_stand() -> None:
    """The program over a placement is never above brute force over what stands there."""
    settings, tight = SolverSettings(threads=1), 0
    for seed in SEEDS:
        instance = shared(seed)
        for content in list(oracle.placements(instance))[:3]:
            rows = [(m, s, i) for s, held in enumerate(content) for m, i in held]
            placement = Placement.sorted(*np.array(rows, dtype=np.int64).T)
            load, solution = least_bottleneck(instance, placement, settings)
            assert load == pytest.approx(evaluate(instance, solution).max_utilization)
            assert load <= oracle.route(instance, content, bottleneck=True) * (1 + NEAR)
            capped = replace(instance, load_cap=load * 1.02)
            routed = best_routing(capped, placement, settings)
            expected = oracle.route(capped, content, bottleneck=False)
            if routed is None:
                tight += 1
                assert expected == -np.inf
            else:
                assert violations(capped, routed) == []
                worth = evaluate(capped, routed).objective
                assert worth == pytest.approx(expected, abs=1e-5)
    assert tight < 10
