"""Every placement of a problem tried, each with a linear program of its own: for the tiniest."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from scipy.optimize import linprog

from tests.hunt.problem import ROOM, Problem
from tests.hunt.program import Replica

Block = tuple[str, int]
"""Model, first GPU within the server."""


def placements(problem: Problem) -> Iterator[tuple[Replica, ...]]:
    """Every placement that holds all models; of `contents`."""
    for held in product(*(contents(problem, s) for s in range(len(problem.servers)))):
        if {m for content in held for m, _ in content} == set(problem.models):
            yield tuple((m, s, i) for s, content in enumerate(held) for m, i in content)


def contents(problem: Problem, s: int) -> list[tuple[Block, ...]]:
    """Every content of a server to which no replica can be added; all, where sharing loses.

    Then every replica counts as loaded, and an idle one is better left out.
    """
    server = problem.servers[s]
    blocks = [(name, i) for name, model in problem.models.items() for i in problem.starts(name, s)]

    def fits(content: tuple[Block, ...]) -> bool:
        for g in range(server.gpus):
            here = [problem.models[m] for m, i in content if i <= g < i + problem.models[m].gpus]
            if len(here) > problem.most:
                return False
            if sum(m.memory for m in here) > server.room(g) * (1 + ROOM):
                return False
        return True

    found: list[tuple[Block, ...]] = [()]
    for block in blocks:
        found += [(*c, block) for c in found if fits((*c, block))]
    if problem.loses:
        return found
    return [c for c in found if not any(b not in c and fits((*c, b)) for b in blocks)]


def routed(problem: Problem, placement: tuple[Replica, ...], cap: float | None) -> float:
    """The most locality over a placement under a cap; without one, the least bottleneck load.

    Rates of a node on a server as shares of its workflow, and seconds of each replica as shares of
    its model's work: written in matrices of its own, and solved by another build of HiGHS.
    """
    index: dict[object, int] = {}
    for w, flow in enumerate(problem.workflows):
        for s in range(len(problem.servers)):
            index |= {("a", w, n, s): len(index) + n for n in range(len(flow.nodes))}
            index["c", w, s] = len(index)
            index |= {("l", w, e, s): len(index) + e for e in range(len(flow.links))}
    index |= {("h", r): len(index) + i for i, r in enumerate(placement)}
    index["U"] = len(index)
    cost, limits = np.zeros(len(index)), [(0.0, 1.0)] * len(index)
    less: list[tuple[dict[object, float], float]] = []
    equal: list[tuple[dict[object, float], float]] = []
    held = {(m, s) for m, s, _ in placement}
    for w, (flow, (whole, link)) in enumerate(zip(problem.workflows, problem.weights, strict=True)):
        for n, (m, _) in enumerate(flow.nodes):
            equal.append(({("a", w, n, s): 1.0 for s in range(len(problem.servers))}, 1.0))
            for s in range(len(problem.servers)):
                if (m, s) not in held:
                    limits[index["a", w, n, s]] = (0.0, 0.0)
                less.append(({("c", w, s): 1.0, ("a", w, n, s): -1.0}, 0.0))
        for s in range(len(problem.servers)):
            cost[index["c", w, s]] = -whole
            for e, ends in enumerate(flow.links):
                cost[index["l", w, e, s]] = -link
                less += [({("l", w, e, s): 1.0, ("a", w, n, s): -1.0}, 0.0) for n in ends]
    for m, s in held:
        if problem.work[m] > 0:
            done = {("h", r): 1.0 for r in placement if r[:2] == (m, s)}
            asked = {
                ("a", w, n, s): -flow.rate * seconds / problem.work[m]
                for w, flow in enumerate(problem.workflows)
                for n, (model, seconds) in enumerate(flow.nodes)
                if model == m
            }
            equal.append(({**done, **asked}, 0.0))
    unit = problem.floor if cap is None else cap
    for s, server in enumerate(problem.servers):
        for g in range(server.gpus):
            here = [
                (m, t, i) for m, t, i in placement if t == s and 0 <= g - i < problem.models[m].gpus
            ]
            load = {
                ("h", (m, t, i)): problem.work[m] / problem.speed(m, s, i) / (unit or 1.0)
                for m, t, i in here
            }
            kept = problem.capacity([m for m, _, i in here if problem.counts(m, s, i)])
            less.append(({**load, "U": -kept}, 0.0))
    if cap is None:
        cost[:] = 0.0
        cost[index["U"]] = 1.0
        limits[index["U"]] = (0.0, None)

    def dense(rows: list[tuple[dict[object, float], float]]) -> tuple[np.ndarray, np.ndarray]:
        matrix = np.zeros((len(rows), len(index)))
        for i, (row, _) in enumerate(rows):
            matrix[i, [index[key] for key in row]] = list(row.values())
        return matrix, np.array([right for _, right in rows])

    a_ub, b_ub = dense(less)
    a_eq, b_eq = dense(equal)
    for tolerance, presolve in ((1e-9, True), (1e-9, False), (1e-7, False)):
        options = {
            "primal_feasibility_tolerance": tolerance,
            "dual_feasibility_tolerance": tolerance,
            "presolve": presolve,
        }
        found = linprog(cost, a_ub, b_ub, a_eq, b_eq, limits, method="highs", options=options)
        if found.success:
            break
    if not found.success:
        return np.inf if cap is None else -np.inf
    return float(found.fun) * problem.floor if cap is None else problem.constant - float(found.fun)


def best_locality(problem: Problem, cap: float) -> float:
    """The most locality of any placement under the cap, -inf where none keeps it."""
    return max((routed(problem, p, cap) for p in placements(problem)), default=-np.inf)


def least_load(problem: Problem) -> float:
    """The least load of the busiest GPU of any placement, inf where the models do not fit."""
    return min((routed(problem, p, None) for p in placements(problem)), default=np.inf)
