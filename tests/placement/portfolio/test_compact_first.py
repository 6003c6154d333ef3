"""The compact program before all heuristics: it closes what is small, or leaves it as it was."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.instances import cluster_of, problem
from placement.files.plan_file import write_plan
from placement.params.search_params import DEFAULTS
from placement.portfolio.compact_first import suits_compact
from placement.portfolio.preparation import Start, first_start
from placement.portfolio.starts import Placer
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.outcome import Progress, SolveOptions
from placement.problem.plan_building import build_plan
from placement.problem.violations import violations
from placement.solve import solve_instance
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement import oracle
from tests.placement.cases import case
from tests.placement.heuristics.cases import random_instance

FEW = DEFAULTS.changed({"local_search": {"moves": 2_000}})
ONE_NODE = FEW.changed({"compact": {"first_nodes": 1}})
NEVER = FEW.changed({"compact": {"first_rates": 0}})
TIGHT = random_instance(6, servers=2, models=6, workflows=4, load=0.75)
"""Its first placement is not its best, and one node does not close it."""


def known(instance: Instance, options: SolveOptions) -> tuple[Placer, Start]:
    normal = normalize(instance, options.max_utilization)
    scaled = replace(options, max_utilization=options.max_utilization / (normal.load_unit or 1.0))
    given = replace(normal, load_cap=scaled.max_utilization)
    placer = Placer(given, scaled, SolverSettings.of(options))
    return placer, first_start(placer, Budget(), lambda event: None)


@pytest.mark.parametrize("exclusive", [True, False])
def test_it_closes_tiny_clusters_at_the_optimum_of_brute_force(
    exclusive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no heuristic is asked any more."""
    monkeypatch.setattr(import_module("placement.portfolio.maximum"), "best_start", None)
    for seed in range(12):
        instance = case(seed, exclusive=exclusive)
        options = SolveOptions(params=FEW, gap=0.0, max_utilization=instance.load_cap)
        got = solve_instance(instance, options)
        assert violations(got.instance, got.solution) == []
        best = oracle.best_locality(got.instance)
        assert got.certificate.objective == pytest.approx(best, abs=1e-5), seed
        assert got.certificate.best_bound == pytest.approx(best, abs=1e-5), seed
        assert (got.certificate.status, got.certificate.form) == ("optimal", "compact")


def test_what_it_does_not_close_is_solved_as_before() -> None:
    """After one node, after many, or without a try: the same optimum, by heuristics or not."""
    found = {
        name: solve_instance(TIGHT, SolveOptions(params=params, gap=0.0, time_limit_s=None))
        for name, params in (("many", FEW), ("one", ONE_NODE), ("none", NEVER))
    }
    best = found["none"].certificate.objective
    for got in found.values():
        assert got.certificate.status == "optimal"
        assert got.certificate.deterministic
        assert got.certificate.objective == pytest.approx(best, abs=1e-6)
    asked = {n: [e.phase for e in got.history].count("start") for n, got in found.items()}
    assert asked == {"many": 1, "one": 2, "none": 2}


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_input_gives_the_same_bytes(threads: int, exclusive: bool, tmp_path: Path) -> None:
    """Of a try that closes and of one that does not: no clock has a say in either."""
    cluster = replace(cluster_of(2), sharing=oracle.EVEN)
    instance, workload = problem(4, 3, cluster, exclusive=exclusive, load=0.75, seed=1)
    for name, params in (("many", FEW), ("one", ONE_NODE)):
        files = [tmp_path / f"{name}-{run}.yaml" for run in range(2)]
        for file in files:
            options = SolveOptions(params=params, threads=threads, time_limit_s=None)
            result = solve_instance(instance, options)
            assert result.certificate.deterministic
            write_plan(file, build_plan(result, workload))
        assert files[0].read_bytes() == files[1].read_bytes()


def test_an_interrupt_within_it_leaves_the_first_plan_or_a_better_one() -> None:
    """The plan holds, its bound too, and the status says why."""
    budget = Budget(60.0)

    def stop(event: Progress) -> None:
        if event.phase == "locality (compact)":
            budget.interrupt()

    got = solve_instance(TIGHT, SolveOptions(params=FEW), progress=stop, budget=budget)
    whole = solve_instance(TIGHT, SolveOptions(params=FEW, gap=0.0)).certificate
    assert violations(got.instance, got.solution) == []
    assert got.certificate.status == "interrupted"
    assert got.certificate.objective <= whole.objective + 1e-6 <= got.certificate.best_bound + 2e-6


def test_only_small_programs_under_a_cap_that_is_known_are_tried() -> None:
    """By form, solver, size, and what is known of the least load."""
    options = SolveOptions(params=FEW)
    placer, start = known(TIGHT, options)
    assert suits_compact(placer, start)
    for other in (
        replace(options, form="patterns"),
        replace(options, solver="CBC"),
        replace(options, params=NEVER),
    ):
        assert not suits_compact(*known(TIGHT, other))
    least = start.bottleneck
    crowded = replace(placer, options=replace(placer.options, mode="offline"))
    unknown = replace(start, bottleneck=replace(least, lower=0.9 * least.upper))
    closed = replace(start, bottleneck=replace(least, lower=least.upper))
    assert suits_compact(crowded, closed)
    assert not suits_compact(crowded, unknown)
