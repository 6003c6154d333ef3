"""The cluster file, and whether the models fit its servers at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable

from placement.files.atomic import write_atomically
from placement.files.base_entry import MAX_GPUS_PER_SERVER
from placement.files.domains import as_domains, domain_faults
from placement.files.input_schema import ClusterFile
from placement.files.schema_faults import check_shape
from placement.files.syntax.document import (
    DOCUMENT_FORMATS,
    PlacedFault,
    load_document,
    raise_faults,
)
from placement.files.syntax.source import find_format
from placement.files.syntax.yaml_writer import block
from placement.problem.blocks import block_starts, room_gb
from placement.problem.cluster import Cluster, GpuSharing, ServerType, memories
from placement.problem.names import SharingMode
from placement.problem.workload import Workload
from placement.support.described import counted
from placement.support.faults import FaultList

MAX_GPUS = 10_000_000


def read_cluster(path: str | os.PathLike[str]) -> Cluster:
    """Read server types and the network from a JSON or YAML file.

    Raises
    ------
    InputError
        With every fault of the file.
    """
    document = load_document(path)
    file, faults = check_shape(ClusterFile, document)
    gpus = sum(t.count * t.gpus for t in file.server_types.values())
    if gpus > MAX_GPUS:
        wrong = f"add up to {gpus:,} GPUs"
        faults.append(PlacedFault(("server_types",), wrong, f"keep to {MAX_GPUS:,}"))
    faults += _excluded_faults(file)
    for name, kind in file.server_types.items():
        for key, stated in (("gpu_memory_gb", kind.gpu_memory_gb), ("speed", kind.speed)):
            if isinstance(stated, list) and len(stated) != kind.gpus:
                wrong = f"has {len(stated)} numbers, and the servers have {kind.gpus} GPUs"
                mend = "give one for each, or one for all"
                faults.append(PlacedFault(("server_types", name, key), wrong, mend))
        faults += domain_faults(("server_types", name, "domains"), kind.domains or (), kind.gpus)
    raise_faults(document, faults)
    return Cluster(
        tuple(
            ServerType(
                name,
                t.count,
                t.gpus,
                memories(t.gpu_memory_gb)[0],
                memories(t.speed)[0],
                excluded_gpus=tuple(sorted(set(t.excluded_gpus))),
                domains=as_domains(t.domains or ()),
                gpu_memories_gb=memories(t.gpu_memory_gb)[1],
                gpu_speeds=memories(t.speed)[1],
            )
            for name, t in file.server_types.items()
        ),
        file.network.network(),
        gpu_sharing(file.gpu_sharing, file.sharing_efficiency),
    )


def _excluded_faults(file: ClusterFile) -> list[PlacedFault]:
    """Excluded GPUs that the servers lack, and clusters of which nothing is left."""
    faults = []
    for name, kind in file.server_types.items():
        faults += [
            PlacedFault(
                ("server_types", name, "excluded_gpus", i),
                f"is {gpu}, and the servers have {counted(kind.gpus, 'GPU')}",
                f"use numbers from 0 to {kind.gpus - 1}",
            )
            for i, gpu in enumerate(kind.excluded_gpus)
            if gpu >= kind.gpus
        ]
    if all(len(set(t.excluded_gpus)) >= t.gpus for t in file.server_types.values()):
        wrong = "exclude every GPU of the cluster"
        faults.append(PlacedFault(("server_types",), wrong, "leave at least one to place on"))
    return faults


def gpu_sharing(mode: SharingMode | None, efficiency: float | list[float]) -> GpuSharing:
    """Build what a valid file says of shared GPUs; without a mode, the default."""
    listed = efficiency if isinstance(efficiency, list) else [efficiency]
    return GpuSharing(mode or GpuSharing().mode, tuple(float(eta) for eta in listed))


def write_cluster(path: str | os.PathLike[str], cluster: Cluster) -> None:
    """Write a cluster as JSON or YAML, by the suffix of `path`; `read_cluster` reads it back.

    Raises
    ------
    InputError
        Where the suffix is none of these.
    OSError
        Where the file cannot be written; an older file stays whole.
    """
    network, sharing = cluster.network, cluster.sharing
    data = {
        "server_types": {
            t.name: {
                "count": t.count,
                "gpus": t.gpus,
                "gpu_memory_gb": list(t.gpu_memories_gb) or t.gpu_memory_gb,
                "speed": list(t.gpu_speeds) or t.speed,
            }
            | ({"excluded_gpus": list(t.excluded_gpus)} if t.excluded_gpus else {})
            | ({"domains": [list(group) for group in t.domains]} if t.domains else {})
            for t in cluster.server_types
        },
        "network": {
            "intra_server": _link(network.intra_latency_s, network.intra_bandwidth_gb_per_s),
            "inter_server": _link(network.inter_latency_s, network.inter_bandwidth_gb_per_s),
        },
        "gpu_sharing": sharing.mode,
        "sharing_efficiency": list(sharing.efficiency),
    }
    form = find_format(path, DOCUMENT_FORMATS)
    text = json.dumps(data, indent=2) + "\n" if form == "json" else block(data)
    write_atomically(path, text)


def _link(latency_s: float, bandwidth_gb_per_s: float) -> dict[str, float]:
    link = {"latency_s": latency_s}
    if math.isfinite(bandwidth_gb_per_s):
        link["bandwidth_gb_per_s"] = bandwidth_gb_per_s
    return link


def check_fits(
    path: str | os.PathLike[str], workload: Workload, cluster: Cluster, used_models: Iterable[int]
) -> None:
    """Refuse models of which no server can hold even one replica.

    Parameters
    ----------
    path : path-like
        The config, which names the models.
    used_models : iterable of int
        Indices of the models that some request calls.

    Raises
    ------
    InputError
        Naming each model that needs more GPUs, or more memory on a GPU, than any server has.
    """
    faults = FaultList(path)
    largest = cluster.max_gpus_per_server
    for m in used_models:
        model = workload.models[m]
        wide = [t for t in cluster.server_types if t.gpus >= model.gpus_required]
        if not wide:
            faults.add(
                f"models.{model.id}.gpus_required",
                f"is {model.gpus_required}, and the largest server has {counted(largest, 'GPU')}",
                f"use servers of at least {counted(model.gpus_required, 'GPU')} "
                "(--gpus-per-server)",
            )
            continue
        room = max(t.gpu_memory_gb for t in wide)
        need = model.memory_per_gpu_gb
        if room_gb(room) >= need and not any(
            block_starts(t, model.gpus_required, need, model.id) for t in wide
        ):
            faults.add(
                f"models.{model.id}",
                f"needs {counted(model.gpus_required, 'consecutive GPU')} of {need:g} GB, and "
                "rules leave no server on which a replica may stand",
                "loosen excluded_gpus, domains, allowed or forbidden, or add servers",
            )
            continue
        if not any(block_starts(t, model.gpus_required, model.memory_per_gpu_gb) for t in wide):
            spread = model.memory_gb / room
            wider = ""
            if spread <= MAX_GPUS_PER_SERVER:
                wider = f"spread it over {counted(math.ceil(spread), 'GPU')} (gpus_required) or "
            faults.add(
                f"models.{model.id}.memory_gb",
                f"is {model.memory_gb:g}, {model.memory_per_gpu_gb:g} GB on each of its "
                f"{counted(model.gpus_required, 'GPU')}, and the GPUs have {room:g} GB",
                f"{wider}use GPUs of {model.memory_per_gpu_gb:g} GB (--gpu-memory-gb)",
            )
    faults.raise_if_any()
