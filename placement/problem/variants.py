"""Workflows as requests ran them: branches that were not taken, and steps that were repeated.

A request says how often each node ran. Those of one workflow that say the same make a *variant*: a
workflow with a node for each time. A step that ran n times is a chain of n nodes; one that did not
run is left out, and what waited for it waits for what it would have waited for, without data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from placement.problem.trace import Trace
from placement.problem.workload import Edge, Node, Workflow, Workload

LONGEST_LABEL = 200


def variant(workflow: Workflow, times: Sequence[int]) -> Workflow:
    """Give the variant of a workflow whose nodes ran so often; itself where each ran once.

    Parameters
    ----------
    workflow : Workflow
        Of the config.
    times : sequence of int, one a node
        How often each ran: 0 for one that did not.
    """
    if all(n == 1 for n in times):
        return workflow
    nodes: list[Node] = []
    first, last = dict[int, int](), dict[int, int]()
    edges: list[Edge] = []
    for v, (node, n) in enumerate(zip(workflow.nodes, times, strict=True)):
        for i in range(n):
            last[v] = len(nodes)
            first.setdefault(v, len(nodes))
            if i:
                edges.append(Edge(len(nodes) - 1, len(nodes)))
            nodes.append(Node(node.id if not i else f"{node.id}#{i + 1}", node.model))
    # Of a step that was not run: what it would have waited for, its own such steps resolved.
    behind: dict[int, set[int]] = {}
    data = {
        (last[e.source], first[e.target]): e
        for e in workflow.edges
        if e.source in last and e.target in first
    }
    edges += [replace(e, source=u, target=v) for (u, v), e in data.items()]
    for v in workflow.topological_order:
        waits = set[int]()
        for u in (e.source for e in workflow.edges if e.target == v):
            waits |= behind[u] if u in behind else {last[u]}
        if v not in first:
            behind[v] = waits
            continue
        edges += [
            Edge(u, first[v], carries=False) for u in sorted(waits) if (u, first[v]) not in data
        ]
    label = ", ".join(
        f"{node.id} {'not run' if not n else f'{n} times'}"
        for node, n in zip(workflow.nodes, times, strict=True)
        if n != 1
    )
    if len(label) > LONGEST_LABEL:
        label = hashlib.sha256(label.encode()).hexdigest()[:12]
    name = f"{workflow.id} ({label})"
    return Workflow(name, name, tuple(nodes), tuple(edges), base=workflow.id)


def as_run(workload: Workload, *traces: Trace) -> Workload:
    """Add to a workload the variants that traces ask for; itself where it has them.

    Parameters
    ----------
    workload : Workload
        With which the traces were read, one after the other.
    *traces : Trace
    """
    for trace in traces:
        missing = [v for v in trace.variants if v.id not in workload.workflow_index]
        if missing:
            workload = replace(workload, workflows=workload.workflows + tuple(missing))
    return workload
