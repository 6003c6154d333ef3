"""Text as it may be shown: what a terminal or a page would obey is written as an escape."""

from __future__ import annotations

import re

_OBEYED = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, line separators, marks that turn the direction of writing, and halves of
surrogate pairs, which no output can hold."""


def visible(text: str, keep: str = "") -> str:
    """Write what would move the cursor, colour, hide or reorder text as an escape.

    Parameters
    ----------
    text : str
        A name, a path or a sentence that holds some.
    keep : str
        Characters that stay as they are, such as the line breaks of a text of several lines.
    """
    return _OBEYED.sub(
        lambda found: found[0] if found[0] in keep else _escape(found[0]),
        text,
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
