"""At most so many replicas that do not stand yet: a row of the compact program.

A *move* is a replica that a plan has where none of its model stands on this very block now; it has
to be loaded. Unloading costs nothing. With R the replicas that run and N the limit,

    sum of x[m,s,i] over (m,s,i) not in R <= N.

The row is the local-branching constraint of Fischetti and Lodi (Mathematical Programming 98, 2003),
of which only the side that costs is counted. It needs the program with positions.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from placement.problem.solution import Placement, Replica
from placement.programs.compact import CompactProgram
from placement.solver.milp import linear


@dataclass(frozen=True)
class MoveLimit:
    """What runs, and how many replicas may be loaded beside it.

    Parameters
    ----------
    running : frozenset of (model, server, first GPU)
    most : int
        Moves that are allowed.
    """

    running: frozenset[Replica]
    most: int

    def moves(self, placement: Placement) -> int:
        """Replicas of a placement that have to be loaded."""
        return sum(replica not in self.running for replica in placement.replicas())

    def allows(self, placement: Placement) -> bool:
        """Whether no more than may be are loaded."""
        return self.moves(placement) <= self.most


def limit_moves(
    program: CompactProgram, limit: MoveLimit, only: Set[Replica] | None = None
) -> None:
    """Add the row to a program with positions.

    Parameters
    ----------
    program : CompactProgram
    limit : MoveLimit
    only : set of (model, server, first GPU), optional
        Replicas stand nowhere but there: a small part of all placements, found fast.
    """
    loaded = []
    for (m, s), entries in program.replicas.items():
        for x, _, start in entries:
            if only is not None and (m, s, start) not in only and not x.lowBound:
                x.upBound = 0
            elif (m, s, start) not in limit.running:
                loaded.append((x, 1.0))
    if loaded:
        program.problem += linear(loaded) <= float(limit.most), "moves"
