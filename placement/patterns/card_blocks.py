"""Blocks of servers whose cards differ, told apart by the cards on which they stand.

GPUs are of one *card* where they have the same room and every used model is as fast on them. On all
servers of a type, the blocks of a model that cover as many GPUs of each card are as fast, and count
together; what stands on the GPUs of each card adds up to no more than these bear: the rows of
single GPUs, summed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pulp

from placement.problem.blocks import gpu_rooms_gb
from placement.problem.cluster import ServerType
from placement.problem.instance import Instance
from placement.problem.solution import Placement
from placement.problem.space import ServerSpace, starts
from placement.solver.budget import tick
from placement.solver.milp import Pairs, linear


@dataclass(frozen=True)
class CardBlocks:
    """The blocks of a model on servers of a type that stand on the same cards.

    Parameters
    ----------
    model, kind : int
    starts : tuple of int
        First GPUs.
    covers : tuple of (int, int)
        Card, and how many of its GPUs.
    speed : float
    """

    model: int
    kind: int
    starts: tuple[int, ...]
    covers: tuple[tuple[int, int], ...]
    speed: float


def cards_of(instance: Instance, kind: ServerType) -> list[int]:
    """Card of each GPU of a server of a type; -1 where none may stand."""
    rooms = gpu_rooms_gb(kind).tolist()
    speeds = [kind.speeds_of(instance.model_ids[m]) for m in instance.used_models]
    number: dict[tuple[float, ...], int] = {}
    return [
        number.setdefault((room, *(each[g] for each in speeds)), len(number)) if room > 0 else -1
        for g, room in enumerate(rooms)
    ]


def card_blocks(instance: Instance, t: int, m: int) -> list[CardBlocks]:
    """The blocks of a model on servers of a type, by the cards on which they stand.

    Parameters
    ----------
    instance : Instance
    t, m : int
        Server type and model.
    """
    kind = instance.cluster.server_types[t]
    card, k = cards_of(instance, kind), int(instance.gpus_required[m])
    found: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for i in starts(instance, m, kind):
        covers = tuple(sorted(Counter(card[i : i + k]).items()))
        found.setdefault(covers, []).append(i)
    return [
        CardBlocks(m, t, tuple(at), covers, instance.speed_on(kind, m, at[0]))
        for covers, at in found.items()
    ]


class CardCounts:
    """Replicas by their cards, and what they carry, in a program over the servers of a type in sum.

    Parameters
    ----------
    problem : pulp.LpProblem
        Takes the rows.
    t : int
        Server type.
    """

    def __init__(self, problem: pulp.LpProblem, instance: Instance, t: int) -> None:
        self._problem, self._instance, self._t = problem, instance, t
        self._kind = instance.cluster.server_types[t]
        self.blocks: dict[CardBlocks, tuple[pulp.LpVariable, pulp.LpVariable]] = {}

    def split(self, m: int, n: pulp.LpVariable, h: pulp.LpVariable) -> Pairs:
        """Tell the replicas of a model apart, and what they carry, as h; give the work they do.

        Parameters
        ----------
        m : int
            The model.
        n, h : variable
            Replicas, and the load that they carry, at most 1 each.
        """
        done: Pairs = []
        for c, blocks in enumerate(card_blocks(self._instance, self._t, m)):
            most = self._kind.count * len(blocks.starts)
            x = pulp.LpVariable(f"n_{m}_{self._t}_{c}", 0, most, pulp.LpInteger)
            y = pulp.LpVariable(f"h_{m}_{self._t}_{c}", 0)
            self._problem += linear([(y, 1.0), (x, -1.0)]) <= 0
            self.blocks[blocks] = x, y
            done.append((y, blocks.speed))
        mine = [v for blocks, v in self.blocks.items() if blocks.model == m]
        self._problem += linear([*((x, 1.0) for x, _ in mine), (n, -1.0)]) == 0
        self._problem += linear([*((y, 1.0) for _, y in mine), (h, -1.0)]) == 0
        return done

    def close(self) -> None:
        """Add the rows on the GPUs of each card, when all models are there."""
        instance, kind = self._instance, self._kind
        cards, rooms = cards_of(instance, kind), gpu_rooms_gb(kind)
        for card in sorted(set(cards) - {-1}):
            gpus = float(cards.count(card) * kind.count)
            here = [
                (x, y, blocks.model, float(covered))
                for blocks, (x, y) in self.blocks.items()
                for on, covered in blocks.covers
                if on == card
            ]
            if not here:
                continue
            room, memory = float(rooms[cards.index(card)]), instance.memory_per_gpu_gb
            self._problem += linear([(y, c) for _, y, _, c in here]) <= gpus
            self._problem += (
                linear([(x, c * float(memory[m]) / room) for x, _, m, c in here]) <= gpus
            )
            most = 1 if instance.models_per_gpu == 1 else instance.max_models_per_gpu
            if most is not None:
                self._problem += linear([(x, c) for x, _, _, c in here]) <= gpus * most

    def counts(self) -> dict[CardBlocks, tuple[int, float]]:
        """Replicas on each kind of block after a solve, and what one of them carries."""
        found = {}
        for blocks, (x, y) in self.blocks.items():
            n = round(x.varValue or 0.0)
            if n:
                found[blocks] = n, float(y.varValue or 0.0) / n
        return found


def packed_on_cards(
    instance: Instance, counts: dict[CardBlocks, tuple[int, float]]
) -> Placement | None:
    """Give replicas blocks on the cards that are meant for them, large and busy ones first.

    Each goes to where the busiest GPU under it has the least to do, of equals to the fullest
    server; what finds no room there, anywhere on servers of the type. None where a model is left
    without.

    Parameters
    ----------
    instance : Instance
    counts : dict of CardBlocks to (int, float)
        Replicas, and what one of them carries.
    """
    cluster = instance.cluster
    kinds = [cluster.server_types[t] for t in cluster.server_type.tolist()]
    spaces = [ServerSpace(instance, kind) for kind in kinds]
    busy = [np.zeros(kind.gpus) for kind in kinds]
    pieces = [(blocks, load) for blocks, (n, load) in counts.items() for _ in range(n)]
    pieces.sort(key=lambda p: (-int(instance.gpus_required[p[0].model]), -p[1], p[0].model))
    for blocks, load in pieces:
        tick()
        m, k = blocks.model, int(instance.gpus_required[blocks.model])
        best: tuple[bool, float, float, int, int] | None = None
        for s in np.flatnonzero(cluster.server_type == blocks.kind).tolist():
            fits = spaces[s].fits(m)
            for i in np.flatnonzero(fits).tolist():
                more = load * blocks.speed / instance.speed_on(kinds[s], m, i)
                peak = float(busy[s][i : i + k].max()) + more
                found = i not in blocks.starts, peak, -float(busy[s].sum()), s, i
                best = found if best is None else min(best, found)
        if best is not None:
            *_, s, i = best
            spaces[s].put(m, i)
            busy[s][i : i + k] += load * blocks.speed / instance.speed_on(kinds[s], m, i)
    rows = [(m, s, i) for s, space in enumerate(spaces) for m, i in space.content]
    if set(instance.used_models) - {m for m, _, _ in rows}:
        return None
    return Placement.of(rows)
