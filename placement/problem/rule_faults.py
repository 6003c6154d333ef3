"""What placement rules a set of replicas breaks, in sentences."""

from __future__ import annotations

import numpy as np

from placement.problem.cluster import IntArray
from placement.problem.instance import Instance
from placement.problem.space import pins, starts


def broken_rules(
    instance: Instance, model: IntArray, server: IntArray, start: IntArray
) -> list[str]:
    """Say every rule on numbers of replicas, and on what stands where, that replicas break.

    Parameters
    ----------
    instance : Instance
    model, server, start : int64, shape (R,)
        Of each replica; its first GPU within the server.

    Returns
    -------
    list of str
        A sentence for each rule.
    """
    faults = [] if instance.cluster.plain else _misplaced(instance, model, server, start)
    wanted = instance.requirements
    if wanted is None:
        return faults
    n_models = len(instance.model_ids)
    count = np.bincount(model, minlength=n_models)
    pairs = np.unique(np.stack([model, server]), axis=1)
    servers = np.bincount(pairs[0], minlength=n_models)
    for m in instance.used_models:
        name = instance.model_ids[m]
        if count[m] < wanted.least[m]:
            faults.append(f"model {name}: {count[m]} replicas, min_replicas is {wanted.least[m]}")
        if count[m] > wanted.most[m]:
            faults.append(f"model {name}: {count[m]} replicas, max_replicas is {wanted.most[m]}")
        if servers[m] < wanted.spread[m]:
            faults.append(f"model {name}: on {servers[m]} servers, spread is {wanted.spread[m]}")
    return faults


def _misplaced(instance: Instance, model: IntArray, server: IntArray, start: IntArray) -> list[str]:
    """Replicas on blocks that rules keep them off, and pinned ones that are not there."""
    cluster, faults = instance.cluster, []
    open_at = {
        (t, m): starts(instance, m, kind)
        for t, kind in enumerate(cluster.server_types)
        for m in instance.used_models
    }
    columns = (model, server, start)
    rows = set(zip(*(c.tolist() for c in columns), strict=True))
    for m, s, i in sorted(rows):
        if m in instance.used_models and i not in open_at[int(cluster.server_type[s]), m]:
            name = instance.model_ids[m]
            faults.append(f"model {name}: may not stand on GPU {i} and on of server {s}")
    for s in range(cluster.n_servers):
        kind = cluster.server_types[cluster.server_type[s]]
        faults += [
            f"model {instance.model_ids[m]}: pinned to GPU {i} and on of server {s}, not there"
            for m, i in pins(instance, kind)
            if (m, s, i) not in rows
        ]
    return faults
