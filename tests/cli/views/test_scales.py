"""Ticks, ranges and shortened names."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cli.views.scales import ranges, shorten, ticks
from placement.support.escaping import visible


def test_ranges_say_every_number_or_how_many_more():
    """Runs of numbers are written as ranges; what is left out is counted."""
    assert ranges([0, 1, 2, 7, 9, 10]) == "0–2, 7, 9–10"
    assert ranges([0, 2, 4, 6, 7], most=2) == "0, 2 and 3 more"


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_round_and_inside(low, span):
    """Ticks lie between the ends, evenly, and number about as many as asked for."""
    marks = np.array(ticks(low, low + span, 5))
    slack = span * 1e-6
    assert ((marks >= low - slack) & (marks <= low + span + slack)).all()
    assert 1 <= len(marks) <= 7


@given(st.text(min_size=1, max_size=30), st.integers(0, 40))
def test_a_shortened_name_fits_and_keeps_its_ends(name, room):
    """A name is whole where it fits; else it is as long as there is room, with both its ends."""
    name = visible(name)  # what is shown of it
    short = shorten(name, room, 1.0)
    if len(name) <= room:
        assert short == name
    elif room < 3:
        assert short == ""
    else:
        head, _, tail = short.partition("…") if "…" not in name else (short, "", "")
        assert len(short) == room
        assert name.startswith(head) or "…" in name
        assert name.endswith(tail)
