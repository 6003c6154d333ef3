"""Results that print themselves, and let nothing in a name be obeyed."""

from __future__ import annotations

from placement.support.described import Described, Facts, counted, listed

BAD = "\x1b[31m<b>&"


class Result(Described):
    headline = f"of {BAD}"  # type: ignore[assignment]

    def facts(self) -> Facts:
        return [("a", "1"), (f"long {BAD}", "22")]


def test_names_are_shown_and_not_obeyed() -> None:
    """Neither a terminal nor a notebook takes a name for an instruction."""
    shown = Result()
    assert repr(shown) == "<Result: of \\x1b[31m<b>&>"
    assert shown.summary() == "a                  1\nlong \\x1b[31m<b>&  22"
    page = shown._repr_html_()
    assert "\x1b" not in page
    assert "<b>" not in page
    assert "long \\x1b[31m&lt;b&gt;&amp;" in page
    assert page.count("<tr>") == 2


def test_one_thing_is_singular() -> None:
    """Only a count of one goes without the plural."""
    assert counted(1, "server") == "1 server"
    assert counted(1024, "GPU") == "1,024 GPUs"


def test_what_a_list_leaves_out_is_counted() -> None:
    """As many names as asked for, and no more where they are all."""
    assert listed(("a", "b"), 2) == "a, b"
    assert listed(("a", "b", "c", "d"), 1) == "a and 3 more"
