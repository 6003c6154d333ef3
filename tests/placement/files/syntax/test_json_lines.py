"""Lines of places in a JSON text: those of PyYAML's own composer, whatever is skipped between."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.files.syntax.json_lines import json_lines
from placement.support.faults import Place

TEXTS = st.text(st.sampled_from('ab"\\{}[],:\n\u2028型'), max_size=4)
HARD = ']}\\"{["'
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(0, 1) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=25,
)


def composed_lines(text: str) -> dict[Place, int]:
    """Line of every place by a reader of other people: JSON is YAML."""
    found: dict[Place, int] = {}

    def visit(node: yaml.Node, place: Place) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                found[(*place, key.value)] = key.start_mark.line + 1
                visit(value, (*place, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for i, value in enumerate(node.value):
                found[(*place, i)] = value.start_mark.line + 1
                visit(value, (*place, i))

    visit(yaml.compose(text, Loader=yaml.CSafeLoader), ())
    return found


@given(data=VALUES, indent=st.sampled_from([None, 0, 1, 4]), drawn=st.data())
@settings(max_examples=150, deadline=None)
def test_lines_are_those_of_a_composer(data: Any, indent: int | None, drawn: st.DataObject) -> None:
    """For all places, and for any few of them."""
    text = json.dumps(data, indent=indent)
    expected = composed_lines(text)
    assert json_lines(text, expected) == expected
    if expected:
        few = drawn.draw(st.lists(st.sampled_from(sorted(expected, key=str)), max_size=3))
        assert json_lines(text, few) == {place: expected[place] for place in few}


@pytest.mark.parametrize("depth", [1, 3, 6, 40])
def test_items_far_inside_a_long_array_are_found(depth: int) -> None:
    """Where hundreds are skipped at a time, and where they are nested too deep for that."""
    item: Any = {"a": 1}
    for _ in range(depth):
        item = {"b": [item, HARD]}
    data = {"x": item, "requests": [item] * 1003, "y": 0}
    text = json.dumps(data, indent=1)
    expected = composed_lines(json.dumps({**data, "requests": [item] * 3}, indent=1))
    lines_of_one = expected["requests", 1] - expected["requests", 0]
    found = json_lines(text, [("requests", 1002), ("requests", 1000, "b"), ("y",), ("none", 3)])
    first = expected["requests", 0]
    assert found == {
        ("requests", 1000, "b"): first + 1000 * lines_of_one + 1,
        ("requests", 1002): first + 1002 * lines_of_one,
        ("y",): expected["y",] + 1000 * lines_of_one,
    }
