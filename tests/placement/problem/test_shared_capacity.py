"""What replicas that share a GPU in time slices may carry together."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linprog

from placement.problem.cluster import Cluster, GpuSharing, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.shared_capacity import (
    kept_at_least,
    kept_at_most,
    kept_by,
    loss_per_replica,
    sliced_gpus,
)
from placement.problem.solution import Flows, Placement, Solution, evaluate
from placement.problem.violations import violations
from tests.placement.oracle import capacity

KIND = ServerType("s", 1, 2, 80.0)


def calling(
    work: list[float], sharing: GpuSharing, fractions: list[float] | None = None
) -> Instance:
    """Models of one GPU, each called by a workflow of its own once a second, on two GPUs."""
    return Instance(
        tuple(f"m{m}" for m in range(len(work))),
        np.ones(len(work), dtype=np.int64),
        np.full(len(work), 10.0),
        tuple(
            WorkflowDemand(f"w{m}", 1.0, np.array([m]), np.array([t]), np.zeros((0, 2), np.int64))
            for m, t in enumerate(work)
        ),
        Cluster((KIND,), sharing=sharing),
        gpu_fraction=tuple(fractions or ()),
    )


def standing(instance: Instance, gpus: list[int]) -> Solution:
    """Each model on one GPU of the server, with all of its work."""
    model, zero = np.arange(len(gpus)), np.zeros(len(gpus), dtype=np.int64)
    placement, order = Placement.in_order(model, zero, gpus)
    flows = Flows(model, zero, zero, np.ones(len(gpus)))
    return Solution(placement, flows, instance.model_work[model[order]])


@pytest.mark.parametrize("seed", range(6))
def test_capacity_is_the_least_pace_of_any_of_the_replicas(seed: int) -> None:
    """As the Markov chain of the closed network has it, for every set of them."""
    rng = np.random.default_rng(seed)
    for _ in range(4):
        n = int(rng.integers(2, 5))
        fractions = rng.choice([0.2, 0.6, 0.9, 1.0], n).tolist()
        gain, loss = rng.uniform(1.0, 1.5), rng.uniform(0.4, 0.95)
        efficiency = [(loss,), (gain, loss), (loss, gain)][int(rng.integers(3))]
        sharing = GpuSharing(efficiency=tuple(float(e) for e in efficiency))
        instance = calling([0.1] * n, sharing, fractions)
        expected = capacity(instance, range(n))
        assert len(kept_at_least(instance, n)) == len(kept_at_most(instance, n)) == n + 1
        assert kept_by(instance, range(n)) == pytest.approx(expected, rel=1e-6)
        for size in range(2, n + 1):
            sets = [kept_by(instance, some) for some in combinations(range(n), size)]
            assert kept_at_least(instance, n)[size] <= min(sets) + 1e-12
            assert kept_at_most(instance, n)[size] >= max(sets) - 1e-12
            lost = loss_per_replica(instance, KIND) * (size - 1)
            assert max(sets) <= 1 - lost + 1e-12
            sliced = sliced_gpus(instance, KIND)
            if sliced is not None:
                assert max(sets) <= sliced.pair - sliced.further * (size - 2) + 1e-12


def test_where_sharing_loses_nothing_any_number_keeps_all() -> None:
    """A level for none, and for each number up to the most."""
    instance = calling([0.1] * 3, GpuSharing(efficiency=(1.0,)))
    for most in range(4):
        assert kept_at_least(instance, most) == kept_at_most(instance, most) == (1.0,) * (most + 1)


@pytest.mark.parametrize("seed", range(8))
def test_rows_over_counts_hold_of_every_placement(seed: int) -> None:
    """Blocks at random, loaded as far as their GPUs bear: alone 1 each, the others as stated."""
    rng = np.random.default_rng(seed)
    gpus, sizes = 6, np.array([1, 1, 2, 1, 3])
    efficiency = tuple(sorted(rng.uniform(0.5, 0.95, int(rng.integers(1, 4))), reverse=True))
    instance = replace(calling([0.3] * 5, GpuSharing(efficiency=efficiency)), gpus_required=sizes)
    kind = replace(KIND, gpus=gpus)
    instance = replace(instance, cluster=Cluster((kind,), sharing=instance.cluster.sharing))
    sliced = sliced_gpus(instance, kind)
    assert sliced is not None
    for _ in range(40):
        blocks = {
            (m, int(rng.integers(gpus - sizes[m] + 1)))
            for m in rng.integers(len(sizes), size=int(rng.integers(1, 9))).tolist()
        }
        rows = sorted(blocks)
        on = np.array([[i <= g < i + sizes[m] for m, i in rows] for g in range(gpus)], dtype=float)
        kept = [kept_by(instance, [m for (m, _), x in zip(rows, line, strict=True) if x])
                for line in on]  # fmt: skip
        found = linprog(-rng.uniform(0.1, 1.0, len(rows)), on, kept, bounds=(0, 1))
        busy = on.sum(axis=1) > 1
        shares = (on * busy[:, None]).sum(axis=0) > 0
        k = np.array([sizes[m] for m, _ in rows])
        left = gpus - k[~shares].sum()
        others = k[shares].sum()
        assert others <= sliced.most * left
        assert (found.x[shares] <= sliced.pair + 1e-9).all()
        bears = sliced.pair * left - sliced.further * (others - 2 * left)
        assert (k * found.x)[shares].sum() <= bears + 1e-9


def test_loads_of_a_case_done_by_hand() -> None:
    """0.5 and 0.3 of busy time beside each other load a GPU of eta 0.8 fully; alone 0.2 is 0.2.

    An idle replica beside it costs nothing; nor do slices where executions take turns, where GPUs
    are exclusive, or where hosts leave more gaps than slicing loses.
    """
    sliced = GpuSharing(efficiency=(0.8,))
    instance = calling([0.5, 0.3, 0.2, 0.0], sliced)
    solution = standing(instance, [0, 0, 1, 1])
    assert evaluate(instance, solution).gpu_load == pytest.approx([1.0, 0.2])
    full = replace(instance, load_cap=1.0)
    assert not violations(full, solution)
    assert len(violations(replace(full, load_cap=0.99), solution)) == 1
    for other in (
        calling([0.5, 0.3, 0.2, 0.0], GpuSharing("serial", (0.8,))),
        replace(instance, exclusive=True),
        calling([0.5, 0.3, 0.2, 0.0], sliced, [0.4] * 4),
    ):
        assert evaluate(other, solution).gpu_load == pytest.approx([0.8, 0.2])


def test_what_is_loaded_does_not_depend_on_the_unit_of_time() -> None:
    loads = []
    for unit in (1e-9, 1.0, 1e9):
        work = [0.5 * unit, 0.3 * unit, 1e-5 * unit, 1e-8 * unit]
        instance = calling(work, GpuSharing(efficiency=(0.8,)))
        loads.append(evaluate(instance, standing(instance, [0, 1, 0, 1])).gpu_load / unit)
    assert loads[0] == pytest.approx([0.50001 / 0.8, 0.30000001])
    assert loads[1] == pytest.approx(loads[0]) and loads[2] == pytest.approx(loads[0])
