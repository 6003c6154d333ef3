"""How many replicas of each model a dive puts on the servers of each type.

Close to the cap only few numbers of replicas serve all, the more so where types differ in speed:
whole replicas on some do a model's work with little to spare, on others with much. A relaxation
mixes contents in parts and does not see it, and a dive that fixes them one by one finds out at its
last servers. So the numbers are chosen first, and whole. Whatever contents then hold them serve the
work where GPUs are exclusive, for the rate of a node may be split over all replicas of its model.

What the relaxation is worth with given numbers is concave in them, and the multipliers of the rows
that require them bound it from above everywhere else. So the numbers are sought by cutting planes
(Kelley, Journal of the Society for Industrial and Applied Mathematics 8, 1960) that stay near the
best so far (proximal bundles; Kiwiel, Mathematical Programming 46, 1990), in whole numbers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pulp

from placement.patterns.columns.column_master import ColumnMaster
from placement.patterns.columns.generation import Generation
from placement.patterns.pattern import Pattern, canonical
from placement.problem.instance import Instance
from placement.problem.space import models_that_fit
from placement.solver.budget import Budget
from placement.solver.milp import Pairs, SolverSettings, Stop, linear, solve_program
from placement.support.equality import ByContent

Counts = Counter[tuple[int, int]]
"""Replicas by model and server type."""


@dataclass(frozen=True, eq=False)
class Cut(ByContent):
    """What the relaxation is worth with some counts, and what each replica more required changes.

    Parameters
    ----------
    value : float
        In the program's objective.
    counts : Counter
        By model and server type.
    slope : mapping of (int, int) to float
        By model and server type.
    """

    value: float
    counts: Counts
    slope: Mapping[tuple[int, int], float]


def choose_counts(gen: Generation, settings: SolverSettings, budget: Budget) -> Counts | None:
    """Whole replicas of each model on each type that serve all, and leave the relaxation much.

    Parameters
    ----------
    gen : Generation
        With a master for dives; replicas on servers that it has fixed are among them. It is left
        with the last counts that were tried.
    settings : SolverSettings
    budget : Budget
        When to stop.

    Returns
    -------
    Counter or None
        By model and server type, the best met when time ends; None where none serve all, or none
        were met.
    """
    tried: list[Cut] = []
    with budget.bounded():
        _try_counts(gen, settings, budget, tried)
    return max(tried, key=lambda cut: cut.value).counts if tried else None


def _try_counts(
    gen: Generation, settings: SolverSettings, budget: Budget, tried: list[Cut]
) -> None:
    """Extend what was tried until nothing better is found, or all rounds are made."""
    master, params = gen.master, settings.params.columns
    if not master.solve(budget):
        return
    relaxed = master.program.value
    near: Mapping[tuple[int, int], float] = relaxed_counts(master.used())
    weight = relaxed / sum(t.count * t.usable_gpus for t in gen.instance.cluster.server_types)
    best, nearer = -np.inf, 0
    for _ in range(params.count_rounds):
        found = nearest_counts(master, near, tried, weight, settings, budget)
        if found is None:
            return
        if any(found == cut.counts for cut in tried):
            if nearer == params.count_steps:
                return
            nearer, weight = nearer + 1, weight * params.count_step
            continue
        master.require(found)
        gen.run(budget, rounds=params.dive_rounds, levels=1)
        tried.append(Cut(master.program.value, found, master.required_slopes))
        if tried[-1].value > best:
            best, near = tried[-1].value, found
        if best >= relaxed * (1 - params.count_gap):
            return


def nearest_counts(
    master: ColumnMaster,
    near: Mapping[tuple[int, int], float],
    cuts: Sequence[Cut],
    weight: float,
    settings: SolverSettings,
    budget: Budget,
) -> Counts | None:
    """Counts that serve all, of most worth by the cuts less the GPUs that they move.

    Parameters
    ----------
    master : ColumnMaster
        Says what stands on servers that are fixed.
    near : mapping of (int, int) to float
        By model and server type.
    cuts : sequence of Cut
        None: only what is moved counts.
    weight : float
        What a GPU of another model than `near` has costs.
    settings : SolverSettings
    budget : Budget
        When to stop.
    """
    instance, params, held = master.instance, settings.params.columns, counted(master.fixed)
    problem = pulp.LpProblem("replica_counts", pulp.LpMaximize)
    whole: dict[tuple[int, int], pulp.LpVariable] = {}
    gain: Pairs = []
    done: dict[int, Pairs] = {m: [] for m in instance.used_models}
    standing: dict[int, Pairs] = {m: [] for m in instance.used_models}
    for t, server in enumerate(instance.cluster.server_types):
        taken: Pairs = []
        for m in models_that_fit(instance, server):
            k = float(instance.gpus_required[m])
            n = whole[m, t] = pulp.LpVariable(f"n_{m}_{t}", float(held[m, t]), cat=pulp.LpInteger)
            moved = pulp.LpVariable(f"moved_{m}_{t}", 0)
            there = near.get((m, t), 0.0)
            problem += linear([(moved, 1.0), (n, -1.0)]) >= -there
            problem += linear([(moved, 1.0), (n, 1.0)]) >= there
            gain.append((moved, -weight * k))
            taken.append((n, k))
            done[m].append((n, float(instance.speeds[t, m]) * instance.load_cap))
            standing[m].append((n, 1.0))
        problem += linear(taken) <= server.count * server.usable_gpus
    for m in instance.used_models:
        if not done[m]:
            return None
        problem += linear(done[m]) >= float(instance.model_work[m])
        problem += linear(standing[m]) >= 1.0
    if cuts:
        value = pulp.LpVariable("value")
        gain.append((value, 1.0))
        for cut in cuts:
            slopes = [(n, -cut.slope.get(key, 0.0)) for key, n in whole.items()]
            at = sum(cut.slope.get(key, 0.0) * n for key, n in cut.counts.items())
            problem += linear([(value, 1.0), *slopes]) <= cut.value - at
    problem += linear(gain)
    outcome = solve_program(
        problem, settings, stop=Stop(gap=params.count_gap, node_limit=params.nodes), budget=budget
    )
    if not outcome.found:
        return None
    return Counter({key: round(n.varValue or 0.0) for key, n in whole.items()})


def counted(servers: Mapping[Pattern, int]) -> Counts:
    """Replicas of each model on the servers of each type.

    Parameters
    ----------
    servers : mapping of Pattern to int
        How many hold it.
    """
    return Counter({key: round(n) for key, n in relaxed_counts(servers).items()})


def relaxed_counts(servers: Mapping[Pattern, float]) -> dict[tuple[int, int], float]:
    """The same where servers hold contents in part.

    Parameters
    ----------
    servers : mapping of Pattern to float
        How many hold it.
    """
    found: dict[tuple[int, int], float] = defaultdict(float)
    for pattern, n in servers.items():
        for m, count in pattern.counts().items():
            found[m, pattern.kind] += n * count
    return found


def needed(instance: Instance, held: Counts, chosen: Counts) -> Counts:
    """Of the replicas that stand, those that were chosen, where these do a model's work alone.

    Plans fill spare GPUs with replicas that nobody chose. To require these, too, would keep their
    GPUs from all that is better.

    Parameters
    ----------
    instance : Instance
    held, chosen : Counter
        By model and server type.
    """
    found: Counts = Counter()
    kinds = range(len(instance.cluster.server_types))
    for m in instance.used_models:
        wanted = {(m, t): min(held[m, t], chosen[m, t]) for t in kinds}
        able = sum(n * float(instance.speeds[t, m]) for (_, t), n in wanted.items())
        serve = able * instance.load_cap >= float(instance.model_work[m]) and any(wanted.values())
        found.update(wanted if serve else {(m, t): held[m, t] for t in kinds})
    return found


@dataclass
class Quota:
    """What of some counts is still to be placed, and where, while a dive fixes contents.

    Parameters
    ----------
    instance : Instance
        With exclusive GPUs.
    missing : Counter
        Replicas by model and server type.
    free : list of int, length T
        Servers of each type that hold nothing yet.
    spare : list of int, length T
        GPUs of each type that the counts leave.
    """

    instance: Instance
    missing: Counts
    free: list[int]
    spare: list[int]

    def admits(self, pattern: Pattern) -> bool:
        """Whether what is missing still has GPUs beside one server more of a content."""
        return self.free[pattern.kind] > 0 and self._lost(pattern) <= self.spare[pattern.kind]

    def take(self, pattern: Pattern) -> None:
        """Count a server of a content."""
        self.free[pattern.kind] -= 1
        self.spare[pattern.kind] -= self._lost(pattern)
        for m, n in pattern.counts().items():
            self.missing[m, pattern.kind] = max(0, self.missing[m, pattern.kind] - n)

    def _lost(self, pattern: Pattern) -> int:
        """GPUs of a server that hold nothing of what is missing."""
        k, used = self.instance.gpus_required, 0
        for m, n in pattern.counts().items():
            used += int(k[m]) * min(n, self.missing[m, pattern.kind])
        return self.instance.cluster.server_types[pattern.kind].usable_gpus - used

    def rest(self, kind: int) -> Pattern:
        """A content for one server of a type out of what is missing, large blocks first."""
        server = self.instance.cluster.server_types[kind]
        content: list[tuple[int, int]] = []
        at = 0
        for m in sorted(self.instance.used_models, key=lambda m: -self.instance.gpus_required[m]):
            k = int(self.instance.gpus_required[m])
            for _ in range(self.missing[m, kind]):
                if at + k <= server.usable_gpus:
                    content.append((m, at))
                    at += k
        return canonical(self.instance, kind, content)

    def lay_out(self) -> Counter[Pattern]:
        """Fill the free servers with what is missing, side by side; what each holds then."""
        servers: Counter[Pattern] = Counter()
        for kind, free in enumerate(list(self.free)):
            for _ in range(free):
                pattern = self.rest(kind)
                self.take(pattern)
                servers[pattern] += 1
        return servers


def quota(instance: Instance, counts: Counts, fixed: Mapping[Pattern, int]) -> Quota:
    """All of the counts, but for what some servers hold.

    Parameters
    ----------
    instance : Instance
    counts : Counter
        By `choose_counts`.
    fixed : mapping of Pattern to int
        Servers of each content.
    """
    k, types = instance.gpus_required, instance.cluster.server_types
    spare = [t.count * t.usable_gpus for t in types]
    for (m, t), n in counts.items():
        spare[t] -= int(k[m]) * n
    found = Quota(instance, Counter(counts), [t.count for t in types], spare)
    for pattern, n in fixed.items():
        for _ in range(n):
            found.take(pattern)
    return found
