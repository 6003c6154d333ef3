"""Workflows as directed acyclic graphs."""

from __future__ import annotations

import networkx as nx
import numpy as np

from placement.problem.workload import Edge, Node, Workflow


def test_the_order_of_nodes_is_the_least_topological_one() -> None:
    """On random graphs it is what networkx's lexicographical sort gives."""
    rng = np.random.default_rng(0)
    edges = 0
    for _ in range(200):
        n = int(rng.integers(1, 12))
        rank = rng.permutation(n)
        pairs = [(u, v) for u in range(n) for v in range(n) if rank[u] < rank[v]]
        pairs = [p for p in pairs if rng.random() < 0.3]
        edges += len(pairs)
        flow = Workflow("w", "w", (Node("v", 0),) * n, tuple(Edge(u, v) for u, v in pairs))
        graph = nx.DiGraph(pairs)
        graph.add_nodes_from(range(n))
        assert flow.topological_order == tuple(nx.lexicographical_topological_sort(graph))
    assert edges > 1000
