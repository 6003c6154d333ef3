"""Faults: said together, counted beyond what anybody reads, with lines and the nearest name."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from placement.support.faults import (
    COMPARED_NAMES,
    SHOWN_FAULTS,
    FaultList,
    InputError,
    Place,
    Spot,
    input_error,
    nearest,
    suggest,
)


class Lines:
    """A document that knows the line of some places, and counts how often it is asked."""

    asked = 0

    def lines(self, places: Collection[Place]) -> Mapping[Place, int]:
        self.asked += 1
        return {p: len(p) + 10 for p in places if p != ("unknown",)}


def test_faults_are_said_together_and_the_rest_is_counted() -> None:
    """The first in words, in their order; a list without any raises nothing."""
    FaultList("f").raise_if_any()
    faults = FaultList("f.yaml")
    for i in range(SHOWN_FAULTS + 3):
        assert faults.full == (i >= SHOWN_FAULTS)
        faults.add(f"key{i}", "is wrong", "mend it")
    faults.count(2)
    assert len(faults) == SHOWN_FAULTS + 5
    with pytest.raises(InputError) as found:
        faults.raise_if_any()
    lines = str(found.value).splitlines()
    assert lines[0] == "f.yaml: key0: is wrong; mend it"
    assert len(lines) == SHOWN_FAULTS + 1
    assert lines[-1] == "f.yaml: and 5 more; mend these first"


def test_lines_are_looked_up_once_a_document() -> None:
    """And stand behind the place; a place without a line is named all the same."""
    one, other = Lines(), Lines()
    faults = FaultList("f.yaml")
    faults.add(Spot(one, ("a",), "a"), "x", "y")
    faults.add(Spot(one, ("a", 1), "a[1]"), "x", "y")
    faults.add(Spot(other, ("unknown",), "unknown"), "x", "y")
    with pytest.raises(InputError) as found:
        faults.raise_if_any()
    assert str(found.value).splitlines() == [
        "f.yaml: a (line 11): x; y",
        "f.yaml: a[1] (line 12): x; y",
        "f.yaml: unknown: x; y",
    ]
    assert one.asked == other.asked == 1


def test_a_fault_of_a_whole_file_has_no_key() -> None:
    """And a file without a visible name is quoted."""
    assert str(input_error("f", "", "is empty", "fill it")) == "f: is empty; fill it"
    assert str(input_error(" ", "k", "x", "y")) == "' ': k: x; y"


def test_the_nearest_name_is_offered_whatever_its_case() -> None:
    """Nothing where none is near; among very many, those that begin or end alike."""
    assert nearest("LLAMA-7b", ["whisper", "llama-7B"]) == "llama-7B"
    assert nearest("zzz", ["llama", "whisper"]) is None
    many = [f"model{i:05d}" for i in range(COMPARED_NAMES * 2)]
    assert nearest("xodel00017", [*many, "whisper-large"]) in many
    assert suggest("lama", ["llama"], "model") == "did you mean 'llama'?"
    assert suggest("a", [], "model") == "there is no model at all, add one"
    assert suggest("q", ["x", "y"], "model") == "use a model that exists: 'x', 'y'"
    listed = suggest("q", [f"x{i}{i}" for i in range(9)], "model")
    assert listed.endswith("'x77', ...")
