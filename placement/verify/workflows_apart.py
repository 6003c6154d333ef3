"""What one server can be worth at most if every workflow had it for itself: without a solver.

A server serves the nodes v of a workflow at rates a[v] <= lambda. At every t the nodes with
a[v] >= t are a set whose models fit on the server together, and what is kept less what the rates
cost is the integral over t of what these sets are worth (Lovasz 1983). So a workflow is worth
lambda times its best set that fits, at most, and a server the sum of that over the workflows.
"""

from __future__ import annotations

import numpy as np

from placement.problem.blocks import gpu_rooms_gb
from placement.problem.cluster import FloatArray, IntArray
from placement.verify.scaled_problem import Flow, Scaled
from placement.verify.valid_rows import Prices

LISTED_NODES = 12
"""Nodes of a workflow whose sets are looked at: they double with each."""

MOST_LAID_DOWN = 20_000
"""Blocks laid down in search of a place for all; where that is not enough, they may fit."""

SUMS_OFF = 1e-9
"""Part of a GPU's memory by which sums of floats may be off."""


class WorkflowsApart:
    """Bounds on the worth of a server by workflows apart, with what is known of what fits."""

    def __init__(self, scaled: Scaled) -> None:
        self.scaled = scaled
        self._known: dict[tuple[int, frozenset[int]], bool] = {}

    def worth(self, t: int, prices: Prices) -> float:
        """Bound on what a server of a type is worth; infinite where this says nothing.

        Replicas that are priced themselves are none of a workflow's, and sets of very many nodes
        are not listed.

        Parameters
        ----------
        t : int
            Server type.
        prices : Prices
            Worth of a unit of rate, by node and by part kept, and of replicas by the priced rows.
        """
        flows = self.scaled.flows
        if prices.rows or any(len(f.models) > LISTED_NODES for f in flows):
            return float("inf")
        return sum(f.rate * self._best(t, f, prices) for f in flows)

    def _best(self, t: int, flow: Flow, prices: Prices) -> float:
        nodes = len(flow.models)
        sets = np.arange(1 << nodes)
        gain = np.zeros(1 << nodes)
        for v in range(nodes):
            gain[(sets >> v) & 1 == 1] -= prices.node[flow.w, v]
        for part, (_, together) in flow.parts.items():
            mask = sum(1 << v for v in together)
            gain[sets & mask == mask] += prices.kept[part]
        for s in np.argsort(-gain, kind="stable").tolist():
            if gain[s] <= 0:
                break
            if self.fits(t, {m for v, m in enumerate(flow.models) if (s >> v) & 1}):
                return float(gain[s])
        return 0.0

    def fits(self, t: int, models: set[int]) -> bool:
        """Whether a server may hold a replica of each of these; False only where it cannot."""
        key = t, frozenset(models)
        if key not in self._known:
            self._known[key] = self._lay_down(t, models)
        return self._known[key]

    def _lay_down(self, t: int, models: set[int]) -> bool:
        scaled = self.scaled
        gpus, memory = scaled.gpus, scaled.memory
        room = gpu_rooms_gb(scaled.types[t]) * (1 + SUMS_OFF)
        places = np.full(len(room), scaled.most_on_gpu or len(models))
        # Large blocks come first, then what takes most: what does not fit is seen sooner. To blocks
        # of one GPU, those with as much left that are open to the same of the others are alike.
        order = sorted(models, key=lambda m: (-gpus[m], -memory[m], m))
        starts = {m: scaled.starts(t, m) for m in order}
        open_to = [tuple(g in starts[m] for m in order) for g in range(len(room))]
        if sum(gpus[m] * memory[m] for m in order) > room[room > 0].sum():
            return False
        steps = 0

        def lay(i: int, room: FloatArray, places: IntArray) -> bool:
            nonlocal steps
            if i == len(order) or steps >= MOST_LAID_DOWN:
                return True
            m, k = order[i], int(gpus[order[i]])
            tried = set()
            for g in starts[m]:
                block = slice(g, g + k)
                alike = float(room[g]), int(places[g]), open_to[g][i:]
                if (places[block] < 1).any() or (room[block] < memory[m]).any():
                    continue
                if k == 1 and alike in tried:
                    continue
                tried.add(alike)
                steps += 1
                left, fewer = room.copy(), places.copy()
                left[block] -= memory[m]
                fewer[block] -= 1
                if lay(i + 1, left, fewer):
                    return True
            return False

        return lay(0, room, places)
