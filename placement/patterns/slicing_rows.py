"""What time slices take off the GPUs of a whole cluster, by which replicas stand alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulp

from placement.problem.instance import Instance
from placement.problem.shared_capacity import can_load, sliced_gpus
from placement.solver.milp import linear
from placement.support.equality import ByContent


@dataclass(frozen=True, eq=False)
class Slicing(ByContent):
    """Rows on what slices take off, with the replicas that stand alone and the load of the others.

    Each is a variable by model; without rows there are none.
    """

    rows: tuple[pulp.LpConstraint, ...] = ()
    alone: Mapping[int, pulp.LpVariable] = field(default_factory=dict)
    shared: Mapping[int, pulp.LpVariable] = field(default_factory=dict)


def slicing_rows(
    instance: Instance,
    kind: int,
    count: Mapping[int, pulp.LpVariable],
    load: Mapping[int, pulp.LpVariable],
    *,
    cap: float = 1.0,
    servers: int = 1,
) -> Slicing:
    """What slices take off so many servers of a type in sum: none where they take nothing.

    Of the n replicas of a model that can be loaded, a stand alone and carry at most 1 each; the
    others carry s, at most `pair` each. With G' = G - sum k a and N' = sum k (n - a):
    h / cap <= a + s, sum k s <= pair G' - further (N' - 2 G'), N' <= most G'
    (`placement.problem.shared_capacity.SlicedGpus`).

    Parameters
    ----------
    instance : Instance
        Says what sharing takes off a GPU.
    kind : int
        Server type.
    count, load : mapping of model to variable
        Replicas, and the load that they carry in sum.
    cap : float
        Load that a replica alone may carry.
    servers : int
        Of the type, which the replicas and loads are the sums of.
    """
    server = instance.cluster.server_types[kind]
    sliced = sliced_gpus(instance, server)
    if sliced is None or cap <= 0:
        return Slicing()
    gpus = server.usable_gpus * servers
    pair, further, most = sliced.pair, sliced.further, sliced.most
    rows, worked, room = [], [], []
    alone, shared = {}, {}
    for m, n in count.items():
        if not can_load(instance, m, float(instance.speeds[kind, m])):
            continue
        k = int(instance.gpus_required[m])
        alone[m] = a = pulp.LpVariable(f"alone_{m}_{kind}", 0, gpus // k, pulp.LpInteger)
        shared[m] = s = pulp.LpVariable(f"shared_{m}_{kind}", 0)
        rows.append(linear([(load[m], 1.0 / cap), (a, -1.0), (s, -1.0)]) <= 0)
        rows.append(linear([(s, 1.0), (a, pair), (n, -pair)]) <= 0)
        worked += [(s, float(k)), (a, k * (pair + further)), (n, k * further)]
        room += [(n, float(k)), (a, k * (most - 1.0))]
    rows.append(linear([(v, c) for v, c in worked if c]) <= (pair + 2 * further) * gpus)
    if instance.idle_are_spare:
        rows.append(linear(room) <= most * gpus)
    return Slicing(tuple(rows), alone, shared)
