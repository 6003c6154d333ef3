"""Clusters: how servers and GPUs are numbered, what data takes to move, and what sharing keeps."""

from __future__ import annotations

import numpy as np
import pytest

from placement.problem.cluster import (
    LAST_SERVER,
    Cluster,
    GpuSharing,
    Network,
    ServerType,
    memories,
    speeds,
)

MIXED = Cluster((ServerType("a", 2, 3, 80.0), ServerType("b", 1, 5, 40.0, speed=2.0)))


def test_gpus_are_numbered_through_server_by_server() -> None:
    """In the order of the types."""
    assert (MIXED.n_servers, MIXED.n_gpus, MIXED.max_gpus_per_server) == (3, 11, 5)
    assert MIXED.server_type.tolist() == [0, 0, 1]
    assert MIXED.server_gpus.tolist() == [3, 3, 5]
    assert MIXED.first_gpu.tolist() == [0, 3, 6]
    assert MIXED.gpu_server.tolist() == [0] * 3 + [1] * 3 + [2] * 5


@pytest.mark.parametrize(
    ("gpus", "per_server", "servers"),
    [(8, 4, [4, 4]), (9, 4, [4, 4, 1]), (3, 4, [3]), (1, 1, [1])],
)
def test_the_last_server_may_be_smaller(gpus: int, per_server: int, servers: list[int]) -> None:
    """Where the GPUs are no multiple of those of a server."""
    cluster = Cluster.homogeneous(gpus, per_server, 24.0)
    assert cluster.server_gpus.tolist() == servers
    assert cluster.n_gpus == gpus
    assert {t.gpu_memory_gb for t in cluster.server_types} == {24.0}
    small = [t.name for t in cluster.server_types if t.gpus < per_server]
    assert small == ([LAST_SERVER] if gpus % per_server else [])


@pytest.mark.parametrize(
    "wrong",
    [(0,), (2.5,), (8, 0), (8, 4, 0.0), (8, 4, -1.0), (8, 4, float("inf")), (8, 4, float("nan"))],
)
def test_what_is_no_cluster_is_refused(wrong: tuple[float, ...]) -> None:
    """With a sentence that names the field and what it was."""
    with pytest.raises(ValueError, match=r"Cluster: \w+ is .*; give it"):
        Cluster.homogeneous(*wrong)  # type: ignore[arg-type]


def test_data_takes_latency_and_bandwidth() -> None:
    """Megabytes over gigabytes per second; nothing where neither is limited."""
    wires = Network(0.5, 2.0, 1.0, 0.25)
    assert wires.delay_s(500.0, same_server=True) == pytest.approx(0.5 + 0.25)
    assert wires.delay_s(500.0, same_server=False) == pytest.approx(1.0 + 2.0)
    assert Network().delay_s(1e9, same_server=False) == 0.0


def test_sharing_keeps_what_is_stated_and_the_last_for_more() -> None:
    """Alone a replica has its GPU to itself."""
    sharing = GpuSharing(efficiency=(0.95, 0.9))
    assert [sharing.kept(n) for n in range(6)] == [1.0, 1.0, 0.95, 0.9, 0.9, 0.9]
    assert GpuSharing(efficiency=()).kept(4) == 1.0


def test_what_gpus_have_in_common_is_one_number() -> None:
    """Else the largest memory beside each, or each speed."""
    assert memories(80.0) == memories([80.0, 80.0]) == (80.0, ())
    assert memories([40.0, 80.0, 24.0]) == (80.0, (40.0, 80.0, 24.0))
    assert speeds(2) == speeds([2, 2]) == 2.0
    assert speeds((0.5, 2)) == (0.5, 2.0)
    assert speeds([2.0, 0.5]) == (2.0, 0.5)


def test_a_cluster_says_what_it_is() -> None:
    """Numbers with separators; a speed only where it is not 1."""
    assert MIXED.headline == "11 GPUs on 3 servers"
    assert MIXED.facts() == [
        ("a", "2 x 3 GPUs of 80 GB"),
        ("b", "1 x 5 GPUs of 40 GB, speed 2"),
    ]
    assert np.array_equal(Cluster.homogeneous(4, 4).first_gpu, [0])
