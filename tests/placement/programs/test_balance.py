"""Loads made more even at no cost of locality."""

from __future__ import annotations

import numpy as np
import pytest

from placement.params.search_params import DEFAULTS
from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.outcome import SolveOptions
from placement.problem.solution import Placement, evaluate
from placement.programs.balance import balance
from placement.programs.routing import best_routing
from placement.solve import solve_instance
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement.cases import case


def test_balance_gives_up_no_locality_and_evens_the_loads() -> None:
    """Objective 3 lowers the variance of GPU loads, never the locality beyond its tolerance."""
    lower = 0
    for seed in range(12):
        instance = case(seed, exclusive=seed % 2 == 0)
        plain = solve_instance(instance, SolveOptions(balance=False, form="compact", gap=0.0))
        even = solve_instance(instance, SolveOptions(balance=True, form="compact", gap=0.0))
        assert even.evaluation.objective >= plain.evaluation.objective * (1 - 2e-5)
        # The tangents stand for the square to within (cap / 16)^2 / 4 a GPU.
        slack = (even.instance.load_cap / 16) ** 2 / 4 + 1e-6
        assert np.mean(even.evaluation.gpu_load**2) <= (
            np.mean(plain.evaluation.gpu_load**2) + slack
        )
        lower += np.var(even.evaluation.gpu_load) < np.var(plain.evaluation.gpu_load) - 1e-6
    assert lower > 0


@pytest.mark.parametrize(
    ("servers", "work", "replicas"),
    [
        (1, (0.6, 0.3), (4, 2)), (1, (0.5, 0.5), (3, 3)), (1, (0.75, 0.15), (5, 1)),
        (3, (1.8, 0.9), (12, 6)), (4, (1.0, 1.0), (12, 12)),
    ],
)  # fmt: skip
def test_idle_gpus_and_servers_take_their_part(
    servers: int, work: tuple[float, float], replicas: tuple[int, int]
) -> None:
    """By hand: one replica of each on the first of some servers of six GPUs, and all end as busy.

    Whole servers repeat the first; no integer program is asked, as on large clusters.
    """
    flows = tuple(
        WorkflowDemand(f"w{m}", 1.0, np.array([m]), np.array([t]), np.zeros((0, 2), np.int64))
        for m, t in enumerate(work)
    )
    cluster = Cluster((ServerType("s", servers, 6, 80.0),))
    ones = np.ones(2, dtype=np.int64)
    memory = np.full(2, 50.0)
    instance = Instance(("a", "b"), ones, memory, flows, cluster, load_cap=2.0, exclusive=True)
    params = DEFAULTS.changed({"balance": {"most_servers": 0, "tangents": 400}})
    settings = SolverSettings(params=params)
    start = best_routing(instance, Placement.of([(0, 0, 0), (1, 0, 1)]), settings)
    assert start is not None
    found = balance(instance, start, settings, Budget(), tolerance=1e-6)
    assert tuple(found.placement.replicas_per_model(2)) == replicas
    loads = evaluate(instance, found).gpu_load
    np.testing.assert_allclose(loads, sum(work) / (6 * servers), atol=2.0 / 400)
