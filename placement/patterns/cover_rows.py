"""Rows on the replicas of one model: facets of the whole numbers by type that do its work.

A replica on a server of speed v does at most cap * v of the work of its model, so the numbers N_t
on servers of each type keep sum_t v_t N_t >= work / cap. Where speeds differ, the convex hull of
the whole numbers that do is much smaller than that row, and than what rounding it leaves
(`least_replicas`): 1.57 of a replica's work at speed 1 are done by one replica at speed 1.8, by two
at 1, by one each at 1 and 0.6, by three at 0.6, and by no mean of less.

The hull is that of a covering knapsack, and closed upwards but for the room there is. For numbers
N*, the weights w >= 0 of least w N* with w N >= 1 for every cover N are a facet of it, which
separates N* where w N* < 1 (Boyd, Fenchel cutting planes for integer programs, Operations Research
42, 1994). Covers are generated: a linear program with a row a type, and a small search for the
cover of least weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from placement.patterns.master_rows import CountRow
from placement.problem.instance import Instance
from placement.problem.space import can_hold, most_replicas
from placement.programs.least_replicas import WORK_MARGIN
from placement.solver.budget import Budget
from placement.solver.warm_program import WarmProgram

SEPARATED = 1e-4
"""What a row is short of 1 where it counts as broken."""

UNUSED = 1e-4
"""Replicas counted of a type that holds none: of weights that do equally well, the least there."""

WEIGHT_DIGITS = 9
"""Of a weight: any weights make a row that holds."""


@dataclass(frozen=True)
class CoverRow(CountRow):
    """sum over types of weight * replicas of the model >= the least that any cover weighs."""

    def named(self, instance: Instance) -> dict[str, object]:
        """Name the row by its model and weights; what covers weigh follows from the instance."""
        return {"model": instance.model_ids[self.models[0]], "weight": list(self.weight)}


@dataclass(frozen=True)
class Covering:
    """Whole numbers n with sum speed n >= work, n <= most.

    Parameters
    ----------
    speed : tuple of float
        By server type; all positive.
    most : tuple of int
        By server type.
    work : float
        Positive.
    """

    speed: tuple[float, ...]
    most: tuple[int, ...]
    work: float

    def lightest(self, weight: Sequence[float]) -> tuple[float, tuple[int, ...]]:
        """Least sum of weight * n, and where it is attained; infinite where nothing covers.

        Branch and bound: types of least weight a speed first, as many of them as can be.

        Parameters
        ----------
        weight : sequence of float
            By server type, not negative.
        """
        # Of types that weigh nothing the fastest first: it is all that they differ in.
        ratio = [w / v for w, v in zip(weight, self.speed, strict=True)]
        order = sorted(range(len(ratio)), key=lambda t: (ratio[t], -self.speed[t]))
        able = [0.0] * (len(order) + 1)
        for i in reversed(range(len(order))):
            able[i] = able[i + 1] + self.speed[order[i]] * self.most[order[i]]
        best, found, numbers = math.inf, (0,) * len(order), [0] * len(order)

        def place(i: int, left: float, cost: float) -> None:
            nonlocal best, found
            if left <= 0:
                if cost < best:
                    best, found = cost, tuple(numbers)
                return
            if able[i] < left:
                return
            t = order[i]
            after = ratio[order[i + 1]] if i + 1 < len(order) else math.inf
            # One more than fit into what is left: the quotient is rounded.
            for n in range(min(self.most[t], math.floor(left / self.speed[t]) + 1), -1, -1):
                rest = left - n * self.speed[t]
                more = after * rest if rest > 0 else 0.0
                if cost + n * weight[t] + more < best:
                    numbers[t] = n
                    place(i + 1, rest, cost + n * weight[t])
                elif rest > 0:
                    break  # fewer of these leave more to types that weigh more
            numbers[t] = 0

        place(0, self.work, 0.0)
        return best, found

    def facet(self, numbers: Sequence[float], budget: Budget) -> tuple[float, ...] | None:
        """Weights that separate numbers from all covers; None where they are a mean of covers.

        Parameters
        ----------
        numbers : sequence of float
            By server type.
        budget : Budget
            When to stop.
        """
        kinds = range(len(self.speed))
        at = np.array([max(n, UNUSED) for n in numbers])
        program, weight = WarmProgram(np.full(len(kinds), -np.inf), at), np.zeros(len(kinds))
        while True:
            least, cover = self.lightest(weight.tolist())
            if not least < 1 - SEPARATED:
                break
            rows = np.flatnonzero(cover)
            program.add_columns(np.ones(1), [(rows, np.array(cover, dtype=np.float64)[rows])])
            if not program.solve(budget):
                return None
            weight = np.maximum(program.duals, 0.0)
        if not math.isfinite(least) or float(weight @ np.asarray(numbers)) > least - SEPARATED:
            return None
        return tuple(round(w, WEIGHT_DIGITS) for w in (weight / weight.max()).tolist())


def covering_of(instance: Instance, m: int) -> tuple[Covering, tuple[int, ...]] | None:
    """The numbers of replicas that do a model's work, and the types that they are of.

    None where the model fits nowhere.

    Parameters
    ----------
    instance : Instance
        Normalized.
    m : int
        A used model.
    """
    types = instance.cluster.server_types
    kinds = tuple(t for t, server in enumerate(types) if can_hold(instance, m, server))
    if not kinds:
        return None
    speed = tuple(float(instance.speeds[t, m]) for t in kinds)
    most = tuple(types[t].count * most_replicas(instance, m, types[t]) for t in kinds)
    work = float(instance.model_work[m])
    if work > 0:
        work = work / instance.load_cap * (1 - WORK_MARGIN)
    # One replica is needed, however little it has to do.
    return Covering(speed, most, max(work, min(speed) / 2)), kinds


def broken_covers(
    instance: Instance, numbers: Mapping[tuple[int, int], float], budget: Budget
) -> tuple[CoverRow, ...]:
    """A row for each model whose numbers of replicas are no mean of whole ones that do its work.

    Parameters
    ----------
    instance : Instance
        Normalized.
    numbers : mapping of (int, int) to float
        By model and server type, as a relaxation has them.
    budget : Budget
        When to stop.
    """
    rows = []
    for m in instance.used_models:
        found = covering_of(instance, m)
        if found is None:
            continue
        covering, kinds = found
        if len(set(covering.speed)) == 1:
            continue  # rounding says all
        facet = covering.facet([numbers.get((m, t), 0.0) for t in kinds], budget)
        if facet is None:
            continue
        weight = [0.0] * len(instance.cluster.server_types)
        for t, w in zip(kinds, facet, strict=True):
            weight[t] = w
        rows.append(CoverRow((m,), 0, tuple(weight), least=covering.lightest(facet)[0]))
    return tuple(rows)
