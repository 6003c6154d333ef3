"""Servers of one type that rules tell apart become types of their own, in the same order.

Programs count the servers of a type and know no single one: a server with a dead GPU is no longer
what the others of its type are. Servers keep their numbers, so a run of equal ones is a type.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from placement.problem.cluster import Cluster, ServerType, Speeds, speeds
from placement.problem.placement_rules import PlacementRules


def apply_rules(cluster: Cluster, rules: PlacementRules) -> Cluster:
    """Give the cluster as the rules leave it.

    Parameters
    ----------
    cluster : Cluster
    rules : PlacementRules
        Of servers that the cluster has.

    Raises
    ------
    ValueError
        They pin a model to a server or GPU that the cluster lacks.
    """
    _refuse_others(cluster, rules)
    rules = _with_servers(cluster, rules)
    types = tuple(_of_type(kind, rules) for kind in cluster.server_types)
    cluster = replace(cluster, server_types=types)
    named = {s for s, _ in rules.excluded_gpus}
    for model in rules.models.values():
        named |= {s for sites in (model.allowed, model.forbidden) if sites for s in sites.servers}
        named |= {s for s, _ in model.pinned or () if s is not None}
    changed = {
        s: _of_server(s, cluster.server_types[cluster.server_type[s]], rules) for s in sorted(named)
    }
    return tell_apart(cluster, changed)


def _refuse_others(cluster: Cluster, rules: PlacementRules) -> None:
    for name, model in rules.models.items():
        for server, gpus in model.pinned or ():
            there = cluster.n_gpus if server is None else cluster.n_servers
            what, number = ("GPU", max(gpus)) if server is None else ("server", server)
            if number >= there:
                raise ValueError(
                    f"model {name!r} is pinned to {what} {number}, and the cluster has {there}; "
                    f"name one from 0 to {there - 1}"
                )


def _with_servers(cluster: Cluster, rules: PlacementRules) -> PlacementRules:
    """Give the rules with the server of every pin, and its GPUs by their numbers there."""
    models = {}
    for name, model in rules.models.items():
        pins = tuple(located(cluster, s, gpus) for s, gpus in model.pinned or ())
        models[name] = replace(model, pinned=pins) if model.pinned else model
    return replace(rules, models=models)


def located(
    cluster: Cluster, server: int | None, gpus: tuple[int, ...]
) -> tuple[int, tuple[int, ...]]:
    """Server of a pin, and its GPUs by their numbers there.

    Parameters
    ----------
    cluster : Cluster
        Has these GPUs.
    server : int or None
        None where GPUs are numbered through the cluster.
    gpus : tuple of int
    """
    if server is not None:
        return server, gpus
    server = int(cluster.gpu_server[min(gpus)])
    first = int(cluster.first_gpu[server])
    return server, tuple(g - first for g in gpus)


def _of_type(kind: ServerType, rules: PlacementRules) -> ServerType:
    """What the rules make of the servers of a type that they do not name by number."""
    for name, domains in rules.domains:
        if name == kind.type_name:
            kind = replace(kind, domains=domains)
    own: dict[str, Speeds] = {
        name: speeds(dict(model.speed)[kind.type_name])
        for name, model in rules.models.items()
        if model.speed and kind.type_name in dict(model.speed)
    }
    if own:
        own = dict(kind.model_speeds) | own
        kind = replace(kind, model_speeds=tuple(sorted(own.items())))
    if not kind.family:  # else it is told apart already, and its closed GPUs may be of one server
        kind = _closed(kind, None, rules)
    return kind


def _of_server(server: int, kind: ServerType, rules: PlacementRules) -> ServerType:
    """What the rules make of one server."""
    excluded, pinned = set(kind.excluded_gpus), set(kind.pinned)
    for s, gpus in rules.excluded_gpus:
        excluded |= set(gpus) if s == server else set()
    for name, model in rules.models.items():
        pinned |= {(name, min(gpus)) for s, gpus in model.pinned or () if s == server}
    kind = _closed(kind, server, rules)
    return replace(kind, excluded_gpus=tuple(sorted(excluded)), pinned=tuple(sorted(pinned)))


def _closed(kind: ServerType, server: int | None, rules: PlacementRules) -> ServerType:
    closed = dict(kind.closed_gpus)
    for name, model in rules.models.items():
        if model.allowed is None and model.forbidden is None:
            continue
        closed[name] = tuple(sorted(model.closed_on(kind.type_name, server, kind.gpus)))
    return replace(kind, closed_gpus=tuple(sorted((k, v) for k, v in closed.items() if v)))


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
