"""Where replicas stand, and where those of a lost server can go: by the plan's rules of space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.problem.plan import Plan
from placement.problem.space import ServerSpace


@dataclass(frozen=True)
class Seat:
    """A replica's place.

    Parameters
    ----------
    replica : int
        Number in the plan.
    model : int
        Number in the plan's instance.
    server : int
    start : int
        First GPU of its block within the server.
    """

    replica: int
    model: int
    server: int
    start: int


def seats_of(plan: Plan) -> list[Seat]:
    """Give every replica's seat as the plan has it, by replica."""
    return [Seat(replica, *row) for replica, row in enumerate(plan.placement.replicas())]


def gpus_of(instance: Instance, seat: Seat) -> range:
    """GPUs of a seat within its server."""
    return range(seat.start, seat.start + int(instance.gpus_required[seat.model]))


def place_anew(
    plan: Plan, kept: Sequence[Seat], lost: Sequence[Seat], servers: Iterable[int]
) -> list[Seat]:
    """Find seats for lost replicas on servers that are left, beside what stands there.

    Blocks stay consecutive, memory and the rules of sharing hold. Models without any replica go
    first, then large blocks and much memory, which find a place with more difficulty. Of all
    blocks that have room the one with the least load on its busiest GPU is taken.

    Parameters
    ----------
    plan : Plan
        Its rules, and its loads.
    kept : sequence of Seat
        All that stand on `servers`.
    lost : sequence of Seat
    servers : iterable of int
        Those that are left.

    Returns
    -------
    list of Seat
        Of those of the lost that have found one; the others have nowhere to go.
    """
    instance, cluster = plan.instance, plan.cluster
    spaces: dict[int, ServerSpace] = {}
    loads: dict[int, FloatArray] = {}
    for s in sorted(servers):
        held = [seat for seat in kept if seat.server == s]
        kind = cluster.server_types[cluster.server_type[s]]
        spaces[s] = ServerSpace(instance, kind, [(seat.model, seat.start) for seat in held])
        loads[s] = np.zeros(kind.gpus)
        for seat in held:
            loads[s][list(gpus_of(instance, seat))] += plan.load[seat.replica]
    placed = []
    there = {seat.model for seat in kept}
    waiting = list(lost)
    while waiting:
        waiting.sort(key=lambda seat: _urgency(instance, seat, there))
        seat = waiting.pop(0)
        k = int(instance.gpus_required[seat.model])
        room = [
            (float(loads[s][start : start + k].max()), s, int(start))
            for s, space in spaces.items()
            for start in np.flatnonzero(space.fits(seat.model))
        ]
        if not room:
            continue
        _, s, start = min(room)
        spaces[s].put(seat.model, start)
        loads[s][start : start + k] += plan.load[seat.replica]
        there.add(seat.model)
        placed.append(Seat(seat.replica, seat.model, s, start))
    return placed


def _urgency(instance: Instance, seat: Seat, there: set[int]) -> tuple[bool, int, float, int]:
    gpus = int(instance.gpus_required[seat.model])
    memory = float(instance.memory_per_gpu_gb[seat.model])
    return seat.model in there, -gpus, -memory, seat.replica


def is_free(plan: Plan, kept: Iterable[Seat], seat: Seat) -> bool:
    """Whether a replica fits in its seat beside what stands on the server.

    Parameters
    ----------
    plan : Plan
        Its rules.
    kept : iterable of Seat
        What stands anywhere.
    seat : Seat
    """
    kind = plan.cluster.server_types[plan.cluster.server_type[seat.server]]
    held = [(s.model, s.start) for s in kept if s.server == seat.server]
    return bool(ServerSpace(plan.instance, kind, held).fits(seat.model)[seat.start])


def nowhere(plan: Plan, seat: Seat) -> str:
    """Say what a replica without a seat lacks."""
    instance = plan.instance
    gpus = int(instance.gpus_required[seat.model])
    memory = float(instance.memory_per_gpu_gb[seat.model])
    block = f"a GPU with {memory:g} GB free"
    if gpus > 1:
        block = f"{gpus} consecutive GPUs of one server with {memory:g} GB free on each"
    return f"needs {block}, and by the plan's rules no server that is left has it"
