"""The bound of a plan proven anew, from what its certificate stores."""

from __future__ import annotations

import math
from collections.abc import Sequence

from placement.instance import Instance
from placement.normalization import normalize
from placement.patterns import kept
from placement.patterns.branching import Node, leaf_bound, recompute_tree
from placement.patterns.content_pricing import PROVING_BATCHES, ContentPricing
from placement.patterns.contents import Contents, listed_contents
from placement.patterns.duals import Duals, as_json, zero_duals
from placement.patterns.enumeration import candidates, solve_over
from placement.patterns.generation import Pool, counted
from placement.patterns.kept import KeptRow
from placement.patterns.position_pricing import PositionPricing
from placement.patterns.pricing import Pricing, PricingProblem
from placement.patterns.rows import CountRow
from placement.solvers import SolverSettings

PROVING_CUTS = 200
"""Cuts on sharing that proving a bound anew seeks in each pricing problem."""


def pricings_for(
    instance: Instance,
    rows: Sequence[CountRow],
    *,
    positions: bool,
    contents: Sequence[Contents] = (),
) -> list[PricingProblem]:
    """Pricing problems over listed contents, over counts, or over positions of shared GPUs."""
    if contents:
        return [ContentPricing(listed, rows) for listed in contents]
    if positions and instance.models_per_gpu > 1:
        kinds = range(len(instance.cluster.server_types))
        return [PositionPricing(instance, t, rows) for t in kinds]
    return counted(instance, rows)


def stored(instance: Instance, pool: Pool, tree: Node | None) -> dict[str, object]:
    """What `check --bound` needs: the multipliers of the bound, or of each leaf of the tree."""
    if tree is not None:
        data = tree.as_json(instance)
    else:
        data = as_json(instance, pool.rows, pool.duals or zero_duals(instance, pool.rows))
    rows = [row for row in pool.rows if isinstance(row, KeptRow)]
    data["kept"] = [kept.as_json(instance, row) for row in rows]
    if pool.positions:
        data["pricing"] = "positions"
    return data


def recompute_bound(
    instance: Instance, duals: dict[str, object], settings: SolverSettings
) -> float:
    """Bound on the locality of any plan, from stored duals: one pricing problem per server type.

    Where the duals are those of a branching tree, so many for each of its leaves. Nothing is
    trusted: any multipliers give a valid bound, bad ones only a weak one.
    """
    normal = normalize(instance)
    positions = duals.get("pricing") == "positions"
    contents = listed_contents(normal)

    def bound_of(rows: tuple[CountRow, ...], at: Duals, worth: float | None) -> float:
        if worth is not None and contents and math.isfinite(worth):
            listed = candidates(normal, settings, None, rows, at, contents, worth)
            bound = None if listed is None else solve_over(normal, settings, None, rows, listed)[1]
            if bound is not None:
                return bound
        pricings = pricings_for(normal, rows, positions=positions)
        if contents:
            pricings = [ContentPricing(c, rows, batches=PROVING_BATCHES) for c in contents]
        for pricing in pricings:
            if isinstance(pricing, Pricing):
                # The cuts of a whole run prove the bound; here they are sought at one point.
                pricing.most_cuts = PROVING_CUTS
        return leaf_bound(normal, settings, rows, at, pricings)

    return recompute_tree(normal, duals, bound_of)
