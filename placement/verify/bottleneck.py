"""The lower end of the least bottleneck load, proven anew: no placement has a busiest GPU below it.

Loads are counted in units of the claim. Then it holds where no placement whose GPUs are loaded at
most 1 can do more than 1 times every model's work. Three proofs, each only where the one before
does not reach: the work over all GPUs; the numbers of replicas, summed over the servers of a type;
branch and bound over every server.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from placement.problem.blocks import gpu_rooms_gb
from placement.problem.plan import Plan
from placement.problem.space import largest_room_gb, total_room_gb
from placement.support.equality import ByContent
from placement.verify.matrix_program import Clock, OutOfTime, Program, Undecided
from placement.verify.proof import SAFETY, TOLERANCE, Conclusion
from placement.verify.scaled_problem import Scaled
from placement.verify.time_slices import Slices

MOST_SHARING = 6
"""Largest number of replicas on a GPU that rows on the memory of large ones count."""

MOST_PLACED_COLUMNS = 100_000
"""Columns beyond which branch and bound over all servers decides nothing in any time."""

HOW = {
    "work": "the work over the speed of all GPUs",
    "numbers": "the numbers of replicas, summed over the servers of a type",
    "servers": "branch and bound over every server",
}


@dataclass(frozen=True, eq=False)
class BottleneckCheck(ByContent):
    """Whether no placement has a lower bottleneck load than the plan states.

    Parameters
    ----------
    verdict : str
        ``not decided`` where neither is proven, with `why`.
    recomputed : float
        The largest lower end proven here; it is sought no higher than what is stated.
    how : str
        By what it was proven, or was to be.
    """

    verdict: Conclusion
    recomputed: float
    stated: float
    how: str
    why: str = ""


def check_bottleneck(
    plan: Plan, *, solver: str = "HiGHS", time_limit_s: float | None = 60.0
) -> BottleneckCheck:
    """Prove anew that no placement has a bottleneck load below `bottleneck_lower`.

    Parameters
    ----------
    solver : str
        HiGHS, or PuLP's name of another.
    time_limit_s : float, optional
        Seconds, after which the answer is that it is undecided.
    """
    stated = plan.certificate.bottleneck_lower
    scaled = Scaled(plan.instance)
    cap = plan.instance.load_cap or 1.0
    proven = cap * _least_mean(scaled)
    if stated <= proven * (1 + TOLERANCE):
        return BottleneckCheck("holds", proven, stated, HOW["work"])
    clock = Clock(time_limit_s)
    work = {m: load * cap / stated for m, load in scaled.work.items()}
    how, why, refuted = "numbers", "", False
    try:
        for how in ("numbers", "servers"):
            program = (_numbers if how == "numbers" else _servers)(scaled, work, clock)
            answer = program.maximise(clock, solver, enough=1 + TOLERANCE - SAFETY, partly=True)
            proven = max(proven, stated / max(1.0, answer.bound + SAFETY))
            if proven * (1 + TOLERANCE) >= stated:
                return BottleneckCheck("holds", proven, stated, HOW[how])
            # Only the servers themselves are a placement; their sum need not be one.
            refuted = how == "servers" and (answer.value or 0.0) > 1 + TOLERANCE
            why = str(OutOfTime()) if clock.left <= clock.blink else f"{solver} gave no answer"
    except Undecided as open_question:
        why = str(open_question)
    if refuted:
        return BottleneckCheck("does not hold", proven, stated, HOW[how])
    return BottleneckCheck("not decided", proven, stated, HOW[how], why)


def _least_mean(scaled: Scaled) -> float:
    """Load of every GPU if all of them worked all the time."""
    names = [scaled.instance.model_ids[m] for m in scaled.used]
    speed = 0.0
    for t, kind in enumerate(scaled.types):
        if kind.paced:  # a block does no more on any of its GPUs than that one could
            each = [max(v) for v in zip(*map(kind.speeds_of, names), strict=True)]
            usable = (v for g, v in enumerate(each) if g not in kind.excluded_gpus)
            speed += kind.count * sum(usable)
        else:
            speed += kind.count * kind.usable_gpus * float(scaled.speeds[t, scaled.used].max())
    return sum(float(scaled.gpus[m]) * load for m, load in scaled.work.items()) / speed


class _Growth:
    """The largest factor by which the work of all models can grow, loads being at most 1."""

    def __init__(self, scaled: Scaled, work: dict[int, float]) -> None:
        self.scaled, self.program = scaled, Program()
        self.growth = self.program.column(1.0, 2.0)
        self._work = work
        self._done: dict[int, list[tuple[int, float]]] = defaultdict(list)
        self._held: dict[int, list[tuple[int, float]]] = defaultdict(list)
        self._servers: list[Mapping[int, Sequence[int]]] = []
        self.covers: dict[tuple[int, int], list[tuple[int, int, int, float]]] = defaultdict(list)

    def replicas(self, m: int, most: float, speed: float, least: float = 0.0) -> tuple[int, int]:
        """Add replicas of a model and the load they carry, at most 1 each; returns both columns."""
        n = self.program.column(0.0, most, whole=True, low=least)
        h = self.program.column(0.0, most)
        self.program.row([(h, 1.0), (n, -1.0)], 0.0)
        self._done[m].append((h, speed))
        self._held[m].append((n, 1.0))
        return n, h

    def on_server(self, here: Mapping[int, Sequence[int]]) -> None:
        """Remember the columns of one server's replicas, by model."""
        self._servers.append(here)

    def spread(self) -> None:
        """Have as many servers with a replica as a rule asks for."""
        wanted = self.scaled.instance.requirements
        for m in self._work if wanted is not None else ():
            assert wanted is not None
            if wanted.spread[m] <= 1:
                continue
            there = []
            for here in self._servers:
                held = self.program.column(0.0, 1.0, whole=True)
                terms = [(n, -1.0) for n in here.get(m, ())]
                self.program.row([(held, 1.0), *terms], 0.0)
                there.append((held, 1.0))
            self.program.row(there, low=float(wanted.spread[m]))

    def close(self) -> Program:
        """Let every model do its work, grown, and have the replicas that it must and may have."""
        wanted = self.scaled.instance.requirements
        for m, work in self._work.items():
            unit = max(1.0, work)
            grown = [(h, v / unit) for h, v in self._done[m]]
            self.program.row([*grown, (self.growth, -work / unit)], low=0.0)
            self.program.row(self._held[m], low=1.0)
            if wanted is not None:
                self.program.row(self._held[m], float(wanted.most[m]), low=float(wanted.least[m]))
        return self.program


def _numbers(scaled: Scaled, work: dict[int, float], clock: Clock) -> Program:
    """Replicas by their number, with rows on all servers of a type that those of each add up to."""
    growth = _Growth(scaled, work)
    for t, kind in enumerate(scaled.types):
        clock.check()
        limit, gpus = largest_room_gb(kind), float(kind.usable_gpus * kind.count)
        numbers, loads, each = [], [], {}
        row = growth.program.row
        for m in scaled.fitting(t):
            if kind.paced:
                n, parts = _by_card(growth, t, m)
            else:
                most = float(kind.count * scaled.most(t, m))
                n, h = growth.replicas(m, most, scaled.speed(t, m))
                parts = [(h, 1.0)]
            numbers.append((m, n, float(scaled.gpus[m])))
            loads += [(h, float(scaled.gpus[m])) for h, _ in parts]
            each[m] = parts
        row(loads, gpus)
        if kind.paced:
            _on_cards(growth, t)
        counts = {m: n for m, n, _ in numbers}
        Slices(scaled, t).in_sum(growth.program, kind.usable_gpus * kind.count, counts, each)
        if scaled.most_on_gpu is not None:
            row([(n, k) for _, n, k in numbers], gpus * scaled.most_on_gpu)
        if not scaled.counts_suffice:
            rooms = kind.count * total_room_gb(kind) / limit
            row([(n, k * float(scaled.memory[m]) / limit) for m, n, k in numbers], rooms)
            # No more than j replicas of more than 1 / (j + 1) of the memory on a GPU.
            for j in range(1, MOST_SHARING + 1):
                large = [(n, k) for m, n, k in numbers if scaled.memory[m] * (j + 1) > limit]
                row(large, gpus * j)
    return growth.close()


def _by_card(growth: _Growth, t: int, m: int) -> tuple[int, list[tuple[int, float]]]:
    """Replicas of a model told apart by the GPUs that they cover of each speed and memory.

    Returns the column of them all, and the columns of their loads. What covers the GPUs of a sort
    is added to `growth.covers`, for the rows that those of single GPUs add up to.
    """
    scaled, kind, k = growth.scaled, growth.scaled.types[t], int(growth.scaled.gpus[m])
    sorts = _sorts(scaled, t)
    same: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i in scaled.starts(t, m):
        same[tuple(sorted(sorts[i : i + k]))].append(i)
    total = growth.program.column(0.0, float(kind.count * scaled.most(t, m)), whole=True)
    parts: list[tuple[int, float]] = []
    stands: list[tuple[int, float]] = [(total, -1.0)]
    for covered, starts in same.items():
        speed = scaled.speed(t, m) * scaled.pace(t, m, starts[0])
        n, h = growth.replicas(m, float(kind.count * len(starts)), speed)
        parts.append((h, 1.0))
        stands.append((n, 1.0))
        for sort in set(covered):
            growth.covers[t, sort].append((m, n, h, float(covered.count(sort))))
    growth.program.row(stands, 0.0, low=0.0)
    return total, parts


def _sorts(scaled: Scaled, t: int) -> list[int]:
    """GPUs of one number have the same memory, and every model is as fast on them."""
    kind = scaled.types[t]
    rooms = gpu_rooms_gb(kind).tolist()
    names = [scaled.instance.model_ids[m] for m in scaled.used]
    known: list[tuple[float, ...]] = []
    found = []
    for g, room in enumerate(rooms):
        what = (room, *(kind.speeds_of(name)[g] for name in names))
        if what not in known:
            known.append(what)
        found.append(known.index(what))
    return found


def _on_cards(growth: _Growth, t: int) -> None:
    """Rows on the GPUs of each sort of a type, in sum: load, number and memory."""
    scaled, kind, row = growth.scaled, growth.scaled.types[t], growth.program.row
    sorts, rooms = _sorts(scaled, t), gpu_rooms_gb(kind).tolist()
    for sort in sorted(set(sorts)):
        here = growth.covers.get((t, sort), [])
        gpus = float(sorts.count(sort) * kind.count)
        row([(h, c) for _, _, h, c in here], gpus)
        if scaled.most_on_gpu is not None:
            row([(n, c) for _, n, _, c in here], gpus * scaled.most_on_gpu)
        room = rooms[sorts.index(sort)]
        if room > 0:
            row([(n, c * float(scaled.memory[m]) / room) for m, n, _, c in here], gpus)


def _servers(scaled: Scaled, work: dict[int, float], clock: Clock) -> Program:
    """Replicas server by server: by their number where GPUs are exclusive, else by their place."""
    each = [
        sum(1 if scaled.counts_suffice else scaled.most(t, m) for m in scaled.fitting(t))
        for t in range(len(scaled.types))
    ]
    if 2 * sum(t.count * n for t, n in zip(scaled.types, each, strict=True)) > MOST_PLACED_COLUMNS:
        raise Undecided("the program over every server is too large to solve")
    growth = _Growth(scaled, work)
    first = scaled.used[0]
    for t, kind in enumerate(scaled.types):
        before: list[tuple[int, float]] = []
        for _ in range(kind.count):
            clock.check()
            here = (_exclusive if scaled.counts_suffice else _shared)(growth, t)
            if before and here.get(first):
                # Servers of one type can be renumbered by how many of one model they hold.
                order = [(n, 1.0) for n in here[first]]
                growth.program.row([*order, *((n, -1.0) for n, _ in before)], 0.0)
            before = [(n, 1.0) for n in here.get(first, [])]
            growth.on_server(here)
            held = {m: [(n, 1.0) for n in columns] for m, columns in here.items()}
            scaled.keep_company(growth.program, t, held)
    growth.spread()
    return growth.close()


def _exclusive(growth: _Growth, t: int) -> dict[int, list[int]]:
    scaled, kind = growth.scaled, growth.scaled.types[t]
    taken, columns = [], {}
    for m in scaled.fitting(t):
        n, _ = growth.replicas(m, float(scaled.most(t, m)), scaled.speed(t, m))
        taken.append((n, float(scaled.gpus[m])))
        columns[m] = [n]
    growth.program.row(taken, float(kind.usable_gpus))
    return columns


def _shared(growth: _Growth, t: int) -> dict[int, list[int]]:
    scaled, kind = growth.scaled, growth.scaled.types[t]
    pinned = scaled.pinned(t)
    on_gpu: dict[int, list[tuple[int, int, int, int]]] = defaultdict(list)
    slices = Slices(scaled, t)
    columns: dict[int, list[int]] = defaultdict(list)
    at: dict[tuple[int, int], int] = {}
    for m in scaled.fitting(t):
        k = int(scaled.gpus[m])
        for i in scaled.starts(t, m):
            speed = scaled.speed(t, m) * scaled.pace(t, m, i)
            n, h = growth.replicas(m, 1.0, speed, float((m, i) in pinned))
            columns[m].append(n)
            at[m, i] = n
            z = slices.carrier(growth.program, m, n)
            if z != n:
                growth.program.row([(h, 1.0), (z, -1.0)], 0.0)
            for g in range(i, i + k):
                on_gpu[g].append((m, n, h, z))
    scaled.on_bases(growth.program, at)
    rooms = gpu_rooms_gb(kind)
    for g, there in on_gpu.items():
        taken = [(n, float(scaled.memory[m]) / rooms[g]) for m, n, _, _ in there]
        growth.program.row(taken, 1.0)
        standing: dict[int, list[int]] = defaultdict(list)
        for m, _, _, z in there:
            standing[m].append(z)
        lost = slices.gpu(growth.program, standing)
        growth.program.row([*((h, 1.0) for _, _, h, _ in there), *lost], 1.0)
        if scaled.most_on_gpu is not None:
            growth.program.row([(n, 1.0) for _, n, _, _ in there], float(scaled.most_on_gpu))
    return columns
