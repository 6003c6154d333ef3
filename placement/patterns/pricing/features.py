"""What rows of the master count on one server, as variables of a program over replica counts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import pulp

from placement.problem.cluster import FloatArray
from placement.solver.milp import linear


class Features:
    """Variables made of the counts n[m] of one server, each once.

    Parameters
    ----------
    count : mapping of model to variable
        Whole numbers with an upper bound.
    """

    def __init__(
        self, problem: pulp.LpProblem, kind: int, count: Mapping[int, pulp.LpVariable]
    ) -> None:
        self._problem = problem
        self.kind = kind
        self.count = count
        self._made: dict[Hashable, pulp.LpVariable] = {}

    def get(self, feature: Hashable) -> pulp.LpVariable | None:
        """The variable of a feature; None where the server cannot have any of it."""
        return self._made.get(feature)

    def add(self, feature: Hashable, variable: pulp.LpVariable) -> None:
        """Remember the variable of a feature."""
        self._made[feature] = variable

    def at_least(self, m: int, j: int) -> pulp.LpVariable:
        """Variable that is 1 where the server holds at least j replicas of m, else 0."""
        if ((m,), j) not in self._made:
            n = self.count[m]
            self._made[(m,), j] = y = pulp.LpVariable(f"y_{m}_{j}", 0, 1, pulp.LpInteger)
            self._problem += linear([(n, 1.0), (y, -float(j))]) >= 0
            self._problem += linear([(n, 1.0), (y, j - 1.0 - n.upBound)]) <= j - 1
        return self._made[(m,), j]

    def at_least_of_each(self, models: Sequence[int], j: int) -> pulp.LpVariable:
        """Variable that is 1 where the server holds at least j replicas of each model, else 0."""
        held = [self.at_least(m, j) for m in models]
        if len(held) == 1:
            return held[0]
        both = pulp.LpVariable("z_" + "_".join(map(str, (*models, j))), 0, 1)
        for y in held:
            self._problem += linear([(both, 1.0), (y, -1.0)]) <= 0
        self._problem += linear([(both, 1.0), *((y, -1.0) for y in held)]) >= 1 - len(held)
        return both

    def replicas_beside(self, m: int, others: Sequence[int]) -> pulp.LpVariable:
        """Variable that is at most the replicas of m, and 0 where one of the others is missing."""
        count = self.count[m]
        if not others:
            return count
        most = count.upBound
        name = "r_" + "_".join(map(str, (m, *others)))
        replicas = pulp.LpVariable(name, 0, most)
        self._problem += linear([(replicas, 1.0), (count, -1.0)]) <= 0
        for other in others:
            self._problem += linear([(replicas, 1.0), (self.count[other], -float(most))]) <= 0
        return replicas

    def most(self, m: int) -> int:
        """Replicas of m that the server can hold at most."""
        return int(self.count[m].upBound)

    def least_step(self, models: Sequence[int], steps: FloatArray) -> pulp.LpVariable:
        """Variable that is at most steps[i, replicas of model i] for every model.

        Parameters
        ----------
        steps : float64, shape (models, most replicas + 1)
            Not falling, from 0.
        """
        able = pulp.LpVariable(f"f_{len(self._made)}", 0)
        for m, step in zip(models, steps, strict=True):
            rises = [
                (self.at_least(m, j), float(step[j - 1] - step[j]))
                for j in range(1, self.most(m) + 1)
                if step[j] > step[j - 1]
            ]
            self._problem += linear([(able, 1.0), *rises]) <= 0
        return able
