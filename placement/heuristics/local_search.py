"""The best heuristic of this package: simulated annealing on what each server holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil

import numpy as np

from placement.heuristics.annealing import anneal, score_of
from placement.heuristics.compiled_search import ready
from placement.heuristics.greedy import greedy
from placement.heuristics.search_arrays import Servers, flatten_demand, lay_out
from placement.heuristics.server_greedy import server_greedy
from placement.heuristics.tiling import repeat, repeated_greedy, shrink
from placement.heuristics.water_filling import water_fill
from placement.params.heuristic_params import LocalSearchParams
from placement.params.search_params import DEFAULTS, SearchParams
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.outcome import Infeasible
from placement.problem.solution import Placement
from placement.problem.space import cluster_rooms_gb
from placement.solver.budget import Budget

SCORE_ROUNDING = 1e-12
"""What floats may take off the score of a placement that keeps all."""

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
    params: SearchParams = DEFAULTS,
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
        Work limit; by default that of the parameters, less on small clusters.
    judge : callable, optional
        Chooses among the starts and what the runs found; a routing program sees more than the
        water-filling that guides them. On a large cluster it judges the fraction.
    more_starts : callable, optional
        Gives further placements to start from, such as those that keep a cap which the greedy
        ones do not. On a large cluster it is asked for those of the fraction.
    params : SearchParams
        Of its `local_search` and the greedy placement's `coverage`.

    Raises
    ------
    Infeasible
        As `greedy`.
    """
    instance = normalize(instance)
    starts = [greedy(instance, affinity=affinity, params=params) for affinity in (True, False)]
    if not instance.active_workflows:
        return starts[0]
    budget = budget or Budget()
    if not ready(budget):
        return starts[0]
    starts.append(repeated_greedy(instance, params, server_greedy))
    search = params.local_search
    if moves is None:
        moves = min(search.moves, search.moves_per_gpu * instance.cluster.n_gpus)
    small, placed = _fraction(instance, params)
    if placed is None:
        starts += more_starts(instance)
        found = _search(instance, starts, seed, budget, moves, judge, search)
        return max([*starts, *found], key=lambda p: judge(instance, p))
    first = [placed, server_greedy(small, params)]
    found = _search(small, [*first, *more_starts(small)], seed, budget, moves, judge, search)
    best = max(found, key=lambda p: judge(small, p))
    return max([*starts, repeat(instance, small, best)], key=lambda p: filled_worth(instance, p))


def _fraction(instance: Instance, params: SearchParams) -> tuple[Instance, Placement | None]:
    """The smallest fraction of a large cluster that holds every model, placed greedily."""
    factor = ceil(instance.cluster.n_servers / params.local_search.searched_servers)
    while factor > 1:
        small = shrink(instance, factor)
        try:
            return small, greedy(small, params=params)
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
    params: LocalSearchParams,
) -> list[Placement]:
    """What each run found, the starts in turn, the better one first and last."""
    order = sorted(starts, key=lambda p: -filled_worth(instance, p))
    tight = water_fill(instance, order[0]).unserved > SCORE_ROUNDING
    order += order[::-1]
    runs, hottest = params.runs, params.hot
    short = int(moves * params.runs_share / runs)
    found: list[tuple[float, Placement]] = []
    seen = [replace(instance, load_cap=instance.load_cap * slack) for slack in params.wider]
    for i in range(runs):
        start, hot = order[i % len(order)], hottest[i % len(hottest)]
        here = seen[i % len(seen)] if tight else instance
        found.append(_run(here, start, [seed, i], budget, short, hot, params))
        if not tight and _is_all(instance, found[-1][0]):
            return [placement for _, placement in found]
    if tight:
        # Scores under different caps cannot be compared.
        found = [(judge(instance, placement), placement) for _, placement in found]
    i, (_, best) = max(enumerate(found), key=lambda f: f[1][0])
    here = seen[i % len(seen)] if tight else instance
    rest = moves - runs * short
    if water_fill(instance, best).unserved > SCORE_ROUNDING:
        # A little that is not served costs less than it gains, and what lacks it is no plan.
        dear = replace(params, penalty=params.last_penalty)
        found.append(_run(instance, best, [seed, runs + 1], budget, rest, params.warm, dear))
    found.append(_run(here, best, [seed, runs], budget, rest, params.warm, params))
    return [placement for _, placement in found]


def _run(
    instance: Instance,
    start: Placement,
    seed: list[int],
    budget: Budget,
    moves: int,
    hot: float,
    params: LocalSearchParams,
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
    best_score = score_of(demand, current, used, params.penalty)
    rooms = cluster_rooms_gb(instance.cluster)
    work = len(demand.node_model) * len(current.gpus)
    chunk = min(params.chunk_moves, max(1, params.chunk_work // work))
    rounds = max(1, ceil(moves / chunk))
    ratio = (params.cold / hot) ** (1 / rounds)
    seeds = np.random.default_rng(seed).integers(2**32, size=rounds)
    for i in range(rounds):
        if _is_all(instance, best_score) or budget.expired:
            break
        best_score = anneal(
            demand, current, best, best_score, params.penalty, used, instance.memory_per_gpu_gb,
            rooms, instance.models_per_gpu, moves // rounds,
            hot * ratio**i, hot * ratio ** (i + 1), int(seeds[i]),
        )  # fmt: skip
    return best_score, _placement(best)


def _is_all(instance: Instance, score: float) -> bool:
    """Whether a score is the most that there can be: all requests and links kept."""
    return score >= 1.0 - instance.locality_constant - SCORE_ROUNDING


def _placement(servers: Servers) -> Placement:
    s, r = np.nonzero(np.arange(servers.model.shape[1]) < servers.size[:, None])
    return Placement.sorted(servers.model[s, r], s, servers.start[s, r])
