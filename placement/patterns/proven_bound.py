"""A bound with all that proves it, as one value: none is read beside the multipliers of another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import compress

from placement.patterns.duals import Duals, as_json, zero_duals
from placement.patterns.master_rows import CountRow, Row
from placement.problem.instance import Instance
from placement.support.equality import ByContent


@dataclass(frozen=True, eq=False)
class ProvenBound(ByContent):
    """A bound on the locality of every plan that keeps the rows.

    Parameters
    ----------
    rows : tuple of Row
        Of the master, in the order of the multipliers.
    value : float
        The bound; no locality exceeds 1.
    duals : Duals or None
        Multipliers that prove it, or the bound before branching; None where it needs none.
    placed : bool
        The pricing problems that proved it decide the place of every replica.
    tree : Node or None
        The parts of all plans that prove it together.
    """

    rows: tuple[Row, ...] = ()
    value: float = 1.0
    duals: Duals | None = None
    placed: bool = False
    tree: Node | None = None

    def with_rows(self, more: tuple[Row, ...]) -> ProvenBound:
        """Add rows; with multipliers of 0 the bound stays what it is."""
        duals = self.duals
        if duals is not None:
            duals = Duals(duals.demand, (*duals.rows, *(0.0 for _ in more)))
        return replace(self, rows=(*self.rows, *more), duals=duals)

    def without_cuts(self) -> ProvenBound:
        """Leave out the rounding cuts; none may have had a part in the bound."""
        stays = [row.kept is None for row in self.rows]
        duals = self.duals
        if duals is not None:
            duals = Duals(duals.demand, tuple(compress(duals.rows, stays)))
        return replace(self, rows=tuple(compress(self.rows, stays)), duals=duals)

    def as_json(self, instance: Instance) -> dict[str, object]:
        """What `check --bound` needs: the multipliers of the bound, or of each leaf of the tree."""
        rows = self.rows if self.tree is None else self.tree.proven.rows
        placed = self.placed if self.tree is None else self.tree.proven.placed
        if self.tree is not None:
            data = self.tree.as_json(instance)
        else:
            data = as_json(instance, rows, self.duals or zero_duals(instance, rows))
        names = (row.named(instance) for row in rows)
        data["kept"] = [name for name in names if name is not None]
        if placed:
            data["pricing"] = "positions"
        return data


@dataclass
class Node:
    """A part of all plans, its rows and bound before it was split; `split` and its two parts.

    `enumerated` is the locality beyond which an integer program over all that a better plan can
    hold closed the part.
    """

    proven: ProvenBound
    enumerated: float | None = None
    split: tuple[CountRow, CountRow] | None = None
    parts: tuple[Node, Node] | None = None

    def as_json(self, instance: Instance) -> dict[str, object]:
        """Multipliers of each leaf, and the splits that lead there."""
        assert self.proven.duals is not None
        data = as_json(instance, self.proven.rows, self.proven.duals)
        if self.enumerated is not None:
            data["enumerated"] = self.enumerated
        if self.split is not None and self.parts is not None:
            below = self.split[0]
            data["split"] = {
                "models": [instance.model_ids[m] for m in below.models],
                "threshold": below.threshold,
                "most": below.most,
                "below": self.parts[0].as_json(instance),
                "above": self.parts[1].as_json(instance),
            }
        return data
