"""Whether a cluster can hold one replica of every used model, and what to do where it cannot."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace

import pulp

from placement.heuristics.coverage import cover_anew
from placement.params.heuristic_params import CoverageParams
from placement.problem.blocks import gpu_rooms_gb
from placement.problem.cluster import LAST_SERVER, ServerType
from placement.problem.instance import Instance
from placement.problem.outcome import Infeasible
from placement.problem.space import (
    can_hold,
    keep_what_fits,
    models_that_fit,
    pins,
    starts,
    total_room_gb,
)
from placement.programs.keeping import ensure_rules
from placement.programs.space_rows import memory_row, sharing_row
from placement.solver.budget import Budget
from placement.solver.milp import Pairs, SolverSettings, Stop, linear, solve_program
from placement.support.described import counted

LEAST_VALUE = 1e-6
"""Share of all requests that a workflow counts for at least where some have to go."""


@dataclass(frozen=True)
class Coverage:
    """The instance that fits, and what had to go.

    Parameters
    ----------
    instance : Instance
        Workflows that call a dropped model have rate 0.
    dropped_models, dropped_workflows : tuple of int
    """

    instance: Instance
    dropped_models: tuple[int, ...] = ()
    dropped_workflows: tuple[int, ...] = ()


def ensure_coverage(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget | None = None,
    *,
    allow_partial: bool = False,
) -> Coverage:
    """Check that every used model can have a replica at once.

    First-fit decreasing settles nearly every case; an integer program decides the rest.

    Parameters
    ----------
    budget : Budget, optional
        A part of it is for the program that decides, a part of the rest for that of the advice.
    allow_partial : bool
        Instead of failing, keep the workflows with the most requests that fit together.

    Raises
    ------
    Infeasible
        Names the models that do not fit, what they lack, and the smallest cluster that would do;
        or the rules that cannot hold together.
    """
    homeless = [m for m in instance.used_models if not _types_for(instance, m)]
    if not homeless:
        try:
            cover_anew(_no_more_than_needed(instance), settings.params.coverage)
        except Infeasible:
            pass
        else:
            ensure_rules(instance, settings, budget)
            return Coverage(instance)
    budget = budget or Budget()
    kept = _most_requests(instance, settings, budget.part(settings.params.coverage.decide_share))
    lost = tuple(w for w in instance.active_workflows if w not in kept)
    if not lost:
        ensure_rules(instance, settings, budget)
        return Coverage(instance)
    workflows = tuple(
        replace(flow, rate=0.0) if w in lost else flow for w, flow in enumerate(instance.workflows)
    )
    partial = replace(instance, workflows=workflows)
    dropped = tuple(m for m in instance.used_models if m not in partial.used_models)
    if not allow_partial or not kept:
        part = budget.part(settings.params.coverage.advice_share)
        raise Infeasible(_explain(instance, homeless, dropped, settings, part))
    ensure_rules(partial, settings, budget)
    return Coverage(partial, dropped, lost)


def _no_more_than_needed(instance: Instance) -> Instance:
    """The instance with no more servers of a type than models: one replica each asks no more."""
    types = tuple(
        replace(kind, count=min(kind.count, len(instance.used_models)))
        for kind in instance.cluster.server_types
    )
    return replace(instance, cluster=replace(instance.cluster, server_types=types))


def _types_for(instance: Instance, m: int) -> list[int]:
    return [
        t for t, kind in enumerate(instance.cluster.server_types) if can_hold(instance, m, kind)
    ]


class _Packing:
    """At most one replica of each used model, or those pinned, on servers of given types.

    No rates, no loads.
    """

    def __init__(self, instance: Instance, server_types: list[int], sense: int) -> None:
        self.instance = instance
        self.problem = pulp.LpProblem("packing", sense)
        self.on_server: list[list[pulp.LpVariable]] = []
        self.placed: dict[int, list[pulp.LpVariable]] = defaultdict(list)
        self.pinned: Counter[int] = Counter()
        self._blocks: list[tuple[ServerType, list[tuple[pulp.LpVariable, int, int]]]] = []
        for s, t in enumerate(server_types):
            self._server(instance, s, t)

    def _server(self, instance: Instance, s: int, t: int) -> None:
        kind = instance.cluster.server_types[t]
        models, pinned = models_that_fit(instance, kind), pins(instance, kind)
        here: list[pulp.LpVariable] = []
        blocks: list[tuple[pulp.LpVariable, int, int]] = []
        memory: list[Pairs] = [[] for _ in range(kind.gpus)]
        for m in models:
            k = int(instance.gpus_required[m])
            # Exclusive blocks can be laid end to end: their order needs no variables.
            for i in [0] if instance.counts_suffice else starts(instance, m, kind):
                stands = int((m, i) in pinned)
                self.pinned[m] += stands
                x = pulp.LpVariable(f"x_{m}_{s}_{i}", stands, 1, pulp.LpInteger)
                here.append(x)
                self.placed[m].append(x)
                blocks.append((x, m, i))
                for g in range(i, i + k):
                    memory[g].append((x, float(instance.memory_per_gpu_gb[m])))
        at = {(m, i): x for x, m, i in blocks}
        for m, b in instance.company.bases:
            for x, i in ((x, i) for x, o, i in blocks if o == m):
                under = [(at[b, i], -1.0)] if (b, i) in at else []
                self.problem += linear([(x, 1.0), *under]) <= 0
        self.on_server.append(here)
        self._blocks.append((kind, blocks))
        if instance.counts_suffice:
            sizes = [
                (x, float(instance.gpus_required[m])) for x, m in zip(here, models, strict=True)
            ]
            self.problem += linear(sizes) <= kind.gpus
            return
        for held, room in zip(memory, gpu_rooms_gb(kind).tolist(), strict=True):
            self.problem += memory_row(held, room)
            self.problem += sharing_row(held, instance.models_per_gpu)

    def held(self) -> set[int]:
        """Models with a replica, but for what a solver's tolerance let through."""
        found: set[int] = set()
        for kind, blocks in self._blocks:
            content = [(m, i) for x, m, i in blocks if round(x.varValue or 0.0)]
            if not self.instance.counts_suffice:
                content = keep_what_fits(self.instance, kind, content)
            found |= {m for m, _ in content}
        return found


def _most_requests(instance: Instance, settings: SolverSettings, budget: Budget) -> set[int]:
    """Workflows that fit together with the most requests per second."""
    # No more servers of a type than models are ever needed.
    types = [
        t
        for t, kind in enumerate(instance.cluster.server_types)
        for _ in range(min(kind.count, len(instance.used_models)))
    ]
    packing = _Packing(instance, types, pulp.LpMaximize)
    bases = {b for _, b in instance.company.bases}
    for m, x in packing.placed.items():
        if m not in bases:
            most = max(1, packing.pinned[m])
            packing.problem += linear([(v, 1.0) for v in x]) <= most, f"once_{m}"
    value = []
    served = {}
    for w in instance.active_workflows:
        served[w] = z = pulp.LpVariable(f"z_{w}", 0, 1, pulp.LpInteger)
        # The rarest counts enough for a solver to see it.
        value.append((z, max(LEAST_VALUE, instance.workflows[w].rate / instance.total_rate)))
        for m in {int(m) for m in instance.workflows[w].node_model}:
            held = [(x, -1.0) for x in packing.placed[m]]
            packing.problem += linear([(z, 1.0), *held]) <= 0
    packing.problem += linear(value)
    nodes = settings.params.coverage.packing_nodes
    outcome = solve_program(packing.problem, settings, stop=Stop(node_limit=nodes), budget=budget)
    placed = packing.held() if outcome.found else set()
    found = {
        w
        for w, z in served.items()
        if placed.issuperset(instance.workflows[w].node_model.tolist()) and round(z.varValue or 0.0)
    }
    return (
        found
        if outcome.status == "optimal"
        else max(found, _most_used(instance, settings.params.coverage), key=len)
    )


def _most_used(instance: Instance, params: CoverageParams) -> set[int]:
    """Workflows that first-fit decreasing places together, taken by their requests."""
    kept: set[int] = set()
    for w in sorted(instance.active_workflows, key=lambda w: -instance.workflows[w].rate):
        flows = tuple(
            replace(flow, rate=flow.rate if v in kept or v == w else 0.0)
            for v, flow in enumerate(instance.workflows)
        )
        part = replace(instance, workflows=flows)
        if all(_types_for(part, m) for m in part.used_models):
            try:
                cover_anew(_no_more_than_needed(part), params)
            except Infeasible:
                continue
            kept.add(w)
    return kept


def _servers_needed(
    instance: Instance, t: int, others: list[int], settings: SolverSettings, budget: Budget
) -> tuple[int, bool] | None:
    """Fewest servers of type t beside the `others` that hold every used model, and if proven."""
    fixed = [
        other
        for other in others
        for _ in range(min(instance.cluster.server_types[other].count, len(instance.used_models)))
    ]
    types = [t] * len(instance.used_models) + fixed
    packing = _Packing(instance, types, pulp.LpMinimize)
    bases = {b for _, b in instance.company.bases}
    for m in instance.used_models:
        once = max(1, packing.pinned[m])
        there = linear([(x, 1.0) for x in packing.placed[m]])
        packing.problem += there >= once if m in bases else there == once, f"cover_{m}"
    opened = []
    for s in range(len(instance.used_models)):
        y = pulp.LpVariable(f"y_{s}", 0, 1, pulp.LpInteger)
        opened.append(y)
        for x in packing.on_server[s]:
            packing.problem += linear([(x, 1.0), (y, -1.0)]) <= 0
        if s:
            packing.problem += linear([(opened[s - 1], 1.0), (y, -1.0)]) >= 0
    packing.problem += linear([(y, 1.0) for y in opened])
    nodes = settings.params.coverage.packing_nodes
    outcome = solve_program(packing.problem, settings, stop=Stop(node_limit=nodes), budget=budget)
    if not outcome.found:
        return None
    return sum(round(y.varValue or 0.0) for y in opened), outcome.status == "optimal"


def _explain(
    instance: Instance,
    homeless: list[int],
    dropped: tuple[int, ...],
    settings: SolverSettings,
    budget: Budget,
) -> str:
    cluster = instance.cluster
    ids, k, memory = instance.model_ids, instance.gpus_required, instance.memory_per_gpu_gb
    if homeless:
        parts = [
            f"model {ids[m]} needs {counted(k[m], 'GPU')} of one server with "
            f"{memory[m]:g} GB on each"
            for m in homeless
        ]
        gpus = max(int(k[m]) for m in homeless)
        gb = max(float(memory[m]) for m in homeless)
        largest = max(cluster.server_types, key=lambda t: (t.gpus, t.gpu_memory_gb))
        return (
            f"no server can hold {_names(instance, homeless)}: {'; '.join(parts)}; the largest "
            f"server has {counted(largest.gpus, 'GPU')} of {largest.gpu_memory_gb:g} GB; use "
            f"servers with at least {counted(gpus, 'GPU')} of at least {gb:g} GB, or remove the "
            "workflows that call them (--allow-partial drops them)"
        )
    need = sum(int(k[m]) for m in instance.used_models)
    gb = sum(float(memory[m] * k[m]) for m in instance.used_models)
    has_gb = sum(t.count * total_room_gb(t) for t in cluster.server_types)
    short = []
    usable = int(cluster.usable_gpus.sum())
    if instance.exclusive and need > usable:
        short.append(f"{counted(need - usable, 'GPU')} missing ({need} of {usable})")
    if gb > has_gb:
        short.append(f"{gb - has_gb:g} GB of GPU memory are missing ({gb:g} of {has_gb:g})")
    if not short:
        short.append("GPUs and memory would do on one server, but the blocks do not fit these")
    t = max(range(len(cluster.server_types)), key=lambda i: cluster.server_types[i].gpus)
    advice = _advice(instance, t, settings, budget)
    return (
        f"the used models do not fit on {counted(usable, 'GPU')} together: no room for "
        f"{_names(instance, list(dropped))}; {', '.join(short)}; {advice}, "
        f"{'share GPUs (leave out --exclusive), ' if instance.exclusive else ''}"
        "or drop the least used workflows with --allow-partial"
    )


def _advice(instance: Instance, t: int, settings: SolverSettings, budget: Budget) -> str:
    types = instance.cluster.server_types
    # A smaller last server is a remainder of --gpus, and goes when the number of GPUs changes.
    others = [i for i, o in enumerate(types) if i != t and o.name != LAST_SERVER]
    needed = _servers_needed(instance, t, others, settings, budget)
    kind = types[t]
    if needed is None:
        return (
            f"use servers with more than {counted(kind.gpus, 'GPU')} or {kind.gpu_memory_gb:g} GB"
        )
    servers, proven = needed
    smallest = "the smallest cluster that would do" if proven else "a cluster that would do"
    if not others:
        return (
            f"{smallest} has {counted(servers * kind.gpus, 'GPU')} "
            f"({counted(servers, 'server')} of {kind.gpus} x {kind.gpu_memory_gb:g} GB)"
        )
    return (
        f"{smallest} has {counted(servers, 'server')} of type {kind.name} "
        f"({kind.gpus} x {kind.gpu_memory_gb:g} GB) in place of {kind.count}"
    )


def _names(instance: Instance, models: list[int]) -> str:
    return ", ".join(instance.model_ids[m] for m in models)
