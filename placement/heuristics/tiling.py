"""Placements of large clusters from those of small ones: solved at a fraction, and repeated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil

import numpy as np

from placement.heuristics.greedy import greedy
from placement.params.search_params import DEFAULTS, SearchParams
from placement.problem.instance import Instance
from placement.problem.outcome import Infeasible
from placement.problem.placement_rules import PlacementRules
from placement.problem.solution import Placement


def _greedy(instance: Instance, params: SearchParams) -> Placement:
    return greedy(instance, params=params)


Place = Callable[[Instance, SearchParams], Placement]
"""A method without a seed."""


def repeated_greedy(
    instance: Instance, params: SearchParams = DEFAULTS, place: Place = _greedy
) -> Placement:
    """Greedy placement, on a large cluster that of a fraction repeated over its servers.

    Repeated servers are identical, so routing them takes a small program where the greedy
    placement of the whole cluster would make every server different.

    Parameters
    ----------
    instance : Instance
    params : SearchParams
        Of its `tiling`, and what the method takes.
    place : callable
        Which greedy placement.

    Raises
    ------
    Infeasible
        As `greedy`.
    """
    blocks = int(instance.gpus_required[list(instance.used_models)].sum())
    tiling = params.tiling
    servers = tiling.servers_per_block * ceil(blocks / instance.cluster.max_gpus_per_server)
    factor = instance.cluster.n_servers // max(servers, tiling.large_servers // 2)
    if instance.cluster.n_servers > tiling.large_servers and factor > 1:
        small = shrink(instance, factor)
        try:
            return repeat(instance, small, place(small, params))
        except Infeasible:  # the fraction is too small to hold every model
            pass
    return place(instance, params)


def shrink(instance: Instance, factor: int) -> Instance:
    """One `factor`-th of the servers of every type (at least one) under as much of the load.

    Rules on numbers of replicas are those of the whole cluster, and left out.
    """
    types = tuple(
        replace(t, count=max(1, t.count // factor)) for t in instance.cluster.server_types
    )
    cluster = replace(instance.cluster, server_types=types)
    share = cluster.n_gpus / instance.cluster.n_gpus
    return replace(
        instance,
        placement_rules=PlacementRules(),
        cluster=cluster,
        workflows=tuple(replace(w, rate=w.rate * share) for w in instance.workflows),
    )


def repeat(instance: Instance, small: Instance, found: Placement) -> Placement:
    """Fill the servers of each type with the contents found for the few, in turn.

    Parameters
    ----------
    instance : Instance
        With all servers.
    small : Instance
        With fewer servers of each type.
    found : Placement
        Over those few.
    """
    model, server, start = [], [], []
    large_type, small_type = instance.cluster.server_type, small.cluster.server_type
    for t in range(len(instance.cluster.server_types)):
        servers, sources = np.flatnonzero(large_type == t), np.flatnonzero(small_type == t)
        for i, source in enumerate(sources):
            rows, filled = found.server == source, servers[i :: len(sources)]
            model.append(np.tile(found.model[rows], len(filled)))
            start.append(np.tile(found.start[rows], len(filled)))
            server.append(np.repeat(filled, int(rows.sum())))
    return Placement.sorted(np.concatenate(model), np.concatenate(server), np.concatenate(start))
