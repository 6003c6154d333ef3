"""Placements that keep the cap only while some replicas stay idle, against every choice."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from placement.params.search_params import DEFAULTS
from placement.portfolio.scenario_routing import route_in_time, worth
from placement.problem.cluster import GpuSharing
from placement.problem.instance import Instance
from placement.problem.solution import Placement, Solution, evaluate
from placement.problem.violations import violations
from placement.programs.demands import Scenario, make_scenarios
from placement.programs.idle_routing import route_with_idle
from placement.programs.joint import solve_compact_scenarios
from placement.programs.routing import best_routing
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement import oracle

SETTINGS = SolverSettings(threads=1)
HALVED = GpuSharing(efficiency=(0.5,))


def drawn(seed: int) -> tuple[list[Scenario], Placement]:
    """Two demands under a cap that is tight, and the best placement for both."""
    rng = np.random.default_rng(seed)
    first = oracle.random_instance(rng, exclusive=False, load_cap=1.0, sharing=HALVED)
    demands = [
        replace(
            first,
            workflows=tuple(
                replace(
                    flow,
                    rate=flow.rate * float(rng.uniform(0.2, 2.0)),
                    work_s=flow.work_s * rng.uniform(0.2, 1.8, len(flow.work_s)),
                )
                for flow in first.workflows
            ),
        )
        for _ in range(2)
    ]
    cap = max(d.load_floor for d in demands) * float(rng.uniform(1.2, 1.9))
    scenarios = make_scenarios(demands, cap)
    found, _ = solve_compact_scenarios(
        scenarios, "average", SETTINGS, Budget(), start=None, gap=0.0
    )
    return scenarios, found or Placement.of(())


def by_trying(instance: Instance, placement: Placement) -> float:
    """Most locality of any choice of replicas that may carry load."""
    best = -np.inf
    for choice in product([False, True], repeat=placement.n_replicas):
        carrying = np.array(choice)
        if set(instance.used_models) - set(placement.model[carrying].tolist()):
            continue  # of its own work nobody does anything
        found = best_routing(instance, placement, SETTINGS, carrying=carrying)
        if found is not None:
            best = max(best, evaluate(instance, found).objective)
    return best


def seen(instance: Instance, found: Solution | None) -> float:
    assert found is None or violations(instance, found) == []
    return -np.inf if found is None else evaluate(instance, found).objective


def test_what_is_idle_is_chosen_as_well_as_can_be() -> None:
    """Also where no routing keeps the cap with all of them loaded; and wherever it is asked for."""
    apart = 0
    few = replace(DEFAULTS, robust=replace(DEFAULTS.robust, tightened_servers=0))
    for seed in range(20):
        scenarios, placement = drawn(seed)
        if not 0 < placement.n_replicas <= 7:
            continue
        for scenario in scenarios:
            best = by_trying(scenario, placement)
            found = route_with_idle(scenario, placement, SETTINGS, Budget())
            assert seen(scenario, found) == pytest.approx(best, abs=1e-6)
            apart += best_routing(scenario, placement, SETTINGS) is None
            for params in (DEFAULTS, few):
                settings = replace(SETTINGS, params=params)
                routed = route_in_time(scenario, placement, settings, Budget())
                assert seen(scenario, routed) <= best + 1e-6
                assert params is few or routed is not None
    assert apart >= 2


def test_a_placement_is_worth_to_all_demands_what_its_program_says() -> None:
    """No demand takes a replica for loaded that it leaves idle."""
    for seed in range(12):
        scenarios, _ = drawn(seed)
        placement, bound = solve_compact_scenarios(
            scenarios, "average", SETTINGS, Budget(), start=None, gap=0.0
        )
        if placement is not None:
            assert worth("average", scenarios, placement, SETTINGS) == pytest.approx(bound, 1e-5)


def test_where_sharing_loses_nothing_none_needs_to_be_idle() -> None:
    """The routing program says all that there is to be said."""
    rng = np.random.default_rng(0)
    instance = oracle.random_instance(rng, exclusive=False, load_cap=1.0)
    placement = next(oracle.placements(instance))
    assert route_with_idle(instance, placement, SETTINGS, Budget()) is None
