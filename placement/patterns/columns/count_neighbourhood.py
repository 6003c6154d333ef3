"""Numbers of replicas of a few models chosen anew, all others as they are: a small program.

Which numbers the relaxation is worth most with is an integer program over the columns at hand: the
columns stay fractional, the numbers by model and server type are whole. Over all models it takes
long to find any solution close to the cap; for the models of a few workflows, from numbers that
serve all, it is solved in some seconds (large neighbourhood search; Shaw, Using constraint
programming and local search methods to solve vehicle routing problems, CP 1998).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pulp

from placement.patterns.columns.column_master import ColumnMaster
from placement.patterns.columns.content_pool import Column
from placement.problem.space import models_that_fit
from placement.solver.budget import Budget, tick
from placement.solver.milp import Pairs, SolverSettings, Stop, linear, solve_program

Counts = Counter[tuple[int, int]]
"""Replicas by model and server type."""


def best_columns(master: ColumnMaster, most: int) -> list[Column]:
    """Columns of least reduced cost at the last solve.

    Parameters
    ----------
    master : ColumnMaster
        Solved.
    most : int
        Columns wanted.
    """
    reduced = master.program.reduced
    order = np.argsort(-reduced, kind="stable").tolist()
    known = (c for i in order if (c := master.columns[i]) is not None)
    return [c for c, _ in zip(known, range(most), strict=False)]


def counts_anew(
    master: ColumnMaster,
    counts: Counts,
    free: Sequence[int],
    settings: SolverSettings,
    budget: Budget,
) -> Counts | None:
    """Numbers that the columns at hand are worth most with; None where none serve all.

    Parameters
    ----------
    master : ColumnMaster
        Solved with the numbers of all models required but of those that are free.
    counts : Counter
        Of all models, which serve all.
    free : sequence of int
        Models whose numbers are chosen.
    settings : SolverSettings
    budget : Budget
        When to stop.
    """
    instance, flows, params = master.instance, master.flows, settings.params.columns
    types = instance.cluster.server_types
    problem = pulp.LpProblem("counts_anew", pulp.LpMaximize)
    gain: Pairs = []
    served: list[Pairs] = [[] for _ in flows.node_model]
    taken: list[Pairs] = [[] for _ in types]
    standing: dict[tuple[int, int], Pairs] = defaultdict(list)
    for j, column in enumerate(best_columns(master, params.count_columns)):
        tick()
        x, kind = pulp.LpVariable(f"x_{j}", 0), column.pattern.kind
        gain.append((x, column.worth))
        taken[kind].append((x, 1.0))
        for v, rate in zip(column.node.tolist(), column.rate.tolist(), strict=True):
            served[v].append((x, rate))
        for m, n in column.pattern.counts().items():
            standing[m, kind].append((x, float(n)))
    for v, w in enumerate(flows.node_flow.tolist()):
        problem += linear(served[v]) == float(flows.rate[w])
    whole: dict[tuple[int, int], pulp.LpVariable] = {}
    for t, server in enumerate(types):
        problem += linear(taken[t]) <= server.count
        gpus: Pairs = []
        room = float(server.count * server.usable_gpus)
        for m in models_that_fit(instance, server):
            k = float(instance.gpus_required[m])
            if m in free:
                n = whole[m, t] = pulp.LpVariable(f"n_{m}_{t}", 0, cat=pulp.LpInteger)
                problem += linear([*standing[m, t], (n, -1.0)]) >= 0
                gpus.append((n, k))
            else:
                room -= k * counts[m, t]
                if counts[m, t]:
                    problem += linear(standing[m, t]) >= counts[m, t]
        problem += linear(gpus) <= room
    for m in free:
        mine = {t: n for (o, t), n in whole.items() if o == m}
        done = [(n, float(instance.speeds[t, m]) * instance.load_cap) for t, n in mine.items()]
        problem += linear(done) >= float(instance.model_work[m])
        problem += linear([(n, 1.0) for n in mine.values()]) >= 1
        for row in master.shared:
            if row.counted == m and row.at_least:
                weighed = [(n, row.weight_on(t)) for t, n in mine.items()]
                problem += linear(weighed) >= row.limit
    problem += linear(gain)
    stop = Stop(gap=params.count_gap, node_limit=params.count_nodes)
    outcome = solve_program(problem, settings, stop=stop, budget=budget)
    if not outcome.found:
        return None
    found = Counter({key: n for key, n in counts.items() if key[0] not in free})
    found.update({key: round(n.varValue or 0.0) for key, n in whole.items()})
    return found
