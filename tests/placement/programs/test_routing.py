"""The best flows over a placement that is given, against a linear program of the tests' own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.params.search_params import DEFAULTS
from placement.problem.cluster import Cluster
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.solution import Placement, evaluate
from placement.problem.violations import violations
from placement.programs.routing import (
    balance_routing,
    best_routing,
    elastic_routing,
    shortfall,
    shortfall_weight,
)
from placement.solver.milp import SolverSettings
from tests.placement import oracle
from tests.placement.cases import drawn_placement

HIGHS = SolverSettings(threads=1)
PARTS = replace(HIGHS, params=DEFAULTS.changed({"portfolio": {"many_nodes": 0}}))
"""As of many nodes: what keeps everything is sought first."""


@pytest.mark.parametrize("settings", [HIGHS, PARTS], ids=["nodes", "parts"])
@pytest.mark.parametrize("exclusive", [True, False])
def test_the_best_routing_is_that_of_an_independent_program(
    exclusive: bool, settings: SolverSettings
) -> None:
    """Of drawn placements at drawn caps: the same locality, and none where none keeps the cap."""
    kept = beyond = 0
    for seed in range(40):
        rng = np.random.default_rng([seed, exclusive])
        instance = oracle.random_instance(rng, exclusive=exclusive, load_cap=1.0)
        placement, contents = drawn_placement(instance, rng)
        least = oracle.route(instance, contents, bottleneck=True)
        instance = replace(instance, load_cap=least * float(rng.choice([0.9, 1.01, 2.0])))
        found = best_routing(instance, placement, settings)
        best = oracle.route(instance, contents, bottleneck=False)
        if found is None:
            assert best == -np.inf
            beyond += 1
            continue
        assert violations(instance, found) == []
        assert evaluate(instance, found).objective == pytest.approx(best, abs=1e-6)
        kept += 1
    assert kept > 15
    assert beyond > 5


def test_even_loads_cost_no_more_locality_than_allowed() -> None:
    """The squares fall, or stay, and the locality keeps the floor that is given."""
    fell = 0
    for seed in range(20):
        rng = np.random.default_rng([seed, 7])
        instance = oracle.random_instance(rng, exclusive=False, load_cap=1.0)
        placement, contents = drawn_placement(instance, rng)
        least = oracle.route(instance, contents, bottleneck=True)
        instance = replace(instance, load_cap=3.0 * least)
        best = best_routing(instance, placement, HIGHS)
        assert best is not None
        floor = evaluate(instance, best).objective - 0.01
        even = balance_routing(instance, placement, HIGHS, least_locality=floor)
        assert even is not None
        assert violations(instance, even) == []
        before, after = evaluate(instance, best), evaluate(instance, even)
        assert after.objective >= floor - 1e-6
        # The tangents stand for the square to within (cap / 16)^2 / 4 a GPU.
        slack = (instance.load_cap / 16) ** 2 / 4 + 1e-6
        assert np.mean(after.gpu_load**2) <= np.mean(before.gpu_load**2) + slack
        fell += np.mean(after.gpu_load**2) < 0.95 * np.mean(before.gpu_load**2)
    assert fell > 3


@pytest.mark.parametrize("load", [0.4, 0.8, 1.0, 1.6])
def test_shortfall_is_the_work_beyond_the_cap(load: float) -> None:
    """One model on one GPU serves 0.8 of its time, whatever is asked of it."""
    flow = WorkflowDemand("w", load, np.array([0]), np.ones(1), np.zeros((0, 2), dtype=np.int64))
    instance = Instance(
        ("m",), np.array([1]), np.array([10.0]), (flow,), Cluster.homogeneous(1, 1, 80.0)
    )
    zero = np.zeros(1, dtype=np.int64)
    routed = elastic_routing(instance, Placement(zero, zero, zero), HIGHS)
    assert routed is not None
    assert shortfall(instance, routed) == pytest.approx(max(0.0, 1 - 0.8 / load))


def test_whatever_can_be_served_is_served_before_anything_is_kept() -> None:
    """Elastic routing is the best routing where the cap can be kept; else it lacks no more than
    what a cap as small asks to be left out everywhere.
    """
    for seed in range(20):
        rng = np.random.default_rng([seed, 8])
        instance = oracle.random_instance(rng, exclusive=seed % 2 > 0, load_cap=1.0)
        placement, contents = drawn_placement(instance, rng)
        least = oracle.route(instance, contents, bottleneck=True)
        roomy = replace(instance, load_cap=1.01 * least)
        best, elastic = (
            best_routing(roomy, placement, HIGHS),
            elastic_routing(roomy, placement, HIGHS),
        )
        assert best is not None
        assert elastic is not None
        assert shortfall(roomy, elastic) == pytest.approx(0.0, abs=1e-6)
        kept = evaluate(roomy, elastic).objective
        assert kept == pytest.approx(evaluate(roomy, best).objective, abs=1e-6)
        tight = replace(instance, load_cap=0.7 * least)
        part = elastic_routing(tight, placement, HIGHS)
        assert part is not None
        assert evaluate(tight, part).max_utilization <= tight.load_cap * (1 + 1e-6)
        assert 0 < shortfall(tight, part) <= 0.3 + 1e-6


def test_the_weights_of_all_work_add_up_to_one() -> None:
    """A node weighs its rate times its seconds times its GPUs, of all such work."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        instance = oracle.random_instance(rng, exclusive=False, load_cap=1.0)
        total = sum(
            flow.rate * shortfall_weight(instance, w, v)
            for w, flow in enumerate(instance.workflows)
            for v in range(len(flow.node_model))
        )
        assert total == pytest.approx(1.0)
        flow = instance.workflows[0]
        gpus = instance.gpus_required[flow.node_model]
        ratio = shortfall_weight(instance, 0, 0) / shortfall_weight(
            instance, 0, len(flow.node_model) - 1
        )
        seconds = flow.work_s * gpus
        assert ratio == pytest.approx(seconds[0] / seconds[-1])
