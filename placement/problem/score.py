"""What a simulator says of a solution, for searches that are given it as a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from placement.problem.cluster import FloatArray
from placement.problem.solution import Solution
from placement.support.equality import ByContent


@dataclass(frozen=True, eq=False)
class SolutionScore(ByContent):
    """How good a solution is, and where it hurts.

    Parameters
    ----------
    value : float
        The less the better; infinite for what must not be kept.
    pressure : float64, shape (M,)
        How much each model needs relief, such as the time that its executions waited.
    """

    value: float
    pressure: FloatArray


ScoreFunction = Callable[[Solution], SolutionScore]
