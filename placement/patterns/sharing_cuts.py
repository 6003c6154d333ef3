"""Cuts on which replicas can share the GPUs of one server, for counts priced in sum.

A GPU holds a set of different models whose memory fits, a configuration. For weights f >= 0 with
sum_{m in q} f[m] <= 1 over every configuration q, the GPUs of a server give

    sum_m f[m] * covered[m] <= G,    covered[m] >= n[m] + (k[m] - 1) [n[m] >= 1],

where covered[m] counts the GPUs that n[m] replicas of m touch: blocks of k GPUs that start at
different GPUs touch at least n + k - 1, and all n k where no GPU holds two of them. (Two replicas
of a model on the very same block serve no more than one.) These are the dual solutions of Gilmore
and Gomory's cutting-stock program (Operations Research 9, 1961), so the cuts say all that
fractional configurations can say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import pulp

from placement.problem.cluster import ServerType
from placement.problem.instance import Instance
from placement.problem.space import largest_room_gb, share_a_gpu
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings, linear, solve_program
from placement.support.equality import ByContent

VIOLATION = 1e-6


@dataclass(frozen=True, eq=False)
class SharingCut(ByContent):
    """sum of weight[m] * covered[m] <= gpus."""

    weight: Mapping[int, float]
    gpus: int


def stands_alone(instance: Instance, server: ServerType, m: int) -> bool:
    """Whether no GPU of a server type holds two replicas of a model.

    Parameters
    ----------
    m : int
        The model.
    """
    return not share_a_gpu(instance, [m, m], server)


def covered(instance: Instance, server: ServerType, counts: Mapping[int, int]) -> dict[int, int]:
    """GPUs that the replicas of each model touch at least.

    Parameters
    ----------
    instance : Instance
        Models and rules of space.
    server : ServerType
        Type of the server.
    counts : mapping of int to int
        Replicas on it by model.
    """
    gpus = instance.gpus_required
    return {
        m: n * int(gpus[m]) if stands_alone(instance, server, m) else n + int(gpus[m]) - 1
        for m, n in counts.items()
        if n > 0
    }


def separate(
    instance: Instance,
    server: ServerType,
    counts: Mapping[int, int],
    settings: SolverSettings,
    budget: Budget | None = None,
) -> SharingCut | None:
    """Find a cut that these counts break, lifted to all models; None where there is none.

    Parameters
    ----------
    instance : Instance
        Models and rules of space.
    server : ServerType
        Type of the server.
    counts : mapping of int to int
        Replicas on it by model.
    settings : SolverSettings
        For the program that weighs the models.
    budget : Budget, optional
        When to stop.
    """
    touched, most = covered(instance, server, counts), settings.params.pricing.cut_models
    memory = instance.memory_per_gpu_gb
    models = sorted(touched, key=lambda m: (-touched[m] * memory[m], m))[:most]
    feasible = _configurations(instance, server, models)
    problem = pulp.LpProblem("sharing", pulp.LpMaximize)
    weight = {m: pulp.LpVariable(f"f_{m}", 0, 1) for m in models}
    for q in _maximal(feasible):
        problem += linear([(weight[m], 1.0) for m in q]) <= 1
    problem += linear([(weight[m], float(touched[m])) for m in models])
    outcome = solve_program(problem, settings, budget=budget)
    if not outcome.found or (outcome.objective or 0.0) <= server.usable_gpus + VIOLATION:
        return None
    # Weights that are a hair too heavy would cut off real contents.
    found = {m: round(f.varValue or 0.0, 9) for m, f in weight.items()}
    heaviest = max(sum(found[m] for m in q) for q in feasible)
    found = {m: f / max(1.0, heaviest) for m, f in found.items() if f > VIOLATION}
    return SharingCut(_lift(instance, server, found, most), server.usable_gpus)


def _configurations(
    instance: Instance, server: ServerType, models: list[int]
) -> list[frozenset[int]]:
    """Every set of these models that fits on one GPU."""
    memory, limit = instance.memory_per_gpu_gb, largest_room_gb(server)
    found: list[tuple[frozenset[int], float]] = [(frozenset(), 0.0)]
    for m in models:
        need = float(memory[m])
        found += [
            (q | {m}, used + need)
            for q, used in found
            if used + need <= limit and len(q) < instance.models_per_gpu
        ]
    return [q for q, _ in found]


def _maximal(sets: list[frozenset[int]]) -> list[frozenset[int]]:
    known = set(sets)
    every = frozenset().union(*sets)
    return [q for q in sets if not any(q | {m} in known for m in every - q)]


def _lift(
    instance: Instance, server: ServerType, found: dict[int, float], most: int
) -> dict[int, float]:
    """Give the models outside the cut, the largest first, the most weight that they can have."""
    memory = instance.memory_per_gpu_gb
    weight = dict(found)
    outside = sorted(set(instance.used_models) - set(weight), key=lambda m: (-memory[m], m))
    for m in outside:
        if len(weight) >= most:
            break
        best = 0.0
        for q in _configurations(instance, server, list(weight)):
            if share_a_gpu(instance, [m, *q], server):
                best = max(best, sum(weight[o] for o in q))
        if 1.0 - best > VIOLATION:
            weight[m] = 1.0 - best
    return weight


def pairs_apart(instance: Instance, server: ServerType, models: list[int]) -> list[SharingCut]:
    """The cliques of models no two of which fit on one GPU: the cuts met most often.

    Parameters
    ----------
    instance : Instance
        Memory of a replica on each of its GPUs.
    server : ServerType
        Type of the server.
    models : list of int
        Those that fit on it.
    """
    memory, limit = instance.memory_per_gpu_gb, largest_room_gb(server)
    found: dict[frozenset[int], None] = {}
    for m in models:
        larger = {o for o in models if memory[o] + min(memory[m], limit / 2) > limit and o != m}
        clique = frozenset({m, *larger})
        if len(clique) > 1 and all(
            memory[a] + memory[b] > limit for a, b in combinations(clique, 2)
        ):
            found[clique] = None
    kept = [q for q in found if not any(q < other for other in found)]
    return [SharingCut(dict.fromkeys(sorted(q), 1.0), server.usable_gpus) for q in kept]
