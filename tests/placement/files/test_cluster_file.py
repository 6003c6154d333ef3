"""Cluster files, and models that no server can hold."""

import copy
from pathlib import Path
from typing import Any

import pytest

from placement.files.cluster_file import check_fits, read_cluster, write_cluster
from placement.problem.cluster import Cluster, GpuSharing, ServerType
from placement.problem.space import all_rooms_gb
from placement.support.faults import InputError
from tests.placement.files.cases import CLUSTER, Change, changed, line_of, workload, write_document


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_server_types_and_network_are_read(suffix: str, tmp_path: Path) -> None:
    """Servers are numbered in the order of the types; what is left out takes no time."""
    cluster = read_cluster(write_document(tmp_path / f"c{suffix}", CLUSTER))
    assert cluster.server_types == (
        ServerType("new", 2, 8, 80.0, 1.5),
        ServerType("old", 3, 4, 40.0, 1.0),
    )
    assert cluster.network.intra_latency_s == 0.0
    assert cluster.network.delay_s(1000.0, same_server=False) == pytest.approx(0.0401)
    assert (cluster.n_servers, cluster.n_gpus) == (5, 28)


def test_excluded_gpus_are_read_and_written(tmp_path: Path) -> None:
    """A cluster that is written is the one that is read."""
    data = copy.deepcopy(CLUSTER)
    data["server_types"]["new"]["excluded_gpus"] = [7, 2, 2]
    cluster = read_cluster(write_document(tmp_path / "c.yaml", data))
    assert [t.excluded_gpus for t in cluster.server_types] == [(2, 7), ()]
    write_cluster(tmp_path / "again.json", cluster)
    assert read_cluster(tmp_path / "again.json") == cluster


def test_a_cluster_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    data = {"server_types": {"only": {"count": 2, "gpus": 2, "excluded_gpus": [0, 1]}}}
    with pytest.raises(InputError, match="exclude every GPU of the cluster"):
        read_cluster(write_document(tmp_path / "c.yaml", data))


@pytest.mark.parametrize(
    ("fields", "sharing"),
    [
        ({}, GpuSharing("time-sliced", (0.93,))),
        ({"gpu_sharing": "serial"}, GpuSharing("serial", (0.93,))),
        ({"sharing_efficiency": 1}, GpuSharing("time-sliced", (1.0,))),
        ({"sharing_efficiency": [0.95, 0.9]}, GpuSharing("time-sliced", (0.95, 0.9))),
    ],
)
def test_how_gpus_are_shared_is_read(
    fields: dict[str, Any], sharing: GpuSharing, tmp_path: Path
) -> None:
    """Time slices at 0.93 unless the file says otherwise."""
    path = write_document(tmp_path / "c.yaml", {**CLUSTER, **fields})
    assert read_cluster(path).sharing == sharing


def new(**fields: Any) -> Change:
    return lambda d: d["server_types"]["new"].update(fields)


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        (new(count=0), "server_types.new.count", "at least 1"),
        (new(gpus=-8), "server_types.new.gpus", "is -8"),
        (new(gpus=2.5), "server_types.new.gpus", "whole number"),
        (new(gpu_memory_gb=0), "server_types.new.gpu_memory_gb", "more than 0"),
        (new(speed=0), "server_types.new.speed", "at least 1e-09"),
        (new(speed=1e-308), "server_types.new.speed", "at least 1e-09"),
        (new(speed="fast"), "server_types.new.speed", "without quotes"),
        (new(excluded_gpus=[8]), "server_types.new.excluded_gpus[0]", "from 0 to 7"),
        (new(excluded_gpus=3), "server_types.new.excluded_gpus", "not a list"),
        (new(sped=2), "server_types.new.sped", "did you mean 'speed'?"),
        (new(count=10_000_000, gpus=100), "server_types", "add up to"),
        (lambda d: d.update(gpu_sharing="locked"), "gpu_sharing", "'time-sliced' or 'serial'"),
        (lambda d: d.update(sharing_efficiency=0), "sharing_efficiency", "above 0"),
        (lambda d: d.update(sharing_efficiency="all"), "sharing_efficiency", "a number, or a list"),
        (lambda d: d.update(sharing_efficiency=[]), "sharing_efficiency", "at least the number"),
        (lambda d: d.update(sharing_efficiency=2.5), "sharing_efficiency", "more than fewer"),
        (lambda d: d.update(sharing_efficiency=[0.5, 1]), "sharing_efficiency", "more than fewer"),
        (lambda d: d.update(server_types={}), "server_types", "empty"),
        (lambda d: d.update(server_types=[]), "server_types", "a list, not a mapping"),
        (
            lambda d: d["network"]["inter_server"].update(bandwidth_gb_per_s=0),
            "network.inter_server.bandwidth_gb_per_s",
            "more than 0",
        ),
        (
            lambda d: d["network"]["inter_server"].update(latency_s=-1),
            "network.inter_server.latency_s",
            "at least 0",
        ),
    ],
)
def test_a_fault_is_named_with_its_key_and_line(
    change: Change, key: str, words: str, suffix: str, tmp_path: Path
) -> None:
    """As for a config: dotted key, line, what is wrong, what to do."""
    data = changed(CLUSTER, change)
    if key == "server_types.new.sped":
        del data["server_types"]["new"]["speed"]
    path = write_document(tmp_path / f"c{suffix}", data)
    with pytest.raises(InputError) as caught:
        read_cluster(path)
    assert len(caught.value.faults) == 1
    text = str(caught.value)
    assert text.startswith(f"{path}: {key} (line {line_of(path, key)}): ")
    assert words in text


def test_models_larger_than_any_server_are_named_together(tmp_path: Path) -> None:
    """One needs more memory a GPU than there is, one more GPUs; what would do is said."""
    flows = workload(tmp_path)
    cluster = Cluster.homogeneous(4, 1, 16.0)
    with pytest.raises(InputError) as caught:
        check_fits("config.json", flows, cluster, [0, 1, 2])
    wide, heavy = str(caught.value).splitlines()
    assert "models.writer.gpus_required: is 2, and the largest server has 1 GPU" in wide
    assert "--gpus-per-server" in wide
    assert "models.painter.memory_gb: is 20.5" in heavy
    assert "the GPUs have 16 GB" in heavy
    assert "spread it over 2 GPUs" in heavy
    check_fits("config.json", flows, Cluster.homogeneous(4, 2, 30.0), [0, 1, 2])
    check_fits("config.json", flows, cluster, [2])
    with pytest.raises(InputError, match=r"the GPUs have 1e-308 GB; use GPUs of 20\.5 GB"):
        check_fits("config.json", flows, Cluster.homogeneous(4, 1, 1e-308), [1])


def test_a_network_may_be_named(tmp_path: Path) -> None:
    """A profile between servers and NVLink inside; what is stated beside it counts more."""
    types = {"a": {"count": 2, "gpus": 1}}
    network = {"profile": "rdma-100", "inter_server": {"profile": "tcp-25", "latency_s": 0.5}}
    path = write_document(tmp_path / "c.yaml", {"server_types": types, "network": network})
    wires = read_cluster(path).network
    assert wires.intra_bandwidth_gb_per_s == 450.0
    assert (wires.inter_latency_s, wires.inter_bandwidth_gb_per_s) == (0.5, 3.125)
    path = write_document(
        tmp_path / "d.yaml", {"server_types": types, "network": {"profile": "rdma-400"}}
    )
    assert read_cluster(path).network.inter_bandwidth_gb_per_s == 50.0


def test_cards_of_a_server_may_differ(tmp_path: Path) -> None:
    """A list is the memory of each GPU, read and written; one number too few is a fault."""
    types = {"box": {"count": 1, "gpus": 2, "gpu_memory_gb": [48, 16]}}
    cluster = read_cluster(write_document(tmp_path / "c.yaml", {"server_types": types}))
    assert cluster.server_types[0].memories_gb == (48.0, 16.0)
    write_cluster(tmp_path / "again.json", cluster)
    assert read_cluster(tmp_path / "again.json") == cluster
    assert all_rooms_gb(cluster) == pytest.approx([48.0, 16.0], rel=1e-5)
    types["box"]["gpu_memory_gb"] = [48]
    with pytest.raises(InputError, match="has 1 numbers, and the servers have 2 GPUs"):
        read_cluster(write_document(tmp_path / "c.yaml", {"server_types": types}))


def test_cards_of_a_server_may_differ_in_speed(tmp_path: Path) -> None:
    """A list is the speed of each GPU, read and written; equal ones are one speed."""
    box: dict[str, Any] = {"count": 1, "gpus": 3, "speed": [1.0, 0.5, 2]}
    types = {"box": box, "even": {"count": 1, "gpus": 2, "speed": [0.5, 0.5]}}
    cluster = read_cluster(write_document(tmp_path / "c.yaml", {"server_types": types}))
    mixed, even = cluster.server_types
    assert mixed.speeds_of("any") == (1.0, 0.5, 2.0)
    assert (mixed.speed, mixed.block_speed("any", 0, 2), mixed.paced) == (2.0, 0.5, True)
    assert (even.speed, even.gpu_speeds, even.plain) == (0.5, (), True)
    write_cluster(tmp_path / "again.json", cluster)
    assert read_cluster(tmp_path / "again.json") == cluster
    for speed, words in (
        ([1.0, 0.5], "has 2 numbers, and the servers have 3 GPUs"),
        ([1.0, 0, 1], "must be at least 1e-09 and at most 1e\\+06"),
        ([1.0, "fast", 1], "without quotes, or a list of them"),
        ([], "must be at least 1e-09"),
    ):
        box["speed"] = speed
        with pytest.raises(InputError, match=words):
            read_cluster(write_document(tmp_path / "c.yaml", {"server_types": types}))
