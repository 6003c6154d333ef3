"""The best heuristic of this package: simulated annealing on what each server holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil

import numpy as np

from placement.heuristics.annealing import anneal, score_of
from placement.heuristics.compiled_search import ready
from placement.heuristics.greedy import greedy
from placement.heuristics.tiling import repeat, shrink
from placement.heuristics.water_filling import (
    Servers,
    flatten_demand,
    lay_out,
    water_fill,
)
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.outcome import Infeasible
from placement.problem.solution import Placement
from placement.problem.space import cluster_rooms_gb
from placement.solver.budget import Budget

SEARCHED_SERVERS = 24
"""Larger clusters are searched as one of about this size, or of the next that holds every model,
and repeated (see `shrink`)."""

RUNS = 4
"""Annealing runs, each from a greedy placement; one more takes up the best of them."""

RUNS_SHARE = 0.75
"""Part of the moves that these runs have between them."""

HOT = (0.01, 0.1)
"""Loss of locality accepted with probability 1/e at first, of every other run: one server holds
little of the locality of a large cluster, and much of a small one's."""

WIDER = (1.1, 1.03)
"""Caps, over the real one, of the runs where the greedy placements cannot keep it: water-filling
leaves demand unserved close to the cap that the routing program serves, and placements a little
beyond it are easier to pass between (strategic oscillation; Glover and Laguna, Tabu Search, 1997).
"""

WARM, COLD = 0.002, 1e-5
"""The same of the run that takes up the best, and of all runs at last."""

MOVES, START_MOVES = 46_000, 40_000
"""Work limits: of the method, and where it makes one proposal among several."""

MOVES_PER_GPU = 2_800
"""Small clusters are searched out sooner."""

ROUNDING = 1e-12
"""What floats may take off the score of a placement that keeps all."""

CHUNK = 2_000
"""Most moves between two looks at the clock."""

CHUNK_WORK = 6_000_000
"""Most work between two looks: nodes times servers that the moves fill."""

Judge = Callable[[Instance, Placement], float]
"""What a placement is worth; more is better."""

MoreStarts = Callable[[Instance], Sequence[Placement]]
"""Placements of an instance to start from, beside the greedy ones."""


def no_more(_instance: Instance) -> Sequence[Placement]:
    """No start but the greedy ones."""
    return ()


def filled_worth(instance: Instance, placement: Placement) -> float:
    """Score by water-filling: what the search itself goes by."""
    return water_fill(instance, placement).score


def local_search(
    instance: Instance,
    *,
    seed: int = 0,
    budget: Budget | None = None,
    moves: int | None = None,
    judge: Judge = filled_worth,
    more_starts: MoreStarts = no_more,
) -> Placement:
    """Improve the greedy placements by annealing; never worse, as `judge` has it, than they are.

    Several short runs, from different starts and temperatures, find what one long run misses
    that is caught in the surroundings of its start (Dodd, Slow annealing versus multiple fast
    annealing runs, Parallel Computing 16, 1990).

    The number of moves, not the clock, ends the search unless `budget` expires first, so equal
    seeds give equal placements. A large cluster is searched at a fraction of its size, with its
    rates scaled alike, and the result repeated over the servers.

    Parameters
    ----------
    instance : Instance
    seed : int
    budget : Budget, optional
    moves : int, optional
        Work limit; by default `MOVES`, less on small clusters.
    judge : callable, optional
        Chooses among the starts and what the runs found; a routing program sees more than the
        water-filling that guides them. On a large cluster it judges the fraction.
    more_starts : callable, optional
        Gives further placements to start from, such as those that keep a cap which the greedy
        ones do not. On a large cluster it is asked for those of the fraction.

    Raises
    ------
    Infeasible
        As `greedy`.
    """
    instance = normalize(instance)
    starts = [greedy(instance, affinity=affinity) for affinity in (True, False)]
    if not instance.active_workflows:
        return starts[0]
    budget = budget or Budget()
    if not ready(budget):
        return starts[0]
    if moves is None:
        moves = min(MOVES, MOVES_PER_GPU * instance.cluster.n_gpus)
    small, placed = _fraction(instance)
    if placed is None:
        starts += more_starts(instance)
        found = _search(instance, starts, seed, budget, moves, judge)
        return max([*starts, *found], key=lambda p: judge(instance, p))
    found = _search(small, [placed, *more_starts(small)], seed, budget, moves, judge)
    best = max(found, key=lambda p: judge(small, p))
    return max([*starts, repeat(instance, small, best)], key=lambda p: filled_worth(instance, p))


def _fraction(instance: Instance) -> tuple[Instance, Placement | None]:
    """The smallest fraction of a large cluster that holds every model, placed greedily."""
    factor = ceil(instance.cluster.n_servers / SEARCHED_SERVERS)
    while factor > 1:
        small = shrink(instance, factor)
        try:
            return small, greedy(small)
        except Infeasible:
            factor //= 2
    return instance, None


def _search(
    instance: Instance,
    starts: list[Placement],
    seed: int,
    budget: Budget,
    moves: int,
    judge: Judge,
) -> list[Placement]:
    """What each run found, the starts in turn, the better one first and last."""
    order = sorted(starts, key=lambda p: -filled_worth(instance, p))
    tight = water_fill(instance, order[0]).unserved > ROUNDING
    order += order[::-1]
    short = int(moves * RUNS_SHARE / RUNS)
    found: list[tuple[float, Placement]] = []
    seen = [replace(instance, load_cap=instance.load_cap * slack) for slack in WIDER]
    for i in range(RUNS):
        start, hot = order[i % len(order)], HOT[i % len(HOT)]
        here = seen[i % len(seen)] if tight else instance
        found.append(_run(here, start, [seed, i], budget, short, hot))
        if not tight and _is_all(instance, found[-1][0]):
            return [placement for _, placement in found]
    if tight:
        # Scores under different caps cannot be compared.
        found = [(judge(instance, placement), placement) for _, placement in found]
    i, (_, best) = max(enumerate(found), key=lambda f: f[1][0])
    here = seen[i % len(seen)] if tight else instance
    found.append(_run(here, best, [seed, RUNS], budget, moves - RUNS * short, WARM))
    return [placement for _, placement in found]


def _run(
    instance: Instance,
    start: Placement,
    seed: list[int],
    budget: Budget,
    moves: int,
    hot: float,
) -> tuple[float, Placement]:
    """Score and placement of the best that one cooling finds."""
    demand = flatten_demand(instance)
    # Room for as many replicas as memory could ever allow on the largest server.
    used = np.array(instance.used_models, dtype=np.int64)
    limit = min(instance.models_per_gpu, len(used)) * instance.cluster.max_gpus_per_server
    current = lay_out(instance, start, limit)
    best = Servers(
        current.gpus, current.speed, current.size.copy(), current.model.copy(), current.start.copy()
    )
    best_score = score_of(demand, current, used)
    rooms = cluster_rooms_gb(instance.cluster)
    work = len(demand.node_model) * len(current.gpus)
    rounds = max(1, ceil(moves / min(CHUNK, max(1, CHUNK_WORK // work))))
    ratio = (COLD / hot) ** (1 / rounds)
    seeds = np.random.default_rng(seed).integers(2**32, size=rounds)
    for i in range(rounds):
        if _is_all(instance, best_score) or budget.expired:
            break
        best_score = anneal(
            demand, current, best, best_score, used, instance.memory_per_gpu_gb,
            rooms, instance.models_per_gpu, moves // rounds,
            hot * ratio**i, hot * ratio ** (i + 1), int(seeds[i]),
        )  # fmt: skip
    return best_score, _placement(best)


def _is_all(instance: Instance, score: float) -> bool:
    """Whether a score is the most that there can be: all requests and links kept."""
    return score >= 1.0 - instance.locality_constant - ROUNDING


def _placement(servers: Servers) -> Placement:
    s, r = np.nonzero(np.arange(servers.model.shape[1]) < servers.size[:, None])
    return Placement.sorted(servers.model[s, r], s, servers.start[s, r])
