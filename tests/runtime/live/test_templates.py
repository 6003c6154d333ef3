"""Gaps in bodies are filled from data, and nothing is evaluated."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.live.templates import TemplateError, fill, gaps, look_up

VALUES = {
    "text": "hello",
    "input": {"n": 3, "lines": ["a", "b"], "nested": {"x": None}},
    "parents": {"read": {"text": "seen"}},
}


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("${text}", "hello"),
        ("say ${text}!", "say hello!"),
        ("${input.n}", 3),
        ("${input.lines}", ["a", "b"]),
        ("${input.lines.1} of ${input.n}", "b of 3"),
        ("as JSON: ${input.lines}", 'as JSON: ["a","b"]'),
        ("${input.nested.x}", None),
        ("$${text} costs 5$", "${text} costs 5$"),
        ({"a": ["${parents.read.text}", 7], "${text}": True}, {"a": ["seen", 7], "${text}": True}),
        ("${text}${text}", "hellohello"),
    ],
)
def test_gaps_are_filled(template: Any, filled: Any) -> None:
    """A gap alone keeps the type of its value, inside a text it is written out."""
    assert fill(template, VALUES) == filled


@pytest.mark.parametrize("template", ["${nothing}", "${input.m}", "${input.lines.2}", "${text.x}"])
def test_a_gap_that_names_nothing_is_said(template: str) -> None:
    """The sentence names the place and where it ended."""
    with pytest.raises(TemplateError, match="there is no"):
        fill(template, VALUES)


def test_what_is_filled_in_is_not_filled_again() -> None:
    """An input that looks like a gap stays as it is."""
    assert fill("${input}", {"input": "${text}", "text": "secret"}) == "${text}"


def test_gaps_are_found_wherever_they_stand() -> None:
    """In lists and mappings, but not where they are escaped."""
    assert list(gaps({"a": ["${x.y}", {"b": "${z} $${no}"}], "c": 3})) == ["x.y", "z"]


def test_places_lead_through_mappings_and_lists() -> None:
    """An empty place is the whole."""
    data = {"choices": [{"message": {"content": "hi"}}]}
    assert look_up("choices.0.message.content", data) == "hi"
    assert look_up("", data) == data
