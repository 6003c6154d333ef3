"""Placements one move away from another: a replica added, dropped, replaced, moved or swapped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from placement.heuristics.free_space import Room
from placement.params.revision_params import RefineParams
from placement.params.search_params import DEFAULTS
from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.problem.solution import Placement, Replica, Solution
from placement.problem.violations import rule_violations

Rows = list[Replica]


def random_neighbour(
    instance: Instance,
    solution: Solution,
    pressure: FloatArray,
    rng: np.random.Generator,
    params: RefineParams = DEFAULTS.refine,
) -> Placement | None:
    """Draw one move; None where it breaks a rule, or leaves a used model without replica.

    Parameters
    ----------
    pressure : float64, shape (M,)
        How much each model needs relief; models are drawn for new replicas in proportion to it.
    rng : numpy.random.Generator
        Source of chance.
    """
    move = MOVES[int(rng.integers(len(MOVES)))]
    rows = move(instance, solution, pressure, rng, params)
    if rows is None:
        return None
    if set(instance.used_models) - {m for m, _, _ in rows}:
        return None
    placement = Placement.of(rows)
    return None if rule_violations(instance, placement) else placement


def _add(
    instance: Instance,
    solution: Solution,
    pressure: FloatArray,
    rng: np.random.Generator,
    params: RefineParams,
) -> Rows | None:
    rows = _rows(solution.placement)
    m = _hot(instance, pressure, rng, params.idle_pressure)
    return _with(instance, solution, rows, m, rng, params.least_loaded)


def _drop(
    instance: Instance,
    solution: Solution,
    pressure: FloatArray,
    rng: np.random.Generator,
    params: RefineParams,
) -> Rows | None:
    rows = _rows(solution.placement)
    rows.pop(_spare(rows, rng))
    return rows


def _replace(
    instance: Instance,
    solution: Solution,
    pressure: FloatArray,
    rng: np.random.Generator,
    params: RefineParams,
) -> Rows | None:
    """Drop a replica of some model for one of a model in need, on the same server."""
    rows = _rows(solution.placement)
    gone = rows.pop(_spare(rows, rng))
    m = _hot(instance, pressure, rng, params.idle_pressure)
    if m == gone[0]:
        return None
    return _with(instance, solution, rows, m, rng, params.least_loaded, server=gone[1])


def _move(
    instance: Instance,
    solution: Solution,
    pressure: FloatArray,
    rng: np.random.Generator,
    params: RefineParams,
) -> Rows | None:
    """Move a replica to another block, often on another server."""
    rows = _rows(solution.placement)
    gone = rows.pop(int(rng.integers(len(rows))))
    moved = _with(instance, solution, rows, gone[0], rng, params.least_loaded)
    return None if moved is None or moved[-1] == gone else moved


def _swap(
    instance: Instance,
    solution: Solution,
    pressure: FloatArray,
    rng: np.random.Generator,
    params: RefineParams,
) -> Rows | None:
    """Exchange two replicas of equal length between servers."""
    rows = _rows(solution.placement)
    a, b = (int(i) for i in rng.integers(len(rows), size=2))
    (m, s, i), (n, t, j) = rows[a], rows[b]
    if s == t or m == n or instance.gpus_required[m] != instance.gpus_required[n]:
        return None
    room = _room(instance, solution, [r for x, r in enumerate(rows) if x not in (a, b)])
    if not (room.fits(n)[s, i] and room.fits(m)[t, j]):
        return None
    rows[a], rows[b] = (n, s, i), (m, t, j)
    return rows


def _repeat(
    instance: Instance,
    solution: Solution,
    pressure: FloatArray,
    rng: np.random.Generator,
    params: RefineParams,
) -> Rows | None:
    """Give a server the content of another of its type."""
    kind = instance.cluster.server_type
    s, t = (int(i) for i in rng.integers(instance.cluster.n_servers, size=2))
    if s == t or kind[s] != kind[t]:
        return None
    rows = _rows(solution.placement)
    return [r for r in rows if r[1] != s] + [(m, s, i) for m, at, i in rows if at == t]


Move = Callable[[Instance, Solution, FloatArray, np.random.Generator, RefineParams], Rows | None]
MOVES: tuple[Move, ...] = (_add, _add, _replace, _replace, _move, _swap, _drop, _repeat)
"""Additions and replacements, which follow the pressure, are drawn twice as often."""


def _rows(placement: Placement) -> Rows:
    # Two replicas of a model on one block are worth no more than one.
    return list(dict.fromkeys(placement.replicas()))


def _hot(instance: Instance, pressure: FloatArray, rng: np.random.Generator, idle: float) -> int:
    used = np.array(instance.used_models)
    weight = np.maximum(pressure[used], 0.0)
    weight = weight + idle * max(float(weight.mean()), 1e-12)
    return int(rng.choice(used, p=weight / weight.sum()))


def _spare(rows: Rows, rng: np.random.Generator) -> int:
    """A replica whose model has others; any where none has."""
    models = [m for m, _, _ in rows]
    spare = [r for r, m in enumerate(models) if models.count(m) > 1]
    return int(rng.choice(spare or range(len(rows))))


def _with(
    instance: Instance,
    solution: Solution,
    rows: Rows,
    m: int,
    rng: np.random.Generator,
    least_loaded: int,
    server: int | None = None,
) -> Rows | None:
    """Add a replica of m on one of the least loaded blocks with room, anywhere or on a server."""
    room = _room(instance, solution, rows)
    fits = room.fits(m)
    if server is not None:
        fits[np.arange(len(fits)) != server] = False
    choices = np.argwhere(fits)
    if not len(choices):
        return None
    share = float(instance.model_work[m]) / (1 + sum(o == m for o, _, _ in rows))
    load = room.load_with(m, share)[fits]
    near = choices[np.lexsort((rng.random(len(load)), load))[:least_loaded]]
    s, i = near[int(rng.integers(len(near)))]
    return [*rows, (m, int(s), int(i))]


def _room(instance: Instance, solution: Solution, rows: Rows) -> Room:
    room = Room(instance)
    load = dict(zip(solution.placement.replicas(), solution.load.tolist(), strict=True))
    for m, s, i in rows:
        if (m, s, i) not in room:
            room.put(m, s, i, load[m, s, i])
    return room
