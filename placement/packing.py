"""The fewest GPUs on which the target for the busiest GPU is kept: the rule ``pack``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil

import numpy as np

from placement.problem.cluster import ServerType
from placement.problem.instance import Instance
from placement.problem.outcome import Infeasible, SolveOptions, SolveResult
from placement.problem.server_kinds import tell_apart
from placement.problem.solution import Placement
from placement.problem.spare_claims import empty_gpus
from placement.solver.budget import Budget


def first_gpus_only(instance: Instance, gpus: int) -> Instance:
    """Leave nothing but the first usable GPUs of the cluster, server by server.

    Parameters
    ----------
    instance : Instance
    gpus : int
        How many stay.

    Returns
    -------
    Instance
        The others are excluded; servers and GPUs keep their numbers.
    """
    cluster, left = instance.cluster, gpus
    changed: dict[int, ServerType] = {}
    for s, t in enumerate(cluster.server_type.tolist()):
        kind = cluster.server_types[t]
        usable = [g for g in range(kind.gpus) if g not in kind.excluded_gpus]
        if left < len(usable):
            gone = usable[max(0, left) :]
            excluded = tuple(sorted({*kind.excluded_gpus, *gone}))
            changed[s] = replace(kind, excluded_gpus=excluded)
        left -= len(usable)
    return replace(instance, cluster=tell_apart(cluster, changed))


def unpacked(instance: Instance) -> Instance:
    """Take the rule ``pack`` off, for who searches on all GPUs."""
    rules = replace(instance.placement_rules, pack=False)
    return replace(instance, placement_rules=rules)


def without_empty_gpus(instance: Instance, placement: Placement) -> Instance | None:
    """Exclude the GPUs that hold nothing, too; None where every one holds a replica."""
    cluster = instance.cluster
    empty = empty_gpus(instance, placement)
    changed: dict[int, ServerType] = {}
    for s in np.unique(cluster.gpu_server[empty]).tolist():
        kind = cluster.server_types[cluster.server_type[s]]
        here = empty[cluster.gpu_server[empty] == s] - cluster.first_gpu[s]
        excluded = tuple(sorted({*kind.excluded_gpus, *here.tolist()}))
        changed[s] = replace(kind, excluded_gpus=excluded)
    return replace(instance, cluster=tell_apart(cluster, changed)) if changed else None


def packed(
    instance: Instance,
    options: SolveOptions,
    budget: Budget,
    solve: Callable[[Instance, SolveOptions, Budget], SolveResult],
) -> Instance:
    """Give the instance on the fewest GPUs on which local search keeps the target, by bisection.

    All stay where even they do not keep it.

    Parameters
    ----------
    instance : Instance
    options : SolveOptions
        Of its `max_utilization`; fewer GPUs than the load over that need not be tried.
    budget : Budget
        Of which each try takes a part.
    solve : callable
        Places an instance.
    """
    quick = replace(options, method="local-search", balance=False, allow_partial=False)
    target = options.max_utilization

    def keeps(fewer: Instance) -> bool:
        loose = replace(fewer, placement_rules=replace(fewer.placement_rules, pack=False))
        try:
            found = solve(loose, quick, budget.part(options.params.packing.try_share))
        except Infeasible:
            return False
        return found.certificate.bottleneck_upper <= target * (1 + 1e-9)

    fastest = float(instance.speeds.max())
    load = float(instance.offered_load.sum()) / (target * fastest)
    widest = max(int(instance.gpus_required[m]) for m in instance.used_models)
    low, high = max(widest, ceil(load - 1e-9)) - 1, int(instance.cluster.usable_gpus.sum())
    best = instance
    while high - low > 1:
        middle = (low + high) // 2
        fewer = first_gpus_only(instance, middle)
        if keeps(fewer):
            high, best = middle, fewer
        else:
            low = middle
    return best
