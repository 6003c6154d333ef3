"""Plans of packed servers, where GPUs are shared and workflows too many for a master.

All servers are packed, one after the other, and a linear program serves what nobody does where that
costs least. How well servers are filled is the one thing that packing cannot see from one server
alone: the next time they are filled a little more where something was missing, else a little less.
"""

from __future__ import annotations

import numpy as np

from placement.params.search_params import SearchParams
from placement.patterns.columns.annealed_contents import contents_are_annealed
from placement.patterns.columns.flat_problem import FlatFlows, flat_flows
from placement.patterns.columns.packed_rates import ServedRates, serve_all
from placement.patterns.columns.residual_demand import SERVED_NOISE
from placement.patterns.columns.server_packing import ServerPacker
from placement.patterns.incumbent import Search, incumbent_of
from placement.problem.blocks import BoolArray
from placement.problem.instance import Instance
from placement.problem.normalization import at_rates_of
from placement.problem.solution import Flows, Placement, Solution, settle


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
        and contents_are_annealed(instance, params)
        and not instance.ruled
        and not instance.counts_suffice
    )


def search_packings(search: Search) -> None:
    """Pack all servers again and again, filling them more wherever not all demand was served."""
    normal, params, budget = search.normal, search.params.server_packing, search.budget
    flows = flat_flows(normal)
    filled = params.work_worth
    with budget.bounded():
        packer = ServerPacker(normal, flows, params, search.settings.seed)
        for _ in range(params.rounds):
            if search.closed() or budget.expired:
                return
            served = _packed(search, packer, filled)
            if served is None:
                return
            whole = not unserved(flows, served).any()
            if whole:
                solution = at_rates_of(search.instance, normal, solution_of(normal, served))
                found = settle(search.instance, solution)
                search.findings.keep(incumbent_of(search.instance, found))
            search.report("packing")
            filled *= params.looser if whole else params.fuller


def _packed(search: Search, packer: ServerPacker, filled: float) -> ServedRates | None:
    """Pack all servers; while something is missing, mend them at rising prices."""
    normal, params, flows = search.normal, packer.params, packer.flows
    price = params.missed * packer.density
    kinds = [t for t, kind in enumerate(normal.cluster.server_types) for _ in range(kind.count)]
    columns, served = packer.pack(kinds, flows.rate[flows.node_flow].copy(), filled), None
    for mended in range(params.mends + 1):
        if mended and served is not None:
            columns, _ = packer.mend(served.columns, served.left, price)
            price *= params.dearer
        served = serve_all(normal, flows, columns, search.settings, search.budget, price=price)
        if served is None or not unserved(flows, served).any():
            break
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
