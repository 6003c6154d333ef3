"""ComfyUI graphs in both forms."""

from __future__ import annotations

from typing import Any

import pytest

from placement.importing.comfyui import import_comfyui, is_comfyui
from placement.importing.imported import Imported
from tests.placement.importing.samples import SERVER

MODELS = {
    "xl.safetensors": "diffusion",
    "xl.safetensors:clip": "text-encoder",
    "fine.vae": "vae",
    "x4.pth": "upscaler",
}
EDGES = {("6", "3"), ("7", "3"), ("3", "8"), ("8", "14")}


def editor_form(server: dict[str, Any], *, mapped: bool = False) -> dict[str, Any]:
    """The same graph as the editor saves it: numbered links, widgets by their place."""
    links: list[Any] = []
    nodes = []
    for own, entry in server.items():
        inputs = []
        widgets = []
        for name, given in entry["inputs"].items():
            if isinstance(given, list):
                link = [len(links) + 1, int(given[0]), given[1], int(own), len(inputs), "*"]
                keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
                links.append(dict(zip(keys, link, strict=True)) if mapped else link)
                inputs.append({"name": name, "type": "*", "link": link[0]})
            else:
                widgets.append(given)
        nodes.append(
            {"id": int(own), "type": entry["class_type"], "inputs": inputs, "mode": 0,
             "widgets_values": widgets}
        )  # fmt: skip
    nodes.append({"id": 99, "type": "Note", "widgets_values": ["read me"], "mode": 0})
    return {"nodes": nodes, "links": links, "version": 0.4}


def numbered(found: Imported) -> set[tuple[str, str]]:
    """Edges by the numbers of the nodes, which stand in brackets."""
    (flow,) = found.workflows.values()
    number = {n["id"]: n["id"].rsplit("(", 1)[1][:-1] for n in flow["nodes"]}
    return {(number[e["from"]], number[e["to"]]) for e in flow["edges"]}


@pytest.mark.parametrize(
    "data", [SERVER, {"prompt": SERVER}, editor_form(SERVER)], ids=["server", "prompt", "editor"]
)
def test_both_forms_give_the_calls_and_what_flows_between(data: dict[str, Any]) -> None:
    """Models by their loaders, through adapters; edges through whatever calls no model."""
    assert is_comfyui(data)
    found = import_comfyui("fox", data)
    assert {name: m["type"] for name, m in found.models.items()} == MODELS
    assert numbered(found) == EDGES
    assert any(note.startswith("MagicRelight: a kind that is not known") for note in found.notes)
    assert any("adapters are part of the model" in note for note in found.notes)
    assert not any("Note" in note or "SaveImage" in note for note in found.notes)


def test_a_subgraph_stands_for_what_it_holds() -> None:
    """The sampler and its decoder put into a subgraph change no call and no edge."""
    flat = editor_form(SERVER)
    inside = {3, 8}
    inner_links, outer_links = [], []
    ports: list[str] = []
    for link, a, i, b, j, kind in flat["links"]:
        if a in inside and b in inside:
            inner_links.append((link, a, i, b, j, kind))
        elif b in inside:
            inner_links.append((link, -10, len(ports), b, j, kind))
            outer_links.append((link, a, i, 50, len(ports), kind))
            ports.append(f"in {link}")
        elif a in inside:
            inner_links.append((link, a, i, -20, 0, kind))
            outer_links.append((link, 50, 0, b, j, kind))
        else:
            outer_links.append((link, a, i, b, j, kind))
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    subgraph = {
        "id": "f00", "name": "paint", "inputs": [{"name": p} for p in ports],
        "nodes": [n for n in flat["nodes"] if n["id"] in inside],
        "links": [dict(zip(keys, link, strict=True)) for link in inner_links],
    }  # fmt: skip
    holder = {"id": 50, "type": "f00", "mode": 0, "inputs": [{"name": p} for p in ports]}
    nested = {
        "nodes": [*(n for n in flat["nodes"] if n["id"] not in inside), holder],
        "links": [list(link) for link in outer_links],
        "definitions": {"subgraphs": [subgraph]},
    }
    found = import_comfyui("fox", nested)
    assert {name: m["type"] for name, m in found.models.items()} == MODELS
    last = {(a.rsplit(":", 1)[-1], b.rsplit(":", 1)[-1]) for a, b in numbered(found)}
    assert last == EDGES


def test_the_node_of_a_subgraph_sets_what_is_loaded_inside() -> None:
    """By an input of the subgraph, or a widget of a node in it; both go before what that says."""
    keys = ("origin_id", "origin_slot", "target_id", "target_slot")
    links = [(-10, 0, 6, 0), (6, 0, 8, 0), (7, 0, 9, 0), (8, 0, 9, 1)]
    subgraph = {
        "id": "f00",
        "inputs": [{"name": "vae_name"}],
        "nodes": [
            {"id": 6, "type": "VAELoader", "inputs": [{"name": "vae_name", "link": 1}],
             "widgets_values": ["inner.vae"]},
            {"id": 7, "type": "UpscaleModelLoader", "widgets_values": ["inner.pth"]},
            {"id": 8, "type": "VAEDecode", "inputs": [{"name": "vae"}]},
            {"id": 9, "type": "ImageUpscaleWithModel",
             "inputs": [{"name": "upscale_model"}, {"name": "image"}]},
        ],
        "links": [dict(zip(keys, link, strict=True)) for link in links],
    }  # fmt: skip
    holder = {
        "id": 5,
        "type": "f00",
        "properties": {"proxyWidgets": [["-1", "vae_name"], ["7", "model_name"]]},
        "widgets_values": ["outer.vae", "outer.pth"],
    }
    data = {"nodes": [holder], "links": [], "definitions": {"subgraphs": [subgraph]}}
    found = import_comfyui("fox", data)
    assert set(found.models) == {"outer.vae", "outer.pth"}
    assert numbered(found) == {("5:8", "5:9")}


def test_muted_and_bypassed_nodes_are_left_out_and_named() -> None:
    data = editor_form(SERVER)
    for node in data["nodes"]:
        if node["id"] == 14:
            node["mode"] = 2
        if node["id"] == 7:
            node["mode"] = 4
    found = import_comfyui("fox", data)
    assert numbered(found) == {("6", "3"), ("3", "8")}
    assert found.notes["nodes that are muted are left out"] == 1
    assert any("bypassed" in note for note in found.notes)


def test_a_graph_without_models_gives_none() -> None:
    found = import_comfyui("scale", {"1": {"class_type": "LoadImage", "inputs": {}}})
    assert not found.workflows
    assert any("no node of it calls a model" in note for note in found.notes)
