"""Results that print themselves, and let nothing in a name be obeyed."""

from __future__ import annotations

from placement.support.described import Described, Facts

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
