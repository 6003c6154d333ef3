"""What a routing keeps together, part by part: loads are evened by moving parts as they are.

A part is a set of nodes of one workflow that requests run on one server together, and how many do.
Any routing is made of parts: on a server, the nodes whose rate is at least a level are served
together at that level, and the levels below the rates add up to them, as those below both ends of a
link add up to what is kept of it. Wherever a part goes, what is kept within it is kept, so a
routing made of the same parts is worth no less. Where everything is kept, the parts are the same
in all such routings (`whole_parts`): nothing is lost by moving only them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from placement.problem.instance import Instance
from placement.problem.solution import Flows, all_dense_flows

LEAST_PART = 1e-12
"""Part of a workflow's rate below which nothing is routed."""


class Part(NamedTuple):
    """Workflow, nodes of it that run on one server together, and the rate at which they do."""

    workflow: int
    nodes: tuple[int, ...]
    rate: float


def whole_parts(instance: Instance) -> list[Part]:
    """The parts of every routing that keeps everything.

    All of a link is kept where sum_s min(a[u,s], a[v,s]) is the workflow's rate, which is also
    what a[u,s] and a[v,s] add up to: so they are equal on every server s. The same holds of all
    nodes where whole workflows count.
    """
    return [
        Part(w, nodes, flow.rate)
        for w in instance.active_workflows
        for flow in [instance.workflows[w]]
        for nodes in _together(instance, w, range(len(flow.node_model)))
    ]


def parts_of(instance: Instance, flows: Flows) -> list[Part]:
    """The parts that a routing is made of; equal ones on several servers are one.

    Parameters
    ----------
    instance : Instance
        At whose rates the flows are.
    flows : Flows
        Of all active workflows.
    """
    found: list[Part] = []
    for w, (_, rates) in enumerate(all_dense_flows(instance, flows)):
        least = LEAST_PART * instance.workflows[w].rate
        together: dict[tuple[int, ...], float] = defaultdict(float)
        for rate in rates.T:
            levels = np.unique(rate[rate > least])
            steps = np.diff(levels, prepend=0.0)
            for level, step in zip(levels.tolist(), steps.tolist(), strict=True):
                together[tuple(np.flatnonzero(rate >= level).tolist())] += step
        split: dict[tuple[int, ...], float] = defaultdict(float)
        for nodes, rate_s in together.items():
            for part in _together(instance, w, nodes):
                split[part] += rate_s
        found += [Part(w, nodes, rate_s) for nodes, rate_s in sorted(split.items())]
    return found


def _together(instance: Instance, w: int, nodes: Iterable[int]) -> list[tuple[int, ...]]:
    """Some nodes of a workflow, split where nothing is lost if they are on different servers."""
    flow, own = instance.workflows[w], tuple(nodes)
    whole, link = instance.locality_weights(w)
    if whole > 0 and len(own) == len(flow.node_model):
        return [own]
    beside: dict[int, list[int]] = {n: [] for n in own}
    for u, v in flow.links[link * flow.link_weights > 0].tolist():
        if u in beside and v in beside:
            beside[u].append(v)
            beside[v].append(u)
    found: list[tuple[int, ...]] = []
    while beside:
        part = [next(iter(beside))]
        for n in part:  # grows while it is gone through
            part += [o for o in beside.pop(n) if o in beside and o not in part]
        found.append(tuple(sorted(part)))
    return found
