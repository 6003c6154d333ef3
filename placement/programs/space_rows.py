"""Rows of programs that decide which replicas stand on which GPUs of a server.

On each GPU g, over the replicas x[m,i] of a block that covers it:

    space    sum mu[m] x[m,i] / room[g] <= 1
    GPU      sum h[m,i] <= cap
    sharing  sum x[m,i] <= most replicas on one GPU

and for each replica  h[m,i] <= cap x[m,i].  `placement.problem.space` says what the room is, where
a block can start, and how many replicas may share a GPU.

Where sharing loses, kappa(n) is what n replicas keep of a GPU together
(`placement.problem.shared_capacity`), and q the most that fit. With y[j] in {0,1} that is 1 where
more than j of those that can be loaded stand on g, for every j with kappa(j) > kappa(j+1),

    GPU      sum h[m,i] <= cap (1 - sum_j (kappa(j) - kappa(j+1)) y[j])
    few      sum x[m,i] <= j + (q - j) y[j]

A replica that stands and is idle might as well not stand, so those that stand count. Where
idle ones are no spares (`Instance.idle_are_spare`), z[m,i] in {0,1} says which may carry load, and
counts in place of x:

    carrying h[m,i] <= cap z[m,i],  z[m,i] <= x[m,i]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pulp

from placement.problem.blocks import gpu_rooms_gb
from placement.problem.cluster import ServerType
from placement.problem.instance import Instance
from placement.problem.shared_capacity import (
    Kept,
    can_load,
    kept_at_least,
    kept_at_most,
    loses_by_sharing,
    most_together,
    standing_kept,
)
from placement.problem.space import most_replicas, pins, starts
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


def by_model(
    instance: Instance, kind: ServerType, loads: Loads, starts: Iterable[int]
) -> dict[int, Pairs]:
    """Loads of the replicas of each model, with the pace of each.

    Parameters
    ----------
    instance : Instance
    kind : ServerType
        Type of the server.
    loads : sequence of (int, variable)
        Model and busy fraction of each replica on the server.
    starts : iterable of int
        First GPU of each.
    """
    found: dict[int, Pairs] = {}
    for (m, h), start in zip(loads, starts, strict=True):
        found.setdefault(m, []).append((h, instance.pace(kind, m, start)))
    return found


def loads_on_gpus(
    instance: Instance, kind: ServerType, loads: Loads, starts: Iterable[int]
) -> list[tuple[int, Pairs, float]]:
    """Loads of the replicas on the GPUs of a server that has any, and what they keep together.

    GPUs with the same replicas, such as those of one block, make the same row: once is enough, with
    the number of the last.

    Parameters
    ----------
    instance : Instance
        Says how many GPUs a replica takes.
    kind : ServerType
        Type of the server.
    loads : sequence of (int, variable)
        Model and busy fraction of each replica on the server.
    starts : iterable of int
        First GPU of each.

    Returns
    -------
    list of (int, terms, float)
        GPU within the server, the loads that fall on it, and what of it they keep together.
    """
    gpus: dict[int, list[tuple[int, int, pulp.LpVariable]]] = {}
    for (m, h), start in zip(loads, starts, strict=True):
        for g in range(start, start + int(instance.gpus_required[m])):
            gpus.setdefault(g, []).append((m, start, h))
    rows = {tuple(id(h) for _, _, h in held): (g, held) for g, held in gpus.items()}
    return [
        (
            g,
            [(h, 1.0) for _, _, h in held],
            standing_kept(instance, kind, [(m, i) for m, i, _ in held]),
        )
        for g, held in rows.values()
    ]


@dataclass(frozen=True)
class Few:
    """The variable y[j] of a GPU: 1 where more than j of `held` count; then they keep `kept`."""

    gpu: int
    y: pulp.LpVariable
    j: int
    held: Pairs
    kept: float


class BlockRows:
    """The replicas of one server at their places, their loads, and the rows of its GPUs.

    Parameters
    ----------
    cautious : bool
        Where kappa depends on which replicas share a GPU, take the least: what is found is then a
        plan. By default the most, and what is proven holds of every plan.

    Attributes
    ----------
    few : list of Few
    carries : dict of (model, first GPU) to variable
        z, where it is another than x.
    """

    def __init__(
        self,
        problem: pulp.LpProblem,
        instance: Instance,
        kind: ServerType,
        cap: float,
        *,
        cautious: bool = False,
    ) -> None:
        self._problem, self._instance, self._kind, self._cap = problem, instance, kind, cap
        self._pinned = pins(instance, kind)
        self._memory: list[Pairs] = [[] for _ in range(kind.gpus)]
        self._load: list[Pairs] = [[] for _ in range(kind.gpus)]
        self._counted: list[Pairs] = [[] for _ in range(kind.gpus)]
        self.few: list[Few] = []
        self.carries: dict[tuple[int, int], pulp.LpVariable] = {}
        self.kept: Kept = (1.0, 1.0)
        if loses_by_sharing(instance):
            levels = kept_at_least if cautious else kept_at_most
            self.kept = levels(instance, max(1, most_together(instance, kind)))

    def replicas(self, m: int, at: str) -> list[tuple[pulp.LpVariable, pulp.LpVariable, int]]:
        """Add x and h of each block on which a replica of a model can stand; their first GPUs."""
        found = []
        k, need = int(self._instance.gpus_required[m]), float(self._instance.memory_per_gpu_gb[m])
        for i in starts(self._instance, m, self._kind):
            speed = self._instance.speed_on(self._kind, m, i)
            counted = self.kept[-1] < 1 and can_load(self._instance, m, speed)
            least = int((m, i) in self._pinned)
            x = pulp.LpVariable(f"x_{m}{at}_{i}", least, 1, pulp.LpInteger)
            h = pulp.LpVariable(f"h_{m}{at}_{i}", 0)
            found.append((x, h, i))
            z = x
            if counted and not self._instance.idle_are_spare:
                z = pulp.LpVariable(f"z_{m}{at}_{i}", 0, 1, pulp.LpInteger)
                self._problem.addConstraint(linear([(z, 1.0), (x, -1.0)]) <= 0, f"z{m}{at}_{i}")
                self.carries[m, i] = z
            row = linear([(h, 1.0), (z, -self._cap)]) <= 0
            self._problem.addConstraint(row, f"replica_{m}{at}_{i}")
            for g in range(i, i + k):
                self._memory[g].append((x, need))
                self._load[g].append((h, 1.0))
                if counted:
                    self._counted[g].append((z, 1.0))
        return found

    def gpus(self, at: str) -> None:
        """Add the rows of every GPU, when all replicas are there."""
        rooms, most = gpu_rooms_gb(self._kind), self._instance.max_models_per_gpu
        if self._instance.models_per_gpu == 1:
            most = 1
        add = self._problem.addConstraint
        for g, (memory, load) in enumerate(zip(self._memory, self._load, strict=True)):
            add(memory_row(memory, float(rooms[g])), f"memory{at}_{g}")
            add(linear([*load, *self._lost(g, at)]) <= self._cap, f"load{at}_{g}")
            if most is not None:
                add(sharing_row(memory, most), f"most{at}_{g}")

    def _lost(self, g: int, at: str) -> Pairs:
        """Add y of a GPU, and what sharing takes off its cap: terms of the row *GPU*."""
        held = self._counted[g]
        most = min(len(self.kept) - 1, len(held))
        lost: Pairs = []
        for j in range(1, most):
            drop = self._cap * (self.kept[j] - self.kept[j + 1])
            if drop <= 0:
                continue
            more = pulp.LpVariable(f"y_{j}{at}_{g}", 0, 1, pulp.LpInteger)
            row = linear([*held, (more, -float(most - j))]) <= j
            self._problem.addConstraint(row, f"few_{j}{at}_{g}")
            self.few.append(Few(g, more, j, held, self.kept[j + 1]))
            lost.append((more, drop))
        return lost


def company_rows(
    instance: Instance, kind: ServerType, held: Mapping[int, Pairs], at: str, *, by_place: bool
) -> list[pulp.LpConstraint]:
    """Rows on which models stand on a server together; z is 1 where the first of two apart does.

    Parameters
    ----------
    instance : Instance
        With the rules.
    kind : ServerType
        Type of the server.
    held : mapping of int to terms
        Replicas of each model that fits there, by place or by number.
    at : str
        What the names of the variables end in.
    by_place : bool
        There is a variable for each block on which a replica can stand, in the order of blocks.
    """
    rows = []
    for a, b in instance.company.apart:
        if a in held and b in held:
            z = pulp.LpVariable(f"apart_{a}_{b}{at}", 0, 1, pulp.LpInteger)
            most = [float(most_replicas(instance, m, kind)) for m in (a, b)]
            rows.append(linear([*held[a], (z, -most[0])]) <= 0)
            rows.append(linear([*held[b], (z, most[1])]) <= most[1])
    for m, b in instance.company.bases:
        if m not in held:
            continue
        if not by_place:  # its replicas stand on as many blocks of the base
            below = [(y, -1.0) for y, _ in held.get(b, ())]
            rows.append(linear([*held[m], *below]) <= 0)
            continue
        block = (
            dict(zip(starts(instance, b, kind), held.get(b, ()), strict=True)) if b in held else {}
        )
        for i, (x, _) in zip(starts(instance, m, kind), held[m], strict=True):
            under = [(block[i][0], -1.0)] if i in block else []
            rows.append(linear([(x, 1.0), *under]) <= 0)
    for m, o in instance.company.together:
        others = held.get(o, [])
        for x, _ in held.get(m, ()):
            most_x = 1.0 if x.upBound is None else float(x.upBound)
            rows.append(linear([(x, 1.0), *((y, -most_x) for y, _ in others)]) <= 0)
    return rows
