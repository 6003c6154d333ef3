"""What happens when the used models do not fit."""

from dataclasses import replace

import numpy as np
import pytest

from placement.capacity import ensure_coverage
from placement.cluster import Cluster
from placement.instance import Instance, WorkflowDemand
from placement.outcome import Infeasible, SolveOptions
from placement.solve import solve
from placement.solvers import SolverSettings
from tests.placement import oracle

HIGHS = SolverSettings()


def instance(gpus: int, per_server: int, k: list[int], *, memory_gb: float = 60.0) -> Instance:
    """One workflow a model, the first with the most requests; no two fit on one GPU."""
    flows = tuple(
        WorkflowDemand(
            f"w{m}",
            1.0 / (m + 1),
            np.array([m]),
            np.array([0.1]),
            np.zeros((0, 2), dtype=np.int64),
        )
        for m in range(len(k))
    )
    return Instance(
        tuple(f"model-{m}" for m in range(len(k))),
        np.array(k),
        np.full(len(k), memory_gb),
        flows,
        Cluster.homogeneous(gpus, per_server),
    )


@pytest.mark.parametrize(
    ("gpus", "per_server", "k", "smallest"),
    [(2, 2, [1, 1, 1], 4), (4, 4, [2, 2, 2], 8), (4, 2, [2, 2, 1, 1, 1], 8), (8, 4, [3, 3, 3], 12)],
)
def test_the_smallest_cluster_named_would_do_and_no_smaller(
    gpus: int, per_server: int, k: list[int], smallest: int
) -> None:
    """The message names the models left out and a size that fits, one server less does not."""
    case = instance(gpus, per_server, k)
    with pytest.raises(Infeasible, match=f"{smallest} GPUs") as caught:
        ensure_coverage(case, HIGHS)
    assert "model-" in str(caught.value)
    ensure_coverage(instance(smallest, per_server, k), HIGHS)
    with pytest.raises(Infeasible):
        ensure_coverage(instance(smallest - per_server, per_server, k), HIGHS)


def test_partial_plans_keep_the_most_used_and_say_what_is_lost() -> None:
    """Two of three models fit: the least used goes, and the rest is served."""
    result = solve(instance(2, 2, [1, 1, 1]), SolveOptions(allow_partial=True))
    assert result.dropped_models == (2,)
    assert result.instance.active_workflows == (0, 1)


def test_a_model_larger_than_any_server_is_named_with_what_it_needs() -> None:
    """More memory or GPUs than a server has: no number of servers helps, and the text says so."""
    with pytest.raises(Infeasible, match=r"model-0 needs 1 GPUs .* 90 GB"):
        ensure_coverage(instance(2, 2, [1], memory_gb=90.0), HIGHS)
    with pytest.raises(Infeasible, match="at least 4 GPUs"):
        ensure_coverage(instance(2, 2, [4, 1]), HIGHS)


def test_whatever_brute_force_can_place_is_found() -> None:
    """Tight random cases: coverage fails exactly where no placement holds the models."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        case = oracle.random_instance(rng, exclusive=bool(seed % 2), load_cap=1.0)
        assert ensure_coverage(case, HIGHS).dropped_models == ()
        tight = replace(case, cluster=Cluster.homogeneous(2, 2))
        exists = next(oracle.placements(tight), None) is not None
        if exists:
            ensure_coverage(tight, HIGHS)
        else:
            with pytest.raises(Infeasible):
                ensure_coverage(tight, HIGHS)
