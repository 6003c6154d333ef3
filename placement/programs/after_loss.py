"""What is left of a placement when a server is lost: the load of its busiest GPU, routed anew.

Requests go wherever a replica is left, for the least load of the busiest GPU (`least_load`): below
1, and queues stay bounded while the server is away. Which servers hold the same is seen, so a large
cluster has few losses to look at.

In the compact program the same is a row a model and a server s that may be lost, with B the busy
fraction that is bearable: where every replica is alone on its GPUs, those that are left must bear
the work,

    B sum over (s', i), s' != s, of speed[s'] x[m,s',i] >= work[m],

and where they share GPUs, loads g[m,s',i] of their own for each s do, of which those on one GPU add
up to at most B, less what sharing takes off it. That counts all replicas that stand there, though
some may be idle after this loss: so where sharing costs something, what the rows
admit survives, and a plan whose idle replicas differ from loss to loss may be left out.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pulp

from placement.problem.instance import Instance
from placement.problem.shared_capacity import (
    can_load,
    kept_at_least,
    loses_by_sharing,
    most_together,
)
from placement.problem.solution import Placement, Solution
from placement.programs.compact import CompactProgram
from placement.programs.least_load import least_bottleneck
from placement.solver.budget import Budget
from placement.solver.milp import Pairs, SolverSettings, linear

BEARABLE = 1 - 1e-6
"""Busy fraction of a GPU after a loss up to which queues stay bounded."""


@dataclass(frozen=True)
class Loss:
    """The loss of a server, and what becomes of the rest.

    Parameters
    ----------
    server : int
        Of those whose loss is the same, the lowest.
    load : float
        Of the busiest GPU once routed anew; infinity where a used model has no replica left.
    rest : Solution or None
        What is left, and how it is routed.
    """

    server: int
    load: float
    rest: Solution | None

    @property
    def borne(self) -> bool:
        """Whether all requests are served and queues stay bounded."""
        return self.load <= BEARABLE


def losses(
    instance: Instance,
    placement: Placement,
    settings: SolverSettings,
    budget: Budget | None = None,
) -> list[Loss]:
    """Lose each server once; servers of one type with the same content count as one.

    Parameters
    ----------
    instance : Instance
    placement : Placement
    settings : SolverSettings
        Of the linear programs that route anew.
    budget : Budget, optional
        Where it ends, loads are those of an even routing, which are no lower.

    Returns
    -------
    list of Loss
        The heaviest first; of equal ones the lowest server.
    """
    held: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for m, s, i in placement.replicas():
        held[s].append((m, i))
    first: dict[tuple[object, ...], int] = {}
    for s in sorted(held):
        first.setdefault((int(instance.cluster.server_type[s]), *sorted(held[s])), s)
    used = list(instance.used_models)
    found = []
    for s in first.values():
        rest = placement.only(placement.server != s)
        if rest.replicas_per_model(len(instance.model_ids))[used].all():
            load, routed = least_bottleneck(instance, rest, settings, budget=budget)
            found.append(Loss(s, load, routed))
        else:
            found.append(Loss(s, float("inf"), None))
    return sorted(found, key=lambda loss: (-loss.load, loss.server))


def bear_losses(program: CompactProgram) -> None:
    """Add the rows to a program.

    Parameters
    ----------
    program : CompactProgram
        Of which servers are placed.
    """
    instance = program.instance
    cluster = instance.cluster
    bearable = BEARABLE / (instance.load_unit or 1.0)
    taken = _taken_by_sharing(program, bearable) if loses_by_sharing(instance) else {}
    for lost in range(cluster.n_servers):
        load: dict[tuple[int, int], Pairs] = defaultdict(list)
        for m in instance.used_models:
            left: Pairs = []
            for s in range(cluster.n_servers):
                if s == lost:
                    continue
                kind = cluster.server_types[int(cluster.server_type[s])]
                for x, _, start in program.replicas.get((m, s), ()):
                    speed = instance.speed_on(kind, m, start)
                    if instance.models_per_gpu == 1:
                        left.append((x, bearable * speed))
                        continue
                    g = pulp.LpVariable(f"g_{lost}_{m}_{s}_{start}", 0)
                    program.problem += linear([(g, 1.0), (x, -bearable)]) <= 0
                    left.append((g, speed))
                    for gpu in range(start, start + int(instance.gpus_required[m])):
                        load[s, gpu].append((g, 1.0))
            work = float(instance.model_work[m])
            there = [(x, 1.0) for x in _elsewhere(program, m, lost)]
            program.problem += linear(there) >= 1, f"left_{lost}_{m}"
            if work > 0:
                program.problem += linear(left) >= work, f"borne_{lost}_{m}"
        for (s, gpu), held in load.items():
            if len(held) > 1:
                row = linear([*held, *taken.get((s, gpu), ())]) <= bearable
                program.problem += row, f"bears_{lost}_{s}_{gpu}"


def _taken_by_sharing(program: CompactProgram, bearable: float) -> dict[tuple[int, int], Pairs]:
    """What those that stand on a GPU lose of what it can bear, by server and GPU.

    `more` is 1 where more than j stand there.
    """
    instance, cluster = program.instance, program.instance.cluster
    found: dict[tuple[int, int], Pairs] = {}
    for s in range(cluster.n_servers):
        kind = cluster.server_types[int(cluster.server_type[s])]
        speed = instance.slowest_of(kind)
        kept = kept_at_least(instance, max(1, most_together(instance, kind)))
        standing: dict[int, Pairs] = defaultdict(list)
        for m in instance.used_models:
            for x, _, start in (
                program.replicas.get((m, s), ()) if can_load(instance, m, float(speed[m])) else ()
            ):
                for gpu in range(start, start + int(instance.gpus_required[m])):
                    standing[gpu].append((x, 1.0))
        for gpu, held in standing.items():
            most = min(len(kept) - 1, len(held))
            terms: Pairs = []
            for j in range(1, most):
                if kept[j] > kept[j + 1]:
                    more = pulp.LpVariable(f"more_{j}_{s}_{gpu}", 0, 1, pulp.LpInteger)
                    row = linear([*held, (more, -float(most - j))]) <= j
                    program.problem += row, f"standing_{j}_{s}_{gpu}"
                    terms.append((more, bearable * (kept[j] - kept[j + 1])))
            found[s, gpu] = terms
    return found


def _elsewhere(program: CompactProgram, m: int, lost: int) -> list[pulp.LpVariable]:
    servers = range(program.instance.cluster.n_servers)
    return [x for s in servers if s != lost for x, _, _ in program.replicas.get((m, s), ())]


def overloaded_models(instance: Instance, loss: Loss) -> dict[int, int]:
    """Models that need more replicas to bear a loss, and how many more at least.

    Parameters
    ----------
    instance : Instance
    loss : Loss
        With what is left routed for the least load of the busiest GPU.
    """
    if loss.rest is None:
        return {}
    placement, load = loss.rest.placement, loss.rest.load
    speed = instance.speed_at(placement.model, placement.server, placement.start)
    power = np.bincount(placement.model, speed, minlength=len(instance.model_ids))
    short = instance.model_work / BEARABLE - power
    wanted = {m: int(np.ceil(short[m])) for m in instance.used_models if short[m] > 0}
    if wanted:
        return wanted
    # Each could alone: the models of the replicas that carry most of what is too much.
    busiest = np.argsort(-load, kind="stable")[:1]
    return {int(placement.model[r]): 1 for r in busiest}
