"""The edges of a workflow: ends that exist, no edge twice, no cycle.

An end names a node. Where it names no node but an output of one, as configs of other tools do, it
means the node that makes it; so the edge is kept, with a warning.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from placement.files.input_schema import WorkflowEntry
from placement.files.syntax.document import Document, PlacedFault
from placement.files.syntax.yaml_text import dotted_place
from placement.files.unread_fields import warn_each
from placement.support.faults import Fault, Place, Spot, suggest

if TYPE_CHECKING:
    import networkx as nx


def edge_ends(entry: WorkflowEntry) -> list[tuple[str, str]]:
    """Nodes that each edge joins; an end that is neither node nor output stays as it is."""
    nodes = {n.id for n in entry.nodes}
    makers = _makers(entry)

    def node(name: str) -> str:
        made_by = makers.get(name, [])
        return made_by[0] if name not in nodes and len(made_by) == 1 else name

    return [(node(e.source), node(e.target)) for e in entry.edges]


def edge_faults(place: Place, entry: WorkflowEntry) -> list[PlacedFault]:
    """Find ends that are none, edges that repeat, and cycles.

    Parameters
    ----------
    place : tuple
        Place of the workflow in its document.
    """
    faults = []
    nodes = dict.fromkeys(n.id for n in entry.nodes)
    makers = _makers(entry)
    seen: dict[tuple[str, str], int] = {}
    for i, (edge, pair) in enumerate(zip(entry.edges, edge_ends(entry), strict=True)):
        here = (*place, "edges", i)
        written = (edge.source, edge.target)
        for end, name, node in zip(("from", "to"), written, pair, strict=True):
            if node not in nodes:
                faults.append(_no_node((*here, end), name, nodes, makers))
        if pair[0] == pair[1] and pair != written:
            output = written[0] if written[0] != pair[0] else written[1]
            wrong = f"joins node {pair[0]!r} with itself: {output!r} is one of its outputs"
            faults.append(PlacedFault(here, wrong, "drop the edge, or name the node that is meant"))
            continue
        faults += _prefix_faults(here, entry, i, pair)
        if pair in seen:
            wrong = f"{pair[0]!r} -> {pair[1]!r} is already edges[{seen[pair]}]"
            faults.append(PlacedFault(here, wrong, "drop one of the two"))
        seen.setdefault(pair, i)
    return faults + _cycle_faults((*place, "edges"), seen)


def warn_of_outputs(document: Document, workflows: Mapping[str, WorkflowEntry]) -> None:
    """Give an `InputWarning` for each end that names an output."""
    found = []
    for key, entry in workflows.items():
        for i, (edge, pair) in enumerate(zip(entry.edges, edge_ends(entry), strict=True)):
            written = (edge.source, edge.target)
            for end, name, node in zip(("from", "to"), written, pair, strict=True):
                if name != node:
                    place = ("workflows", key, "edges", i, end)
                    spot = Spot(document, place, dotted_place(place))
                    wrong = f"{name!r} is no node but an output of {node!r}, which is taken for it"
                    path = os.fspath(document.path)
                    found.append(Fault(path, spot, wrong, f"write {node!r}"))
    warn_each(document.path, found)


def _prefix_faults(
    place: Place, entry: WorkflowEntry, number: int, ends: tuple[str, str]
) -> list[PlacedFault]:
    """Of an edge whose ends share a prefix, though they call different models.

    Parameters
    ----------
    place : tuple
        Of the edge.
    entry : WorkflowEntry
        Of which it is an edge.
    number : int
        Its position.
    ends : tuple of str
        The nodes that it joins.
    """
    models = {n.id: n.model for n in reversed(entry.nodes)}
    called = [models.get(end) for end in ends]
    if not entry.edges[number].shared_prefix or None in called or called[0] == called[1]:
        return []
    return [
        PlacedFault(
            (*place, "shared_prefix"),
            f"joins a call to model {called[0]!r} with one to {called[1]!r}: no replica serves "
            "both, so no context is read again",
            "drop it, or let both nodes call one model",
        )
    ]


def _makers(entry: WorkflowEntry) -> dict[str, list[str]]:
    """Nodes by what they make."""
    makers: dict[str, list[str]] = {}
    for node in entry.nodes:
        for name in dict.fromkeys(node.outputs or ()):
            makers.setdefault(name, []).append(node.id)
    return makers


def _no_node(
    place: Place, name: str, nodes: Collection[str], makers: Mapping[str, list[str]]
) -> PlacedFault:
    made_by = makers.get(name, [])
    if len(made_by) > 1:
        several = ", ".join(map(repr, made_by[:8])) + (", ..." if len(made_by) > 8 else "")
        return PlacedFault(
            place, f"{name!r} is no node but an output of {several}", "name the node that is meant"
        )
    known = dict.fromkeys((*nodes, *makers))
    mend = suggest(name, known, "node") + " (or add the node, or drop the edge)"
    return PlacedFault(place, f"{name!r} is no node of this workflow", mend)


def _cycle_faults(place: Place, edges: dict[tuple[str, str], int]) -> list[PlacedFault]:
    """One cycle of each knot of edges, blamed on the edge that comes last in the file."""
    if _acyclic(edges):
        return []
    import networkx as nx  # a fifth of a second that only cycles need

    faults = []
    graph: nx.DiGraph[str] = nx.DiGraph(list(edges))
    for ends in sorted(nx.strongly_connected_components(graph), key=min):
        cycle = _cycle_through(graph.subgraph(ends))
        if not cycle:
            continue
        last = max(pairwise([*cycle, cycle[0]]), key=edges.__getitem__)
        turn = cycle.index(last[1])
        path = [*cycle[turn:], *cycle[:turn], last[1]]
        faults.append(
            PlacedFault(
                (*place, edges[last]),
                f"closes a cycle: {' -> '.join(path)}",
                "drop one of its edges; a workflow must be acyclic",
            )
        )
    return faults


def _acyclic(edges: Collection[tuple[str, str]]) -> bool:
    """Whether edges whose ends nobody enters can be taken off until none is left."""
    entering = Counter(target for _, target in edges)
    leaving: dict[str, list[str]] = {}
    for source, target in edges:
        leaving.setdefault(source, []).append(target)
    ready = [node for node in leaving if not entering[node]]
    left = len(edges)
    while ready:
        for target in leaving.get(ready.pop(), ()):
            left -= 1
            entering[target] -= 1
            if not entering[target]:
                ready.append(target)
    return left == 0


def _cycle_through(component: nx.DiGraph[str]) -> list[str]:
    """Order a cycle of a strongly connected component, or nothing where it has none."""
    import networkx as nx  # loaded by now

    try:
        edges = nx.find_cycle(component, source=min(component))
    except nx.NetworkXNoCycle:
        return []
    return [edge[0] for edge in edges]
