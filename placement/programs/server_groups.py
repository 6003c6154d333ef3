"""Identical servers as one: what programs over one placement share among them equally."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from placement.problem.blocks import BoolArray
from placement.problem.cluster import IntArray, ServerType
from placement.problem.instance import Instance
from placement.problem.solution import Placement
from placement.support.equality import ByContent


@dataclass(frozen=True, eq=False)
class Group(ByContent):
    """Identical servers: their numbers and type, the content of each, what may carry load.

    `carrying` is a bool a replica.
    """

    servers: IntArray
    kind: ServerType
    model: IntArray
    start: IntArray
    carrying: BoolArray


def group_servers(
    instance: Instance, placement: Placement, carrying: BoolArray | None = None
) -> list[Group]:
    """Group the servers that hold any replica by type and content, in order of first server.

    Parameters
    ----------
    carrying : bool, shape (R,), optional
        Replicas that may carry load; all by default.
    """
    cluster = instance.cluster
    if carrying is None:
        carrying = np.ones(placement.n_replicas, dtype=np.bool_)
    columns = (placement.model, placement.start, carrying)
    found: dict[tuple[object, ...], list[int]] = {}
    bounds = np.searchsorted(placement.server, np.arange(cluster.n_servers + 1))
    for s in range(cluster.n_servers):
        rows = slice(bounds[s], bounds[s + 1])
        if bounds[s] == bounds[s + 1]:
            continue
        content = tuple(column[rows].tobytes() for column in columns)
        found.setdefault((int(cluster.server_type[s]), *content), []).append(s)
    groups = []
    for key, servers in found.items():
        rows = slice(bounds[servers[0]], bounds[servers[0] + 1])
        kind = cluster.server_types[int(str(key[0]))]
        model, start = placement.model[rows], placement.start[rows]
        groups.append(Group(np.array(servers), kind, model, start, carrying[rows]))
    return groups
