"""Plans of packed servers, where GPUs are shared and workflows too many for a master.

All servers are packed, one after the other, and a linear program serves what nobody does where that
costs least. How well servers are filled is the one thing that packing cannot see from one server
alone: the next time they are filled a little more where something was missing, else a little less.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from placement.params.search_params import SearchParams
from placement.patterns.columns.annealed_contents import annealing_suits
from placement.patterns.columns.flat_problem import FlatFlows, flat_flows
from placement.patterns.columns.packed_rates import ServedRates, serve_all
from placement.patterns.columns.residual_demand import SERVED_NOISE
from placement.patterns.columns.server_packing import ServerPacker
from placement.patterns.incumbent import Search, incumbent_of
from placement.problem.blocks import BoolArray
from placement.problem.instance import Instance
from placement.problem.normalization import at_rates_of
from placement.problem.solution import Flows, Placement, Solution, settle
from placement.solver.beside import both
from placement.solver.budget import OutOfTime

APART = 1_000_000
"""Between the seeds of two packings: each takes one for every server."""


def packing_suits(instance: Instance, params: SearchParams) -> bool:
    """Whether servers are packed: shared GPUs, and workflows of more nodes than a master bears.

    Parameters
    ----------
    instance : Instance
        With the cap.
    params : SearchParams
        Says how many nodes that are.
    """
    nodes = sum(len(instance.workflows[w].node_model) for w in instance.active_workflows)
    return (
        nodes > params.server_packing.least_nodes
        and annealing_suits(instance, params)
        and not instance.ruled
        and not instance.counts_suffice
    )


def search_packings(search: Search) -> None:
    """Pack all servers again and again, in two ways at once, for longer from time to time."""
    params, budget = search.params.server_packing, search.budget
    flows = flat_flows(search.normal)
    looser = params.work_worth * params.looser
    first = _Packing(search, flows, search.settings.seed, params.work_worth)
    second = _Packing(search, flows, search.settings.seed + APART, looser)
    with budget.bounded():
        for number in range(params.rounds):
            if search.closed() or budget.expired:
                return
            moves = params.moves[min(number, len(params.moves) - 1)]
            for solution in both(partial(first.run, moves), partial(second.run, moves)):
                if solution is not None:
                    search.findings.keep(incumbent_of(search.instance, solution))
            search.report("packing")


class _Packing:
    """Packs all servers, and fills them more the next time where not all demand was served.

    Parameters
    ----------
    search : Search
        Asked for the problem, and told nothing.
    flows : FlatFlows
    seed : int
    filled : float
        What work is worth by itself at first.
    """

    def __init__(self, search: Search, flows: FlatFlows, seed: int, filled: float) -> None:
        self.search, self.flows, self.filled = search, flows, filled
        self.params = search.params.server_packing
        self.packer = ServerPacker(search.normal, flows, self.params, seed)

    def run(self, moves: int) -> Solution | None:
        """A plan; None where not all was served, or the time ended.

        Parameters
        ----------
        moves : int
            Of annealing from each content.
        """
        try:
            served = self._packed(moves)
        except OutOfTime:
            return None
        if served is None or unserved(self.flows, served).any():
            self.filled *= self.params.fuller
            return None
        self.filled *= self.params.looser
        instance, normal = self.search.instance, self.search.normal
        return settle(instance, at_rates_of(instance, normal, solution_of(normal, served)))

    def _packed(self, moves: int) -> ServedRates | None:
        """Pack all servers; while something is missing, mend them at rising prices."""
        search, params, packer, flows = self.search, self.params, self.packer, self.flows
        price = params.missed * packer.density
        types = search.normal.cluster.server_types
        kinds = [t for t, kind in enumerate(types) for _ in range(kind.count)]
        args = search.settings, search.budget
        columns = packer.pack(kinds, flows.rate[flows.node_flow].copy(), self.filled, moves)
        served = serve_all(search.normal, flows, columns, *args, price=price)
        for _ in range(params.mends):
            if served is None or not unserved(flows, served).any():
                break
            columns, _ = packer.mend(served.columns, served.left, price)
            price *= params.dearer
            served = serve_all(search.normal, flows, columns, *args, price=price)
        return served


def unserved(flows: FlatFlows, served: ServedRates) -> BoolArray:
    """Which nodes miss more of their rate than sums of floats do, shape (N,)."""
    return np.asarray(served.left > SERVED_NOISE * flows.rate[flows.node_flow])


def solution_of(instance: Instance, served: ServedRates) -> Solution:
    """Packed servers as a solution of the normalized instance.

    Parameters
    ----------
    instance : Instance
        Normalized.
    served : ServedRates
        Of no more servers than there are.
    """
    flows, kinds = flat_flows(instance), instance.cluster.server_type
    numbers: dict[int, list[int]] = {}
    for s in range(instance.cluster.n_servers - 1, -1, -1):
        numbers.setdefault(int(kinds[s]), []).append(s)
    at = [numbers[column.pattern.kind].pop() for column in served.columns]
    rows = [
        (m, s, i) for s, c in zip(at, served.columns, strict=True) for m, i in c.pattern.content
    ]
    placement, order = Placement.in_order(*np.array(rows, dtype=np.int64).reshape(-1, 3).T)
    load = np.concatenate([np.zeros(0), *served.loads])[order]
    node = np.concatenate([np.zeros(0, dtype=np.int64), *(c.node for c in served.columns)])
    rate = np.concatenate([np.zeros(0), *(c.rate for c in served.columns)])
    server = np.repeat(at, [len(c.node) for c in served.columns]).astype(np.int64)
    flow = flows.node_flow[node]
    number = np.array(instance.active_workflows, dtype=np.int64)[flow]
    rates = Flows(number, node - flows.node_ptr[flow], server, rate)
    return settle(instance, Solution(placement, rates, load))
