"""What happens when the used models do not fit."""

import re
from dataclasses import replace

import numpy as np
import pytest

from placement.problem.cluster import LAST_SERVER, Cluster, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.outcome import Infeasible, SolveOptions
from placement.programs.capacity import ensure_coverage
from placement.solve import solve_instance
from placement.solver.milp import SolverSettings
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
    result = solve_instance(instance(2, 2, [1, 1, 1]), SolveOptions(allow_partial=True))
    assert result.dropped_models == (2,)
    assert result.instance.active_workflows == (0, 1)


def test_a_model_larger_than_any_server_is_named_with_what_it_needs() -> None:
    """More memory or GPUs than a server has: no number of servers helps, and the text says so."""
    with pytest.raises(Infeasible, match=r"model-0 needs 1 GPU .* 90 GB"):
        ensure_coverage(instance(2, 2, [1], memory_gb=90.0), HIGHS)
    with pytest.raises(Infeasible, match="at least 4 GPUs"):
        ensure_coverage(instance(2, 2, [4, 1]), HIGHS)


@pytest.mark.parametrize("exclusive", [True, False])
def test_the_smallest_cluster_is_smallest_of_random_tight_cases(exclusive: bool) -> None:
    """Sharing or not, two server types or one, with a smaller last server: by brute force.

    The number of servers named holds the models, and one server less of that type does not.
    """
    named = 0
    for seed in range(40):
        rng = np.random.default_rng([7, seed])
        k = rng.integers(1, 3, int(rng.integers(2, 6)))
        case = instance(2, 2, k.tolist())
        case = replace(
            case,
            exclusive=exclusive,
            memory_per_gpu_gb=rng.choice([25.0, 45.0, 60.0], len(k)),
            cluster=(
                Cluster.homogeneous(int(rng.integers(2, 6)), 2)
                if seed % 2
                else Cluster((ServerType("a", 1, 2, 80.0), ServerType("b", 1, 1, 50.0)))
            ),
            max_models_per_gpu=2 if seed % 3 == 0 and not exclusive else None,
        )
        try:
            ensure_coverage(case, HIGHS)
        except Infeasible as error:
            text = str(error)
        else:
            assert _holds(case, case.cluster)
            continue
        assert not _holds(case, case.cluster)
        found = re.search(r"smallest cluster that would do has (?:\d+ GPUs \()?(\d+) servers", text)
        assert found, text
        named += 1
        servers = int(found[1])
        assert _holds(case, _with_servers(case.cluster, servers)), text
        assert servers == 0 or not _holds(case, _with_servers(case.cluster, servers - 1)), text
    assert named >= 10


def _with_servers(cluster: Cluster, servers: int) -> Cluster:
    """The cluster with so many servers of its first type, and no remainder."""
    first, *others = cluster.server_types
    kept = [o for o in others if o.name != LAST_SERVER]
    return Cluster(tuple(t for t in (replace(first, count=servers), *kept) if t.count))


def _holds(case: Instance, cluster: Cluster) -> bool:
    """Whether any assignment of one replica of each model to a server and start fits: all tried."""
    homes = [(s, g) for s, n in enumerate(cluster.server_gpus) for g in range(n)]
    first, gpus = cluster.first_gpu, cluster.server_gpus
    room = np.repeat(
        [t.gpu_memory_gb for t in cluster.server_types],
        [t.count * t.gpus for t in cluster.server_types],
    )

    def place(m: int, memory: np.ndarray, count: np.ndarray) -> bool:
        if m == len(case.gpus_required):
            return True
        k = case.gpus_required[m]
        for s, g in homes:
            if g + k > gpus[s]:
                continue
            block = slice(first[s] + g, first[s] + g + k)
            if (count[block] >= case.models_per_gpu).any():
                continue
            if (memory[block] + case.memory_per_gpu_gb[m] > room[block]).any():
                continue
            memory[block] += case.memory_per_gpu_gb[m]
            count[block] += 1
            if place(m + 1, memory, count):
                return True
            memory[block] -= case.memory_per_gpu_gb[m]
            count[block] -= 1
        return False

    return place(0, np.zeros(len(room)), np.zeros(len(room)))


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
