"""Help whose lines end between words: no option is broken at one of its hyphens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

WHOLE = "\u2011"
"""A hyphen at which no line ends; printed as a plain one."""


class WholeWords(click.HelpFormatter):
    """Breaks no word at a hyphen, which click's own would."""

    def write_text(self, text: str) -> None:
        """Write a paragraph."""
        super().write_text(text.replace("-", WHOLE))

    def write_dl(self, rows: Iterable[tuple[str, str]], *layout: Any, **more: Any) -> None:
        """Write names and what they mean.

        Parameters
        ----------
        rows : iterable of (str, str)
            A name and its meaning each.
        *layout, **more
            Widths, as click's own has them.
        """
        whole = [(name, text.replace("-", WHOLE)) for name, text in rows]
        super().write_dl(whole, *layout, **more)

    def getvalue(self) -> str:
        """Give the text."""
        return super().getvalue().replace(WHOLE, "-")


class HelpContext(click.Context):
    """A context whose help breaks no word."""

    formatter_class = WholeWords
