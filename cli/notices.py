"""Sentences for people: broken between words on a terminal, a line each where they are piped.

Warnings about the input are among them: on stderr, unless the command was told to be quiet.
"""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import fill
from typing import Any, TextIO

import click

from placement.support.escaping import visible


def say(text: str, *, err: bool = False) -> None:
    """Write a sentence, or several lines, as wide as the terminal.

    Parameters
    ----------
    text : str
        Lines that begin with a space are commands to paste, which stay whole.
    err : bool
        On standard error.
    """
    click.echo(broken(text, sys.stderr if err else sys.stdout), err=err)


def broken(text: str, stream: TextIO) -> str:
    """Break lines between words where a stream is a terminal."""
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(
        line if line.startswith(" ") else fill(line, width, break_on_hyphens=False)
        for line in text.split("\n")
    )


@contextmanager
def notices() -> Iterator[None]:
    """Show the warnings of the readers as lines like those of errors, each once."""
    shown: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        # By its name: the readers are imported when they are needed, not before.
        if category.__name__ != "InputWarning":
            before(message, category, *rest, **more)
            return
        context = click.get_current_context(silent=True)
        quiet = context is not None and context.params.get("quiet")
        text = " ".join(str(message).splitlines())
        if not quiet and text not in shown:
            shown.add(text)
            say(f"warning: {visible(text)}", err=True)

    with warnings.catch_warnings():
        before = warnings.showwarning
        warnings.showwarning = show
        yield
