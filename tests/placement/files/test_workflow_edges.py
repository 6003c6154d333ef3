"""Ends of edges are nodes, or outputs of one node; every other is named with what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from placement.files.config_file import read_config
from placement.files.unread_fields import InputWarning
from placement.support.faults import InputError
from tests.placement.files.cases import (
    CONFIG,
    Change,
    changed,
    fault_of_config,
    line_of,
    write_document,
)


def edge(source: str, target: str) -> Change:
    return lambda d: d["workflows"]["story"]["edges"].append({"from": source, "to": target})


FAULTS: list[tuple[str, Change, str, tuple[str, ...]]] = [
    (
        "dangling edge, the kind of fault that loses a third of the requests of a real file",
        edge("performance_report", "plan"),
        "workflows.story.edges[2].from",
        ("'performance_report' is no node", "did you mean 'performance_analysis'?"),
    ),
    (
        "dangling end that resembles nothing",
        edge("plan", "zzz"),
        "workflows.story.edges[2].to",
        ("'zzz'", "'plan', 'draw'"),
    ),
    (
        "cycle",
        edge("performance_analysis", "plan"),
        "workflows.story.edges[2]",
        ("closes a cycle", "draw -> performance_analysis -> plan"),
    ),
    (
        "edge to itself",
        edge("plan", "plan"),
        "workflows.story.edges[2]",
        ("closes a cycle: plan -> plan",),
    ),
    (
        "edge twice",
        edge("plan", "draw"),
        "workflows.story.edges[2]",
        ("already edges[0]", "drop one"),
    ),
]


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
@pytest.mark.parametrize(
    ("change", "key", "words"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS]
)
def test_an_edge_that_cannot_be_is_named(
    change: Change, key: str, words: tuple[str, ...], suffix: str, tmp_path: Path
) -> None:
    """With key, line, what is wrong and what to do, in either syntax."""
    path = write_document(tmp_path / f"c{suffix}", changed(CONFIG, change))
    text = fault_of_config(path, key)
    for word in words:
        assert word in text


def makes(outputs: dict[str, list[str]], *edges: tuple[str, str]) -> Change:
    """Give nodes of the story outputs, and add edges."""

    def change(config: Any) -> None:
        flow = config["workflows"]["story"]
        for entry in flow["nodes"]:
            entry["outputs"] = outputs.get(entry["id"], [])
        flow["edges"] += [{"from": source, "to": target} for source, target in edges]

    return change


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_an_end_that_names_an_output_means_the_node_that_makes_it(
    suffix: str, tmp_path: Path
) -> None:
    """At either end, with a warning; a node of that name comes first."""
    outputs = {"plan": ["idea", "draw"], "performance_analysis": ["report"]}
    change = makes(outputs, ("idea", "report"))
    path = write_document(tmp_path / f"c{suffix}", changed(CONFIG, change))
    with pytest.warns(InputWarning) as caught:
        story = read_config(path).workflows[0]
    ends = [(story.nodes[e.source].id, story.nodes[e.target].id) for e in story.edges]
    assert ends == [
        ("plan", "draw"),
        ("draw", "performance_analysis"),
        ("plan", "performance_analysis"),
    ]
    line = line_of(path, "workflows.story.edges[2].from")
    assert [str(w.message) for w in caught] == [
        f"{path}: workflows.story.edges[2].from (line {line}): 'idea' is no node but an output of "
        "'plan', which is taken for it; write 'plan'",
        f"{path}: workflows.story.edges[2].to (line {line + 1}): "
        "'report' is no node but an output of 'performance_analysis', which is taken for it; "
        "write 'performance_analysis'",
    ]


@pytest.mark.parametrize(
    ("outputs", "edge", "words"),
    [
        ({"plan": ["x"], "draw": ["x"]}, ("x", "performance_analysis"),
         "'x' is no node but an output of 'plan', 'draw'; name the node that is meant"),
        ({"plan": ["x"]}, ("x", "plan"), "joins node 'plan' with itself: 'x' is one of its"),
        ({"plan": ["x"]}, ("plan", "x"), "joins node 'plan' with itself: 'x' is one of its"),
        ({"plan": ["x", "y"]}, ("y", "x"), "joins node 'plan' with itself: 'y' is one of its"),
        ({"plan": ["x"]}, ("x", "draw"), "'plan' -> 'draw' is already edges[0]"),
        ({"draw": ["x"]}, ("x", "plan"), "closes a cycle: "),
        ({"plan": ["notes"]}, ("nots", "draw"), "did you mean 'notes'?"),
    ],
)  # fmt: skip
def test_an_output_that_is_no_end_is_refused(
    outputs: dict[str, list[str]], edge: tuple[str, str], words: str, tmp_path: Path
) -> None:
    """Of several nodes, of the node itself, joined already, in a circle, misspelt."""
    path = write_document(tmp_path / "c.json", changed(CONFIG, makes(outputs, edge)))
    with pytest.raises(InputError, match=re.escape(words)):
        read_config(path)
