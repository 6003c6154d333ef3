"""The search over columns against brute force, where it is asked to take what others would."""

from dataclasses import replace
from itertools import product
from threading import active_count

import numpy as np
import pytest

from placement.params.search_params import DEFAULTS
from placement.patterns import solve_patterns
from placement.patterns.column_search import tightness
from placement.problem.cluster import Cluster, ServerType
from placement.problem.outcome import Progress
from placement.problem.solution import evaluate
from placement.problem.violations import violations
from placement.programs.compact_search import solve_compact
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from placement.verify import proven_bound
from tests.placement import oracle
from tests.placement.cases import case, plain
from tests.placement.heuristics.cases import random_instance

ALWAYS = SolverSettings(
    threads=1,
    params=DEFAULTS.changed(
        {
            "contents": {"most_contents": 0},
            "columns": {"least_tight": 0.0, "left": 1, "proposals": 2},
            "patterns": {"compact_servers": 0},
        }
    ),
)


def test_no_plan_is_better_than_brute_force_and_no_bound_below_it() -> None:
    """On tiny clusters of one or two types: plan <= optimum <= bound, which is proven again."""
    plans = 0
    for seed in range(40):
        instance = case(seed, exclusive=True)
        best, seen = oracle.best_locality(instance), list[Progress]()
        try:
            got = solve_patterns(
                instance, ALWAYS, Budget(), start=None, gap=0.0, progress=seen.append
            )
        except RuntimeError:
            continue  # no plan without a start
        assert any(event.phase == "columns" for event in seen)
        worth = evaluate(instance, got.solution).objective
        assert violations(instance, got.solution) == []
        assert worth <= best + 1e-6
        assert got.best_bound >= best - 1e-6
        assert got.duals is not None
        assert proven_bound(instance, got.duals) <= got.best_bound + 1e-6
        plans += worth >= best - 1e-6
    assert plans >= 20


def test_where_speeds_differ_bounds_hold_with_rows_on_whole_replicas() -> None:
    """Three types close to the cap: plan <= optimum of the compact form <= bound, proven again."""
    rows = 0
    for seed, load in product((0, 3, 5, 9), (0.5, 0.6)):
        drawn = random_instance(seed, models=4, load=load)
        kinds = (("a", 2, 1.0), ("b", 1, 0.6), ("c", 1, 1.8))
        cluster = Cluster(tuple(ServerType(t, n, 4, 80.0, speed=v) for t, n, v in kinds))
        instance = replace(drawn, cluster=cluster, load_cap=0.5)
        known = solve_compact(instance, ALWAYS, Budget(), start=None, gap=0.0)
        best = evaluate(instance, known.solution).objective
        got = solve_patterns(instance, ALWAYS, Budget(), start=None, gap=0.0)
        assert known.status == "optimal"
        assert evaluate(instance, got.solution).objective <= best + 1e-6
        assert got.best_bound >= best - 1e-6
        assert got.duals is not None
        assert proven_bound(instance, got.duals) <= got.best_bound + 1e-6
        kept = got.duals["kept"]
        assert isinstance(kept, list)
        rows += len(kept)
    assert rows >= 4


def test_servers_on_which_no_model_fits_stay_empty() -> None:
    """A server type without room for any model changes neither plan nor bound."""
    instance = case(3, exclusive=True)
    small = ServerType("small", 2, 1, float(instance.memory_per_gpu_gb.min()) / 2)
    more = replace(instance, cluster=Cluster((*instance.cluster.server_types, small)))
    got, wider = (
        solve_patterns(i, ALWAYS, Budget(), start=None, gap=0.0) for i in (instance, more)
    )
    assert violations(more, wider.solution) == []
    assert evaluate(more, wider.solution).objective == pytest.approx(
        evaluate(instance, got.solution).objective, abs=1e-6
    )
    assert wider.best_bound == pytest.approx(got.best_bound, abs=1e-6)


def test_equal_input_gives_equal_plans() -> None:
    """Without a time limit nothing hangs on a clock."""
    instance = replace(random_instance(1, servers=6, models=9, workflows=6, load=0.7), load_cap=0.9)
    start = plain(instance).solution
    first, second = (
        solve_patterns(instance, ALWAYS, Budget(), start=start, gap=0.0) for _ in range(2)
    )
    assert first.best_bound == second.best_bound
    assert np.array_equal(first.solution.load, second.solution.load)
    assert first.solution.placement == second.solution.placement


@pytest.mark.parametrize("load", [0.3, 0.9])
def test_tightness_counts_whole_replicas(load: float) -> None:
    """It is between the GPUs that the work fills and those with a replica more of each model."""
    instance = replace(random_instance(0, servers=8, load=load), load_cap=1.0)
    gpus = instance.cluster.n_gpus
    filled = float(instance.offered_load.sum()) / gpus
    more = float(instance.gpus_required[list(instance.used_models)].sum()) / gpus
    assert filled * (1 - 1e-4) <= tightness(instance) <= filled + more


def test_an_interruption_ends_both_sides() -> None:
    """Whoever asks for an end gets the plan so far, with its bound, and no thread goes on."""
    instance = replace(random_instance(1, servers=6, models=9, workflows=6, load=0.7), load_cap=0.9)
    start, budget = plain(instance).solution, Budget()
    threads = active_count()

    def stop(event: Progress) -> None:
        if event.phase == "columns":
            budget.interrupt()

    got = solve_patterns(instance, ALWAYS, budget, start=start, gap=0.0, progress=stop)
    assert got.status == "interrupted"
    worth = evaluate(instance, got.solution).objective
    assert evaluate(instance, start).objective <= worth <= got.best_bound
    assert active_count() == threads
