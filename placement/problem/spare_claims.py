"""What a plan claims of its spare replicas and GPUs: whether `spares` and `pack` are kept."""

from __future__ import annotations

import numpy as np

from placement.problem.cluster import IntArray
from placement.problem.instance import Instance
from placement.problem.names import Mode
from placement.problem.solution import Placement, Replica, Solution, gpu_loads
from placement.problem.space import ServerSpace
from placement.problem.violations import rule_violations, violations


def spare_faults(instance: Instance, solution: Solution, mode: Mode) -> list[str]:
    """Say where spare replicas or GPUs are not as the rules ask, without a solver.

    ``spares: none`` is refuted by a replica without load that nothing asks for, ``fill`` by one
    more that fits, ``pack`` by a GPU that holds nothing. That no *other* loads could do with
    fewer replicas or GPUs is not looked into.

    Parameters
    ----------
    instance : Instance
        With the rules.
    solution : Solution
        That keeps all other rules.
    mode : {"online", "offline"}
        Offline nothing is packed.
    """
    rules, placement = instance.placement_rules, solution.placement
    faults = []
    if rules.spares == "none" and (idle := unneeded(instance, solution)) is not None:
        m, s, _ = placement.replicas()[idle]
        faults.append(
            f"replica {idle} ({instance.model_ids[m]} on server {s}): carries nothing and can be "
            "left out, where spares: none is asked for"
        )
    if rules.spares == "fill" and (more := fitting(instance, placement)):
        m, s, i = more[-1]
        faults.append(
            f"model {instance.model_ids[m]}: one more replica fits at GPU {i} of server {s}, where "
            "spares: fill is asked for"
        )
    if rules.pack and mode == "online" and len(empty := empty_gpus(instance, placement)):
        faults.append(f"GPU {empty[0]}: holds nothing and is not excluded, where pack is asked for")
    return faults


def unneeded(instance: Instance, solution: Solution) -> int | None:
    """A replica of no load without which all rules are kept as well; None where there is none."""
    for r in np.flatnonzero(solution.load == 0).tolist():
        if not violations(instance, without(solution, r)):
            return int(r)
    return None


def without(solution: Solution, r: int) -> Solution:
    """Leave out a replica that carries nothing."""
    kept = np.arange(solution.placement.n_replicas) != r
    return Solution(solution.placement.only(kept), solution.flows, solution.load[kept])


def fitting(instance: Instance, placement: Placement, first_server: int = 0) -> list[Replica]:
    """A replica that could be added, behind its base where it brings one; empty where none fits.

    Parameters
    ----------
    instance : Instance
        Rules of space and of numbers.
    placement : Placement
        That keeps them.
    first_server : int
        Servers before it are not looked at.
    """
    from placement.params.search_params import DEFAULTS  # two dozen classes: readers need none

    cluster, rows = instance.cluster, placement.replicas()
    count = placement.replicas_per_model(len(instance.model_ids))
    wanted = instance.requirements
    able = [m for m in instance.used_models if wanted is None or count[m] < wanted.most[m]]
    held: dict[int, list[tuple[int, int]]] = {}
    for m, s, i in rows:
        held.setdefault(s, []).append((m, i))
    most = DEFAULTS.spares.most_per_gpu
    for s in range(first_server, cluster.n_servers):
        kind, there = cluster.server_types[cluster.server_type[s]], held.get(s, [])
        space = ServerSpace(instance, kind, there, most_per_gpu=most)
        for m in able if space.vacant else ():
            for i in np.flatnonzero(space.fits(m)).tolist():
                grown = ServerSpace(instance, kind, there, most_per_gpu=most)
                before = len(grown.content)
                grown.put(m, i)
                more = [(o, s, at) for o, at in grown.content[before:]]
                if not instance.ruled or not rule_violations(
                    instance, Placement.of([*rows, *more])
                ):
                    return more
    return []


def empty_gpus(instance: Instance, placement: Placement) -> IntArray:
    """GPUs that are not excluded and hold no replica, by their numbers in the cluster."""
    cluster = instance.cluster
    empty = gpu_loads(instance, placement, np.ones(placement.n_replicas)) == 0
    for s in np.flatnonzero(cluster.usable_gpus < cluster.server_gpus).tolist():
        kind = cluster.server_types[cluster.server_type[s]]
        empty[[int(cluster.first_gpu[s]) + g for g in kind.excluded_gpus]] = False
    return np.flatnonzero(empty)
