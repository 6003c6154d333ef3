"""Warnings about the input: a line each on stderr, unless the command was told to be quiet."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from placement.support.escaping import visible


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
            click.echo(f"warning: {visible(text)}", err=True)

    with warnings.catch_warnings():
        before = warnings.showwarning
        warnings.showwarning = show
        yield
