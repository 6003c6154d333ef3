"""The patterns that column generation begins with: contents made for one workflow or a part."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np

from placement.params.search_params import DEFAULTS, SearchParams
from placement.patterns.pattern import Pattern, fill, proportional
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.space import models_that_fit

ALIKE_DIGITS = 3
"""To which parts of workflows count as in one proportion: whole replicas hardly ever tell more."""


def first_patterns(instance: Instance, params: SearchParams = DEFAULTS) -> list[Pattern]:
    """Patterns full of each model, and in proportion to the work of each part of a workflow.

    With them the first master is near its end already: the best patterns of a large cluster are
    mostly those that serve one workflow, or the part of one that fits. Of parts whose works are in
    one proportion, as thousands of workflows of a few models have them, one is enough.
    """
    found: dict[Pattern, None] = {}
    seen: set[tuple[int, tuple[tuple[int, float], ...]]] = set()
    for t, server in enumerate(instance.cluster.server_types):
        fitting = models_that_fit(instance, server)
        for m in fitting:
            found[fill(instance, t, [m], {})] = None
        by_work = sorted(fitting, key=lambda m: -instance.model_work[m])
        found[fill(instance, t, by_work, {})] = None
        for w in instance.active_workflows:
            flow = instance.workflows[w]
            for part in _parts(flow, params.column_generation.small_workflow):
                work: dict[int, float] = {}
                for v in part:
                    m = int(flow.node_model[v])
                    work[m] = work.get(m, 0.0) + float(flow.work_s[v])
                most = max(work.values()) or 1.0
                shape = (
                    t,
                    tuple(sorted((m, round(x / most, ALIKE_DIGITS)) for m, x in work.items())),
                )
                if shape in seen:
                    continue
                seen.add(shape)
                pattern = proportional(instance, t, work)
                if pattern is not None:
                    found[pattern] = None
    return [p for p in found if p.content]


def _parts(flow: WorkflowDemand, small: int) -> list[tuple[int, ...]]:
    """Sets of two and more nodes that the links connect, and the whole."""
    nodes = len(flow.node_model)
    if nodes > small:
        return [tuple(range(u, v)) for u in range(nodes) for v in range(u + 2, nodes + 1)]
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(nodes))
    graph.add_edges_from(np.asarray(flow.links).tolist())
    parts = [
        part
        for size in range(2, nodes)
        for part in combinations(range(nodes), size)
        if nx.is_connected(graph.subgraph(part))
    ]
    return [*parts, tuple(range(nodes))]
