"""A lower cap at equal locality."""

from __future__ import annotations

from dataclasses import replace

from placement.heuristics.greedy import greedy
from placement.heuristics.local_search import local_search
from placement.lowering import lower_cap
from placement.outcome import Budget
from placement.routing_lp import best_routing
from placement.solution import evaluate, violations
from placement.solvers import SolverSettings
from tests.placement.heuristics.test_rules import instance_of


def test_the_busiest_gpu_is_relieved_and_no_locality_given_up() -> None:
    """What comes back keeps all rules and the locality, and its busiest GPU is no busier."""
    settings = SolverSettings(threads=1)
    instance = replace(instance_of(0.4), load_cap=0.8)
    for placement in (greedy(instance), local_search(instance, moves=4_000)):
        before = best_routing(instance, placement, settings)
        assert before is not None
        after = lower_cap(instance, before, settings, Budget(), tolerance=1e-5)
        assert violations(instance, after) == []
        was, now = evaluate(instance, before), evaluate(instance, after)
        assert now.objective >= was.objective * (1 - 1e-5)
        assert now.max_utilization <= was.max_utilization + 1e-9
