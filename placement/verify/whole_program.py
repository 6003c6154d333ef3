"""A bound without multipliers: the whole program, server by server, for branch and bound.

Written from docs/model.md: replicas by their number where GPUs are exclusive (blocks on an empty
server can be laid end to end), by their place where they share.
"""

from __future__ import annotations

from collections import defaultdict

from placement.problem.blocks import gpu_rooms_gb
from placement.problem.plan import Plan
from placement.problem.shared_capacity import loaded
from placement.verify.matrix_program import Answer, Clock, Program
from placement.verify.scaled_problem import Scaled
from placement.verify.time_slices import Slices
from placement.verify.valid_rows import CountRow, replica_rows, rule_rows

MOST_COLUMNS = 1_000_000
"""Columns beyond which branch and bound over all servers decides nothing in any time."""


def columns_of(scaled: Scaled) -> int:
    """Columns that the program would have at most."""
    each = sum(len(f.models) + len(f.parts) for f in scaled.flows)
    total = 0
    for t, kind in enumerate(scaled.types):
        fitting = scaled.fitting(t)
        places = [1 if scaled.counts_suffice else 2 * scaled.most(t, m) for m in fitting]
        total += kind.count * (each + sum(places))
    return total


class DirectProgram:
    """The program over all servers.

    Attributes
    ----------
    place : dict of (model, server, first GPU) to column
        First GPU -1 where only the number counts.
    """

    def __init__(self, scaled: Scaled, clock: Clock | None = None) -> None:
        self.scaled = scaled
        self.program = Program()
        self.place: dict[tuple[int, int, int], int] = {}
        self.numbers: dict[tuple[int, int], list[tuple[int, float]]] = {}
        self.kinds = [t for t, kind in enumerate(scaled.types) for _ in range(kind.count)]
        demand: dict[tuple[int, int], list[tuple[int, float]]] = defaultdict(list)
        for s, t in enumerate(self.kinds):
            if clock is not None:
                clock.check()
            self._server(s, t, demand)
        for flow in scaled.flows:
            for v in range(len(flow.models)):
                self.program.row(demand[flow.w, v], flow.rate, low=flow.rate)
        for row in (*replica_rows(scaled), *rule_rows(scaled)):
            self._replicas(row)
        self._order()

    def _server(
        self, s: int, t: int, demand: dict[tuple[int, int], list[tuple[int, float]]]
    ) -> None:
        scaled, program, kind = self.scaled, self.program, self.scaled.types[t]
        busy: dict[int, list[tuple[int, float]]] = defaultdict(list)
        fitting, pinned = scaled.fitting(t), scaled.pinned(t)
        for m in fitting:
            starts = [-1] if scaled.counts_suffice else scaled.starts(t, m)
            most = float(scaled.most(t, m)) if scaled.counts_suffice else 1.0
            for i in starts:
                least = float((m, i) in pinned)
                self.place[m, s, i] = program.column(0.0, most, whole=True, low=least)
            self.numbers[m, s] = [(self.place[m, s, i], 1.0) for i in starts]
        for flow in scaled.flows:
            rate: dict[int, int] = {}
            for v, m in enumerate(flow.models):
                if m not in fitting:
                    continue
                a = rate[v] = program.column(0.0, flow.rate)
                demand[flow.w, v].append((a, 1.0))
                load = flow.load[v] / float(scaled.speeds[t, m])
                busy[m].append((a, load))
                if load * flow.rate <= 1:
                    held = [(x, -flow.rate) for x, _ in self.numbers[m, s]]
                    program.row([(a, 1.0), *held], 0.0)
            for value, together in flow.parts.values():
                if value > 0 and all(v in rate for v in together):
                    kept = program.column(value, flow.rate)
                    for v in together:
                        program.row([(kept, 1.0), (rate[v], -1.0)], 0.0)
        scaled.keep_company(program, t, {m: self.numbers[m, s] for m in fitting})
        if scaled.counts_suffice:
            taken = [(x, float(scaled.gpus[m])) for m in fitting for x, _ in self.numbers[m, s]]
            program.row(taken, float(kind.usable_gpus))
            for m, terms in busy.items():
                program.row([*terms, *((x, -1.0) for x, _ in self.numbers[m, s])], 0.0)
        else:
            self._shared(s, t, fitting, busy)

    def _shared(
        self, s: int, t: int, fitting: list[int], busy: dict[int, list[tuple[int, float]]]
    ) -> None:
        scaled, program, kind = self.scaled, self.program, self.scaled.types[t]
        memory: dict[int, list[tuple[int, float]]] = defaultdict(list)
        load: dict[int, list[tuple[int, float]]] = defaultdict(list)
        standing: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        slices = Slices(scaled, t)
        for m in fitting:
            k = int(scaled.gpus[m])
            carried = []
            for i in scaled.starts(t, m):
                x = self.place[m, s, i]
                z = slices.carrier(program, m, x)
                h = program.column(0.0, 1.0)
                program.row([(h, 1.0), (z, -1.0)], 0.0)
                carried.append((h, -scaled.pace(t, m, i)))
                for g in range(i, i + k):
                    memory[g].append((x, float(scaled.memory[m])))
                    load[g].append((h, 1.0))
                    standing[g][m].append(z)
            program.row([*busy[m], *carried], 0.0, low=0.0)
        mine = {(m, i): x for (m, at, i), x in self.place.items() if at == s}
        scaled.on_bases(program, mine)
        rooms = gpu_rooms_gb(kind)
        for g, terms in memory.items():
            program.row([(x, need / rooms[g]) for x, need in terms], 1.0)
            program.row([*load[g], *slices.gpu(program, standing[g])], 1.0)
            if scaled.most_on_gpu is not None:
                program.row([(x, 1.0) for x, _ in terms], float(scaled.most_on_gpu))

    def _replicas(self, row: CountRow) -> None:
        m = row.models[0]
        terms: list[tuple[int, float]] = []
        for s, t in enumerate(self.kinds):
            here = self.numbers.get((m, s), [])
            if row.threshold:  # servers with a replica count, not replicas
                there = self.program.column(0.0, 1.0, whole=True)
                self.program.row([(there, 1.0), *((x, -1.0) for x, _ in here)], 0.0)
                terms.append((there, row.weight[t]))
            else:
                terms += [(x, row.weight[t]) for x, _ in here]
        if row.at_least:
            self.program.row(terms, low=row.limit)
        else:
            self.program.row(terms, row.limit)

    def _order(self) -> None:
        """Of identical servers the earlier holds no fewer replicas of one model: any plan can."""
        m = self.scaled.used[0]
        for s in range(1, len(self.kinds)):
            if self.kinds[s] == self.kinds[s - 1] and (m, s) in self.numbers:
                before = [(x, -1.0) for x, _ in self.numbers[m, s - 1]]
                self.program.row([*self.numbers[m, s], *before], 0.0)

    def start(self, plan: Plan) -> dict[int, float]:
        """The plan's replicas as values of the columns, its servers renumbered for the order."""
        held: dict[int, list[tuple[int, int]]] = defaultdict(list)
        placed, busy = plan.placement, loaded(plan.instance, plan.load)
        seen = set(placed.model[busy].tolist())
        for (m, s, i), has_load in zip(placed.replicas(), busy.tolist(), strict=True):
            # What is idle would count as loaded.
            if has_load or m not in seen or not plan.instance.idle_are_spare:
                held[s].append((m, i))
        first = self.scaled.used[0]
        number = sorted(
            range(len(self.kinds)),
            key=lambda s: (self.kinds[s], -sum(m == first for m, _ in held[s])),
        )
        values = dict.fromkeys(self.place.values(), 0.0)
        for s, old in enumerate(number):
            for m, i in held[old]:
                column = self.place.get((m, s, -1 if self.scaled.counts_suffice else i))
                if column is not None:
                    together = values[column] + 1.0
                    values[column] = together if self.scaled.counts_suffice else 1.0
        return values

    def bound(self, plan: Plan, enough: float, clock: Clock, solver: str) -> Answer:
        """Bound on the locality, sought no lower than `enough`; in the answer's own units.

        Parameters
        ----------
        plan : Plan
            Where the solver starts.
        enough : float
            Locality below which the bound need not be brought.
        clock : Clock
            Seconds left.
        solver : str
            As `--solver` has it.

        Raises
        ------
        Undecided
            The time ended, or the solver gave no answer.
        """
        start = self.start(plan)
        return self.program.maximise(clock, solver, enough=enough, start=start, partly=True)
