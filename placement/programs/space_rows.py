"""Rows of programs that decide which replicas stand on which GPUs of a server.

On each GPU g, over the replicas x[m,i] of a block that covers it:

    space    sum mu[m] x[m,i] / room[g] <= 1
    GPU      sum h[m,i] <= cap
    sharing  sum x[m,i] <= most replicas on one GPU

and for each replica  h[m,i] <= cap x[m,i].  `placement.problem.space` says what the room is, where
a block can start, and how many replicas may share a GPU.
"""

from __future__ import annotations

from collections.abc import Iterable

import pulp

from placement.problem.cluster import ServerType
from placement.problem.instance import Instance
from placement.problem.space import gpu_rooms_gb, starts
from placement.solver.milp import Pairs, linear


def memory_row(held: Pairs, room_gb: float) -> pulp.LpConstraint:
    """Replicas with the memory that each takes on a GPU fill no more than its room."""
    return linear([(x, need / room_gb) for x, need in held]) <= 1


def sharing_row(held: Pairs, most: int) -> pulp.LpConstraint:
    """At most so many replicas stand on a GPU."""
    return linear([(x, 1.0) for x, _ in held]) <= most


Loads = list[tuple[int, pulp.LpVariable]]
"""Model of each replica that stands, and the variable of its load h."""


def loads_of(models: Iterable[int], at: str) -> Loads:
    """A load for each replica of a content."""
    return [(m, pulp.LpVariable(f"h_{r}{at}", 0)) for r, m in enumerate(models)]


def by_model(loads: Loads) -> dict[int, Pairs]:
    """Loads of the replicas of each model."""
    found: dict[int, Pairs] = {}
    for m, h in loads:
        found.setdefault(m, []).append((h, 1.0))
    return found


def loads_on_gpus(
    instance: Instance, loads: Loads, starts: Iterable[int]
) -> list[tuple[int, Pairs]]:
    """Loads of the replicas on the GPUs of a server that has any.

    GPUs with the same replicas, such as those of one block, make the same row: once is enough, with
    the number of the last.

    Parameters
    ----------
    instance : Instance
        Says how many GPUs a replica takes.
    loads : sequence of (int, variable)
        Model and busy fraction of each replica on the server.
    starts : iterable of int
        First GPU of each.

    Returns
    -------
    list of (int, terms)
        GPU within the server, and the loads that fall on it.
    """
    gpus: dict[int, Pairs] = {}
    for (m, h), start in zip(loads, starts, strict=True):
        for g in range(start, start + int(instance.gpus_required[m])):
            gpus.setdefault(g, []).append((h, 1.0))
    rows = {tuple(id(h) for h, _ in terms): (g, terms) for g, terms in gpus.items()}
    return list(rows.values())


class BlockRows:
    """The replicas of one server at their places, their loads, and the rows of its GPUs."""

    def __init__(
        self, problem: pulp.LpProblem, instance: Instance, kind: ServerType, cap: float
    ) -> None:
        self._problem, self._instance, self._kind, self._cap = problem, instance, kind, cap
        self._memory: list[Pairs] = [[] for _ in range(kind.gpus)]
        self._load: list[Pairs] = [[] for _ in range(kind.gpus)]

    def replicas(self, m: int, at: str) -> list[tuple[pulp.LpVariable, pulp.LpVariable, int]]:
        """Add x and h of each block on which a replica of a model can stand; their first GPUs."""
        found = []
        k, need = int(self._instance.gpus_required[m]), float(self._instance.memory_per_gpu_gb[m])
        for i in starts(self._instance, m, self._kind):
            x = pulp.LpVariable(f"x_{m}{at}_{i}", 0, 1, pulp.LpInteger)
            h = pulp.LpVariable(f"h_{m}{at}_{i}", 0)
            found.append((x, h, i))
            row = linear([(h, 1.0), (x, -self._cap)]) <= 0
            self._problem.addConstraint(row, f"replica_{m}{at}_{i}")
            for g in range(i, i + k):
                self._memory[g].append((x, need))
                self._load[g].append((h, 1.0))
        return found

    def gpus(self, at: str) -> None:
        """Add the rows of every GPU, when all replicas are there."""
        rooms, most = gpu_rooms_gb(self._kind), self._instance.max_models_per_gpu
        if self._instance.models_per_gpu == 1:
            most = 1
        add = self._problem.addConstraint
        for g, (memory, load) in enumerate(zip(self._memory, self._load, strict=True)):
            add(memory_row(memory, float(rooms[g])), f"memory{at}_{g}")
            add(linear(load) <= self._cap, f"load{at}_{g}")
            if most is not None:
                add(sharing_row(memory, most), f"most{at}_{g}")
