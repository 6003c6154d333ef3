"""One placement for several demands, against brute force over all placements."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.patterns.joint_master import (
    Multipliers,
    ScenarioPricing,
    generate_scenarios,
    scenario_bound,
)
from placement.portfolio.scenario_routing import worth
from placement.problem.cluster import Cluster, GpuSharing, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.normalization import normalize
from placement.problem.outcome import SolveOptions
from placement.problem.trace import measure_demand
from placement.problem.violations import violations
from placement.problem.workload import Workload
from placement.programs.demands import (
    Criterion,
    Scenario,
    combine,
    make_scenarios,
    mean_demand,
    split_windows,
    window_demands,
)
from placement.programs.joint import scenario_weights, solve_compact_scenarios
from placement.robust import solve_scenarios
from placement.solver import milp
from placement.solver.budget import Budget
from placement.solver.highs import QuietHiGHS
from placement.solver.milp import SolverSettings
from tests.placement import oracle
from tests.placement.heuristics.cases import random_instance
from tests.runtime.cases import chain, model, trace_of

SETTINGS = SolverSettings()


def demands_of(seed: int, count: int = 2, **more: bool) -> tuple[Instance, list[Instance]]:
    """A tiny instance and other demands on it: other rates, some workflows absent, other times."""
    rng = np.random.default_rng(seed)
    first = oracle.random_instance(rng, exclusive=more.get("exclusive", True), load_cap=1.5)
    demands = []
    for k in range(count):
        flows = list(first.workflows)
        for w, flow in enumerate(flows):
            gone = len(flows) > 1 and (w + k) % 3 == 0
            rate = 0.0 if gone else flow.rate * float(rng.uniform(0.3, 2.0))
            flows[w] = replace(flow, rate=rate, work_s=flow.work_s * rng.uniform(0.5, 1.5))
        demands.append(replace(first, workflows=tuple(flows)))
    rates = np.mean([[w.rate for w in d.workflows] for d in demands], axis=0)
    mean = replace(
        first,
        workflows=tuple(
            replace(f, rate=float(r)) for f, r in zip(first.workflows, rates, strict=True)
        ),
    )
    return mean, demands


def brute_force(scenarios: list[Scenario], criterion: Criterion) -> float:
    return max(
        combine(criterion, [oracle.route(s, p, bottleneck=False) for s in scenarios])
        for p in oracle.placements(scenarios[0])
    )


@pytest.mark.parametrize("criterion", ["worst", "average"])
@pytest.mark.parametrize("exclusive", [True, False])
def test_compact_and_patterns_against_brute_force(criterion: Criterion, exclusive: bool) -> None:
    """The compact form finds brute force's optimum; the pattern bound is never below it."""
    for seed in range(12):
        _, demands = demands_of(seed, exclusive=exclusive)
        scenarios = make_scenarios(demands, 1.5)
        best = brute_force(scenarios, criterion)
        if best == float("-inf"):
            continue
        placement, bound = solve_compact_scenarios(
            scenarios, criterion, SETTINGS, Budget(), start=None, gap=0.0
        )
        assert placement is not None
        assert worth(criterion, scenarios, placement, SETTINGS) == pytest.approx(best, abs=1e-6)
        assert bound == pytest.approx(best, abs=1e-6)
        pool = generate_scenarios(scenarios, criterion, [], SETTINGS, Budget(), gap=0.0)
        assert pool.best_bound >= best - 1e-6


@pytest.mark.parametrize("criterion", ["worst", "average"])
def test_what_is_idle_under_one_demand_takes_nothing_off_it(criterion: Criterion) -> None:
    """By hand: a fits one of two GPUs, and b needs both under the demand in which a is light.

    Slices leave 0.72 of a GPU to two, and a wants 0.85 under the demand in which b is light.
    """
    kinds = (ServerType("large", 1, 1, 80.0), ServerType("small", 1, 1, 40.0))
    cluster = Cluster(kinds, sharing=GpuSharing(efficiency=(0.8,)))
    one, none = np.ones(2, dtype=np.int64), np.zeros((0, 2), dtype=np.int64)
    demands = [
        Instance(
            ("a", "b"), one, np.array([50.0, 30.0]),
            tuple(
                WorkflowDemand(f"w{m}", 1.0, np.array([m]), np.array([work]), none)
                for m, work in enumerate(of_a_and_b)
            ),
            cluster,
        )
        for of_a_and_b in ((0.85, 0.05), (0.05, 1.3))
    ]  # fmt: skip
    scenarios = make_scenarios(demands, 0.9)
    placement, bound = solve_compact_scenarios(
        scenarios, criterion, SETTINGS, Budget(), start=None, gap=0.0
    )
    assert placement is not None
    assert placement.replicas() == [(0, 0, 0), (1, 0, 0), (1, 1, 0)]
    pool = generate_scenarios(scenarios, criterion, [], SETTINGS, Budget(), gap=0.0)
    assert bound == pytest.approx(1.0) == pool.best_bound
    found = solve_scenarios(demands[0], demands, SolveOptions(max_utilization=0.9), criterion)
    assert found.objective == pytest.approx(1.0)


def test_any_multipliers_bound_both_criteria() -> None:
    """Random thetas that add up to 1 and random prices bound the worst case of brute force."""
    rng = np.random.default_rng(0)
    for seed in range(8):
        _, demands = demands_of(seed)
        scenarios = make_scenarios(demands, 1.5)
        best = brute_force(scenarios, "worst")
        normal = [normalize(s) for s in scenarios]
        theta = rng.dirichlet(np.ones(len(normal)))
        prices = [
            {
                (w, v): float(rng.uniform(-0.5, 0.5))
                for w in s.active_workflows
                for v in range(len(s.workflows[w].node_model))
            }
            for s in normal
        ]
        at = Multipliers(theta, prices)
        priced = [
            ScenarioPricing(normal, t).solve(at, SETTINGS, None)
            for t in range(len(normal[0].cluster.server_types))
        ]
        bounds = [p[1] for p in priced if p is not None]
        assert scenario_bound(normal, at, bounds) >= best - 1e-6


@pytest.mark.parametrize("criterion", ["worst", "average"])
def test_the_front_door_beats_the_plain_plan_and_keeps_its_word(criterion: Criterion) -> None:
    """Four servers by patterns: feasible in every scenario, at least as good, within the bound."""
    first = random_instance(5, servers=4, gpus=2, models=6, workflows=4, load=0.45)
    scale = ((1.6, 0.4, 1.0, 1.0), (0.4, 1.6, 1.0, 1.0), (1.0, 1.0, 0.3, 1.7))
    demands = [
        replace(
            first,
            workflows=tuple(
                replace(f, rate=f.rate * x) for f, x in zip(first.workflows, s, strict=True)
            ),
        )
        for s in scale
    ]
    outcome = solve_scenarios(first, demands, SolveOptions(time_limit_s=20), criterion)
    for scenario, solution in zip(outcome.scenarios, outcome.solutions, strict=True):
        assert violations(scenario, solution) == []
        assert solution.placement is outcome.solutions[0].placement
    values = [e.objective for e in outcome.evaluations]
    assert outcome.objective == pytest.approx(combine(criterion, values))
    assert outcome.plain_objective - 1e-6 <= outcome.objective <= outcome.best_bound + 1e-9
    assert outcome.gap < 0.02
    result = outcome.result
    assert violations(result.instance, result.solution) == []
    assert result.evaluation.objective <= result.certificate.best_bound + 1e-9
    assert "scenarios" in result.certificate.proof


def test_one_scenario_is_the_plain_problem() -> None:
    """With a single demand both criteria have the optimum of brute force over that demand."""
    for seed in range(2):
        rng = np.random.default_rng(seed)
        instance = oracle.random_instance(rng, exclusive=True, load_cap=1.5)
        best = oracle.best_locality(instance)
        assert best > float("-inf")
        options = SolveOptions(max_utilization=1.5, time_limit_s=20)
        outcome = solve_scenarios(instance, [instance], options, "worst")
        assert outcome.objective == pytest.approx(best, abs=1e-5)


def test_windows_split_a_trace_by_time() -> None:
    """Windows hold every request once; their rates average to the trace's, as do mean demands."""
    workload = Workload((model("a"), model("b")), (chain(2), chain(1)))
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 300)
    arrival = np.cumsum(rng.exponential(1.0, 300))
    trace = trace_of(workload, arrival - arrival[0], kind, rng.random(int((2 - kind).sum())))
    parts = split_windows(trace, 4)
    assert sum(p.n_requests for p in parts) == 300
    np.testing.assert_allclose(np.concatenate([p.service_s for p in parts]), trace.service_s)
    demands = window_demands(workload, trace, 4)
    whole, mean = measure_demand(workload, trace), mean_demand(demands)
    np.testing.assert_allclose(mean.rate, whole.rate)
    for a, b in zip(mean.service_s, whole.service_s, strict=True):
        np.testing.assert_allclose(a, b)


@pytest.mark.parametrize("servers", [2, 4])
def test_every_program_knows_when_the_time_ends(
    servers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a time limit none is solved without one, whatever phase it is of."""
    limits: list[float | None] = []

    def solver(**options: object) -> QuietHiGHS:
        limits.append(options["timeLimit"])  # type: ignore[arg-type]
        return QuietHiGHS(**options)

    monkeypatch.setattr(milp, "QuietHiGHS", solver)
    first = random_instance(5, servers=servers, gpus=4, models=4, workflows=3, load=0.5)
    demands = [
        replace(first, workflows=tuple(replace(f, rate=f.rate * x) for f in first.workflows))
        for x in (0.6, 1.3)
    ]
    solve_scenarios(first, demands, SolveOptions(time_limit_s=60), "worst")
    assert len(limits) > 10
    assert None not in limits


@pytest.mark.parametrize("criterion", ["worst", "average"])
def test_without_time_there_is_a_plan_that_serves_every_scenario(criterion: Criterion) -> None:
    """An interrupt before the first phase leaves one that keeps the cap, and the bound above it."""
    first = random_instance(5, servers=4, gpus=2, models=6, workflows=4, load=0.45)
    demands = [
        replace(first, workflows=tuple(replace(f, rate=f.rate * x) for f in first.workflows))
        for x in (0.5, 1.5)
    ]
    budget = Budget(60.0)
    budget.interrupt()
    outcome = solve_scenarios(first, demands, SolveOptions(), criterion, budget=budget)
    for scenario, solution in zip(outcome.scenarios, outcome.solutions, strict=True):
        assert violations(scenario, solution) == []
    assert violations(outcome.result.instance, outcome.result.solution) == []
    assert outcome.objective <= outcome.best_bound + 1e-9
    assert not outcome.deterministic


def test_scenarios_weigh_what_their_rows_are_worth() -> None:
    """The duals of the rows of the least, as shares; all alike where these say nothing."""
    duals = {"worst_0": 0.3, "worst_1": 0.1, "worst_2": -1e-9, "other": 5.0}
    np.testing.assert_allclose(scenario_weights(duals, "worst", 3), [0.75, 0.25, 0.0])
    np.testing.assert_allclose(scenario_weights(duals, "average", 3), 1 / 3)
    nothing = dict.fromkeys(duals, -1e-9)
    np.testing.assert_allclose(scenario_weights(nothing, "worst", 3), 1 / 3)
