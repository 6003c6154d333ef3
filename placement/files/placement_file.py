"""A placement that people write: a list of replicas, in place of a plan."""

from __future__ import annotations

import os

from pydantic import Field

from placement.files.base_entry import (
    MAX_GPUS_PER_SERVER,
    Entry,
    Identifier,
    ServerNumber,
)
from placement.files.schema_faults import check_shape
from placement.files.syntax.document import PlacedFault, load_document, raise_faults
from placement.problem.cluster import Cluster
from placement.problem.solution import Placement
from placement.problem.workload import Workload
from placement.support.faults import InputError, Place, suggest


class PlacedReplica(Entry):
    """A replica, and where it stands."""

    model: Identifier = Field(description="key of the model in the config")
    server: ServerNumber = Field(description="number of the server, from 0")
    gpus: list[int] = Field(
        min_length=1,
        description="GPUs of its block, numbered through the cluster, or all of them within their "
        "server",
    )


class PlacementFile(Entry):
    """A placement (YAML or JSON): replicas without routing, for `simulate` to compare with."""

    replicas: list[PlacedReplica] = Field(min_length=1, description="what stands where")


def is_placement(path: str | os.PathLike[str]) -> bool:
    """Whether a file lists replicas and is no plan."""
    try:
        data = load_document(path).data
    except InputError:
        return False
    return isinstance(data, dict) and "replicas" in data and "format" not in data


def read_placement(
    path: str | os.PathLike[str], workload: Workload, cluster: Cluster | None = None
) -> tuple[Placement, Cluster]:
    """Read a placement, and the cluster it stands on.

    Parameters
    ----------
    path : path-like
    workload : Workload
        The models that it names.
    cluster : Cluster, optional
        By default the smallest of identical servers with GPUs of 80 GB that has them all.

    Raises
    ------
    InputError
        With every fault of the file.
    """
    document = load_document(path)
    file, faults = check_shape(PlacementFile, document)
    raise_faults(document, faults)
    through = _gpus_through(file, cluster)
    if cluster is None:
        cluster = _smallest(file, through)
    rows = []
    seen: dict[tuple[int, int, int], int] = {}
    for i, replica in enumerate(file.replicas):
        place: Place = ("replicas", i)
        if replica.model not in workload.model_index:
            mend = suggest(replica.model, workload.model_index, "model")
            wrong = f"{replica.model!r} is no model of the config"
            faults.append(PlacedFault((*place, "model"), wrong, mend))
            continue
        m = workload.model_index[replica.model]
        if replica.server >= cluster.n_servers:
            wrong = f"is {replica.server}; the cluster has {cluster.n_servers} servers"
            mend = f"use a number from 0 to {cluster.n_servers - 1}"
            faults.append(PlacedFault((*place, "server"), wrong, mend))
            continue
        first = int(cluster.first_gpu[replica.server]) if through else 0
        gpus, k = sorted(replica.gpus), workload.models[m].gpus_required
        own = range(first, first + int(cluster.server_gpus[replica.server]))
        if gpus != list(range(gpus[0], gpus[0] + k)) or gpus[0] not in own or gpus[-1] not in own:
            wrong = (
                f"is {replica.gpus}; a replica takes {k} consecutive GPUs, and server "
                f"{replica.server} has {own.start} to {own.stop - 1}"
            )
            faults.append(PlacedFault((*place, "gpus"), wrong, "name such a block"))
            continue
        row = (m, replica.server, gpus[0] - first)
        if seen.setdefault(row, i) != i:
            wrong = f"stands where replicas[{seen[row]}] of the same model does"
            faults.append(PlacedFault(place, wrong, "keep one of the two"))
        rows.append(row)
    raise_faults(document, faults)
    return Placement.of(rows), cluster


def _gpus_through(file: PlacementFile, cluster: Cluster | None) -> bool:
    """Whether GPUs are numbered through the cluster, and not within each server."""
    if cluster is not None:
        inside = [r for r in file.replicas if r.server < cluster.n_servers]
        first, gpus = cluster.first_gpu, cluster.server_gpus
        return all(
            first[r.server] <= min(r.gpus) and max(r.gpus) < first[r.server] + gpus[r.server]
            for r in inside
        )
    return _per_server(file) is not None


def _per_server(file: PlacementFile) -> int | None:
    """Least GPUs a server by which the numbers run through the cluster; None where they do not."""
    most = max(max(r.gpus) for r in file.replicas) + 1
    for k in range(1, min(most, MAX_GPUS_PER_SERVER) + 1):
        if all(g // k == r.server for r in file.replicas for g in r.gpus):
            return k
    return None


def _smallest(file: PlacementFile, through: bool) -> Cluster:
    per_server = _per_server(file) if through else max(max(r.gpus) for r in file.replicas) + 1
    servers = max(r.server for r in file.replicas) + 1
    return Cluster.homogeneous(servers * (per_server or 1), per_server or 1)
