"""Verdicts as boxes: level, words and how they are known; nothing in them is markup."""

from __future__ import annotations

from cli.views.verdicts import verdict_boxes
from placement.problem.verdict import Remark, Verdict


def test_a_box_says_it_all() -> None:
    """Each subject with its level, which is its class too, the headline and every remark."""
    boxes = verdict_boxes(
        [
            ("The plan", Verdict("good", "all fits", (Remark("GPU 3 is busiest", "expected"),))),
            ("The run", Verdict("poor", "queues grow")),
        ]
    )
    assert boxes is not None
    for words in (
        'class="verdict good"',
        "The plan: good</strong> · all fits",
        "GPU 3 is busiest <small>expected</small>",
        'class="verdict poor"',
        "queues grow",
    ):
        assert words in boxes
    assert boxes.count("<ul>") == 1


def test_names_are_no_markup() -> None:
    """A workflow may be called anything."""
    boxes = verdict_boxes([("x", Verdict("fair", "<script>", (Remark("<b>", "simulated"),)))])
    assert boxes is not None
    assert "<script>" not in boxes
    assert "<b>" not in boxes


def test_nothing_to_say_is_no_box() -> None:
    """A page without verdicts has no empty frame."""
    assert verdict_boxes([]) is None
