"""ComfyUI workflow files, as its editor saves them and as its server takes them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from placement.importing.comfyui_nodes import (
    CALLERS,
    FOR_PEOPLE,
    INSIDE,
    LOADERS,
    PLAIN,
    WIRES,
    Caller,
)
from placement.importing.imported import Imported

MUTED, BYPASSED = 2, 4
OWN_INPUT = "-1"
"""Stands for a subgraph itself among the nodes whose widgets its node shows."""
DEEPEST = 20
"""Subgraphs inside subgraphs; deeper ones can only hold themselves."""


@dataclass
class GraphNode:
    """A node with what feeds each of its inputs.

    Parameters
    ----------
    inputs : dict
        The (node, output) that an input comes from, by its name.
    values : dict
        What inputs are set to.
    """

    kind: str
    title: str
    inputs: dict[str, tuple[str, int]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    bypassed: bool = False


Graph = dict[str, GraphNode]


def is_comfyui(data: Any) -> bool:
    """Tell a workflow by its nodes, in either form."""
    if not isinstance(data, dict):
        return False
    if isinstance(data.get("nodes"), list) and isinstance(data.get("links"), list):
        return True
    nodes = data.get("prompt", data)
    return (
        isinstance(nodes, dict)
        and bool(nodes)
        and all(isinstance(n, dict) and "class_type" in n for n in nodes.values())
    )


def import_comfyui(name: str, data: Mapping[str, Any]) -> Imported:
    """Take a workflow, and the models that it calls, from one file.

    Parameters
    ----------
    name : str
        Of the workflow.
    data : mapping
        The file; `is_comfyui` holds.

    Returns
    -------
    Imported
        A node of the workflow for each ComfyUI node that runs a model, and an edge wherever data
        go from one to another, whatever lies between. Times and payloads are in no such file.
    """
    notes: Counter[str] = Counter()
    if "nodes" in data:
        graph = _editor_graph(data, notes)
    else:
        graph = _server_graph(data.get("prompt", data))
    calls: dict[str, str] = {}
    models: dict[str, dict[str, Any]] = {}
    for own, node in graph.items():
        caller = CALLERS.get(node.kind)
        if caller is None or node.bypassed:
            _note_kind(node, notes)
            continue
        model = _model_of(graph, node, caller)
        if model is None:
            notes[f"{node.kind}: no loader that is known feeds it, so its model is not"] += 1
            model = f"model of {node.title}"
        calls[own] = model
        models.setdefault(model, {"name": model, "type": caller.type})
    if not calls:
        notes[f"{name}: no node of it calls a model, so it is left out"] += 1
        return Imported(notes=notes)
    names = {own: f"{graph[own].title} ({own})" for own in calls}
    notes["ComfyUI files tell neither times nor payloads"] += 1
    edges = [
        {"from": names[a], "to": names[b]}
        for b in calls
        for a in sorted(_calls_before(graph, b, calls), key=list(calls).index)
    ]
    flow = {
        "name": name,
        "nodes": [{"id": names[own], "model": model} for own, model in calls.items()],
        "edges": edges,
    }
    return Imported(models=models, workflows={name: flow}, notes=notes)


def _note_kind(node: GraphNode, notes: Counter[str]) -> None:
    if node.bypassed:
        notes[f"nodes that are bypassed are left out ({node.kind})"] += 1
    elif node.kind in INSIDE:
        notes[f"{node.kind}: {INSIDE[node.kind]} are part of the model that they change"] += 1
    elif node.kind not in PLAIN and node.kind not in WIRES and node.kind not in LOADERS:
        notes[f"{node.kind}: a kind that is not known, taken for a step without a model"] += 1


def _model_of(graph: Graph, node: GraphNode, caller: Caller) -> str | None:
    """Follow what feeds a node back to the loader of its model."""
    todo = [node.inputs[name] for name in caller.inputs if name in node.inputs]
    wanted = (*caller.inputs, "model", "clip", "vae")
    seen: set[str] = set()
    while todo:
        own, slot = todo.pop(0)
        if own in seen or own not in graph:
            continue
        seen.add(own)
        above = graph[own]
        loader = LOADERS.get(above.kind)
        if loader is not None:
            files = [above.values.get(name) for name in loader.files]
            part = loader.parts[min(slot, len(loader.parts) - 1)]
            named = " + ".join(f for f in files if isinstance(f, str) and f)
            return named + part if named else None
        # What changes a model on its way has an input of the same name.
        same = [above.inputs[name] for name in wanted if name in above.inputs]
        todo += same or list(above.inputs.values())
    return None


def _calls_before(graph: Graph, call: str, calls: Mapping[str, str]) -> set[str]:
    """Calls whose data reach one, with no other call between."""
    found: set[str] = set()
    todo = [source for source, _ in graph[call].inputs.values()]
    seen: set[str] = set()
    while todo:
        own = todo.pop()
        if own in seen or own not in graph:
            continue
        seen.add(own)
        if own in calls:
            found.add(own)
        else:
            todo += [source for source, _ in graph[own].inputs.values()]
    return found


def _server_graph(nodes: Mapping[str, Any]) -> Graph:
    """Read the form that the server takes: inputs hold values, or [node, output]."""
    graph: Graph = {}
    for own, entry in nodes.items():
        meta = entry.get("_meta")
        title = meta.get("title") if isinstance(meta, dict) else None
        kind = str(entry["class_type"])
        node = graph[str(own)] = GraphNode(kind, str(title or kind))
        inputs = entry.get("inputs")
        for name, value in (inputs if isinstance(inputs, dict) else {}).items():
            if _is_link(value):
                node.inputs[name] = (str(value[0]), value[1])
            else:
                node.values[name] = value
    return graph


def _is_link(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str | int)
        and type(value[1]) is int
    )


def _editor_graph(data: Mapping[str, Any], notes: Counter[str]) -> Graph:
    """Read the form that the editor saves: nodes and a list of links, with subgraphs."""
    definitions = data.get("definitions")
    subgraphs = definitions.get("subgraphs", []) if isinstance(definitions, dict) else []
    known = {s["id"]: s for s in subgraphs if isinstance(s, dict) and "id" in s}
    return _Editor(known, notes).read(data, "", DEEPEST).graph


@dataclass
class _Part:
    """A graph, what feeds its outputs, and which inputs of its nodes its own inputs feed."""

    graph: Graph
    outputs: dict[int, tuple[str, int]]
    inputs: dict[int, list[tuple[str, str]]]


class _Editor:
    """Reads graphs, those of subgraphs in place of the nodes that stand for them."""

    INPUT, OUTPUT = -10, -20

    def __init__(self, subgraphs: Mapping[str, Any], notes: Counter[str]) -> None:
        self._subgraphs, self._notes = subgraphs, notes

    def read(self, data: Mapping[str, Any], prefix: str, depth: int) -> _Part:
        """Read a graph whose nodes get a prefix before their numbers."""
        nodes = [n for n in data.get("nodes") or [] if isinstance(n, dict) and "id" in n]
        links = _links(data.get("links") or [])
        graph: Graph = {}
        inner: dict[int, _Part] = {}
        names: dict[tuple[Any, int], str] = {}
        for entry in nodes:
            kind, own = str(entry.get("type")), entry["id"]
            for slot, given in enumerate(_dicts(entry.get("inputs"))):
                names[own, slot] = str(given.get("name"))
            if entry.get("mode") == MUTED:
                self._notes["nodes that are muted are left out"] += 1
            elif kind in FOR_PEOPLE:
                continue
            elif kind in self._subgraphs and depth:
                part = self.read(self._subgraphs[kind], f"{prefix}{own}:", depth - 1)
                _set_widgets(entry, part, f"{prefix}{own}:", self._ports(kind))
                inner[own] = part
                graph.update(part.graph)
            else:
                graph[f"{prefix}{own}"] = GraphNode(
                    kind,
                    str(entry.get("title") or kind),
                    values=_widgets(kind, entry),
                    bypassed=entry.get("mode") == BYPASSED,
                )
        part = _Part(graph, {}, defaultdict(list))
        for source, slot, target, place in links:
            if target == self.OUTPUT:
                ends = []
            elif target in inner:
                ends = inner[target].inputs.get(self._port(nodes, target, place), [])
            else:
                ends = [(f"{prefix}{target}", names.get((target, place), f"input {place}"))]
            if source == self.INPUT:
                part.inputs[slot] += ends
                continue
            start = (f"{prefix}{source}", slot)
            if source in inner:
                found = inner[source].outputs.get(slot)
                if found is None:
                    continue
                start = found
            if target == self.OUTPUT:
                part.outputs[place] = start
            for own, name in ends:
                if own in graph:
                    graph[own].inputs[name] = start
        return part

    def _port(self, nodes: list[dict[str, Any]], own: Any, place: int) -> int:
        """Which input of a subgraph an input of its node is: they go by name."""
        entry = next(n for n in nodes if n["id"] == own)
        given = _dicts(entry.get("inputs"))
        name = given[place].get("name") if place < len(given) else None
        return self._ports(str(entry["type"])).get(str(name), place)

    def _ports(self, kind: str) -> dict[str, int]:
        """Places of a subgraph's inputs by their names."""
        ports = _dicts(self._subgraphs[kind].get("inputs"))
        return {str(port.get("name")): i for i, port in enumerate(ports)}


def _set_widgets(
    entry: Mapping[str, Any], part: _Part, prefix: str, ports: Mapping[str, int]
) -> None:
    """Set what the node of a subgraph sets in it: widgets of nodes inside, or of its own inputs."""
    properties = entry.get("properties")
    shown = properties.get("proxyWidgets") if isinstance(properties, dict) else None
    values = entry.get("widgets_values")
    if not isinstance(shown, list) or not isinstance(values, list):
        return
    for widget, value in zip(shown, values, strict=False):
        if not isinstance(widget, list) or len(widget) < 2:
            continue
        own, name = str(widget[0]), str(widget[1])
        ends = [(prefix + own, name)]
        if own == OWN_INPUT:
            ends = part.inputs.get(ports.get(name, -1), [])
        for node, field_name in ends:
            if node in part.graph:
                part.graph[node].values[field_name] = value


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def _links(entries: list[Any]) -> list[tuple[Any, int, Any, int]]:
    """Links as (source, output, target, input); a list each, or in subgraphs a mapping."""
    found = []
    for entry in entries:
        if isinstance(entry, dict):
            keys = ("origin_id", "origin_slot", "target_id", "target_slot")
            found.append(tuple(entry.get(key) for key in keys))
        elif isinstance(entry, list) and len(entry) >= 5:
            found.append(tuple(entry[1:5]))
    return [(a, i, b, j) for a, i, b, j in found if type(i) is int and type(j) is int]


def _widgets(kind: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """What a loader loads: its first widgets, in the order of its inputs."""
    values = entry.get("widgets_values")
    loader = LOADERS.get(kind)
    if loader is None:
        return {}
    if isinstance(values, dict):
        return values
    return dict(zip(loader.files, values, strict=False)) if isinstance(values, list) else {}
