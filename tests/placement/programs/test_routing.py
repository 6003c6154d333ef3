"""The best flows over a placement that is given."""

from __future__ import annotations

import numpy as np
import pytest

from placement.problem.cluster import Cluster
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.solution import Placement
from placement.programs.routing import elastic_routing, shortfall
from placement.solver.milp import SolverSettings

HIGHS = SolverSettings(threads=1)


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
