"""What a terminal would obey is shown as an escape, and all else as it is."""

import unicodedata

import pytest

from placement.problem.outcome import Infeasible
from placement.support.escaping import visible
from placement.support.faults import Fault, input_error


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("two\nlines\tand\rmore", "two\\nlines\\tand\\rmore"),
        ("\x9b2J\x7f", "\\x9b2J\\x7f"),
        ("abc\u202edef", "abc\\u202edef"),
        ("half \ud83d", "half \\ud83d"),
        ("grün 模型 👩‍🚀 é a\\b", "grün 模型 👩‍🚀 é a\\b"),
    ],
)
def test_what_is_obeyed_is_escaped(text: str, shown: str) -> None:
    """Control characters, line breaks and marks of direction; letters and emoji stay."""
    assert visible(text) == shown
    assert visible(shown) == shown


def test_no_control_character_is_left() -> None:
    """Of all characters, none that moves a cursor gets through, but those asked for."""
    every = "".join(map(chr, range(0x110000)))
    left = {c for c in visible(every) if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")}
    assert left == set()
    assert visible("a\nb\t", keep="\n") == "a\nb\\t"


def test_errors_show_names_escaped() -> None:
    """A name cannot colour an error nor begin a line of its own."""
    fault = Fault("a\x1b[2Jb.yaml", "models.x\ny", "is wrong", "mend it")
    assert str(fault) == "a\\x1b[2Jb.yaml: models.x\\ny: is wrong; mend it"
    assert "\x1b" not in str(input_error("\x1b", "", "is wrong", "mend it"))
    assert str(Infeasible("no room for a\nb")) == "no room for a\\nb"
