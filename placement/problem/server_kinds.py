"""Servers of one type that rules tell apart become types of their own, in the same order.

Programs count the servers of a type and know no single one: a server with a dead GPU is no longer
what the others of its type are. Servers keep their numbers, so a run of equal ones is a type.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from placement.problem.cluster import Cluster, ServerType
from placement.problem.placement_rules import PlacementRules


def apply_rules(cluster: Cluster, rules: PlacementRules) -> Cluster:
    """Give the cluster as the rules leave it.

    Parameters
    ----------
    cluster : Cluster
    rules : PlacementRules
        Of servers that the cluster has.
    """
    changed: dict[int, ServerType] = {}
    for server, gpus in rules.excluded_gpus:
        kind = changed.get(server) or cluster.server_types[cluster.server_type[server]]
        excluded = tuple(sorted({*kind.excluded_gpus, *gpus}))
        changed[server] = replace(kind, excluded_gpus=excluded)
    return tell_apart(cluster, changed)


def tell_apart(cluster: Cluster, changed: dict[int, ServerType]) -> Cluster:
    """Give some servers a type of their own.

    Parameters
    ----------
    changed : dict of int to ServerType
        What single servers are, by their numbers; its name and count are those of the old type.
    """
    types: list[ServerType] = []
    first = 0
    for kind in cluster.server_types:
        # Runs of servers between those that are changed, each alike by itself.
        marked = sorted(s for s in changed if first <= s < first + kind.count)
        runs: list[tuple[ServerType, int, int]] = []
        begin = first
        for s in marked:
            runs += [(kind, begin, s), (changed[s], s, s + 1)]
            begin = s + 1
        runs.append((kind, begin, first + kind.count))
        types += _named(kind, [run for run in runs if run[1] < run[2]])
        first += kind.count
    return replace(cluster, server_types=tuple(types))


def _named(kind: ServerType, runs: list[tuple[ServerType, int, int]]) -> list[ServerType]:
    """One type for each run of equal servers, named by its numbers where there are several."""
    joined = []
    for what, group in groupby(runs, key=lambda run: run[0]):
        members = list(group)
        joined.append((what, members[0][1], members[-1][2]))
    if len(joined) == 1:
        return [joined[0][0]] if joined else [kind]
    return [
        replace(
            what,
            name=f"{kind.type_name}[{begin}]"
            if end == begin + 1
            else f"{kind.type_name}[{begin}-{end - 1}]",
            count=end - begin,
            family=kind.type_name,
        )
        for what, begin, end in joined
    ]
