"""Search parameters: every one has a range, a reason, and a default that can be changed by name."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from docs.reference import field_texts
from placement.params.ranges import Kind, Params, Range, kinds
from placement.params.search_params import DEFAULTS, SearchParams, sections
from placement.problem.outcome import SolveOptions

FIELDS = [(s, f) for s, params in sections().items() for f in kinds(type(params))]


def outside(kind: Kind) -> list[object]:
    """Values next to the range, and what is no number at all."""
    low, high = kind.range.low, kind.range.high
    below = low if kind.range.above else low - 1
    wrong: list[object] = [below, math.nan, math.inf, "1", True, None]
    if not math.isinf(high):
        wrong.append(high + 1)
    if kind.whole:
        wrong.append(low + 0.5)
    return [(w,) for w in wrong] + [()] if kind.several else wrong


@pytest.mark.parametrize(("section", "field"), FIELDS)
def test_what_is_out_of_range_is_refused_in_a_sentence(section: str, field: str) -> None:
    """From Python and by name; what is at the edge of the range is not."""
    params = sections()[section]
    kind = kinds(type(params))[field]
    for value in outside(kind):
        with pytest.raises(ValueError, match=rf"^{type(params).__name__}: {field} is .*; give it"):
            replace(params, **{field: value})
        with pytest.raises(ValueError, match=rf"^{section}\.{field}: is .*; give it"):
            DEFAULTS.changed({section: {field: value}})
    edge = int(kind.range.low) if kind.whole else min(kind.range.low + 0.5, kind.range.high)
    changed = DEFAULTS.changed({section: {field: [edge] if kind.several else edge}})
    assert getattr(getattr(changed, section), field) == ((edge,) if kind.several else edge)


@pytest.mark.parametrize("params", Params.__subclasses__())
def test_every_parameter_says_its_range_and_why_it_is_there(params: type[Params]) -> None:
    """The docstring names each field once, with the range that is checked; also of no section."""
    texts = field_texts(params)
    assert list(texts) == list(kinds(params))
    for field, kind in kinds(params).items():
        stated, why = texts[field]
        assert stated == str(kind), field
        assert len(why) > 20, field


def test_names_that_there_are_not_are_refused_with_the_nearest() -> None:
    """All of them at once, each with its place."""
    with pytest.raises(ValueError) as error:
        DEFAULTS.changed({"local_serch": {}, "portfolio": {"first_shares": 0.5}, "tiling": 3})  # type: ignore[dict-item]
    assert str(error.value).splitlines() == [
        "local_serch: is no section; did you mean 'local_search'?",
        "portfolio.first_shares: is no field; did you mean 'first_share'?",
        "tiling: is no mapping; write field: value below it",
    ]


def test_a_section_is_of_its_class_and_cannot_be_changed_in_place() -> None:
    """A value that was checked stays what it was."""
    with pytest.raises(ValueError, match=r"SearchParams: tiling is .*; give it TilingParams"):
        SearchParams(tiling=DEFAULTS.coverage)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="params is None; give it SearchParams"):
        SolveOptions(params=None)  # type: ignore[arg-type]
    with pytest.raises(FrozenInstanceError):
        DEFAULTS.tiling.large_servers = 3  # type: ignore[misc]


def test_differences_are_what_was_changed() -> None:
    """And changing them again gives the same parameters."""
    assert DEFAULTS.differences() == {}
    changes = {"local_search": {"runs": 2, "hot": [0.1]}, "tiling": {"large_servers": 64}}
    changed = DEFAULTS.changed(changes)
    assert changed.differences() == {"local_search": {"runs": 2, "hot": [0.1]}}
    assert DEFAULTS.changed(changed.differences()) == changed
    assert len(FIELDS) == sum(len(fields(p)) for p in sections().values())  # type: ignore[arg-type]


def test_a_range_reads_as_mathematics() -> None:
    """As it stands in docstrings and in the docs."""
    assert str(Range(1)) == " >= 1"
    assert str(Range(0, 1, above=True)) == ", 0 < x <= 1"
    assert str(Range(1, above=True)) == " > 1"
