"""What other commands answered with --json, as sections of the report."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cli.views.answer_sections import (
    explained_section,
    failures_section,
    migration_section,
    rebalance_section,
    size_section,
    survival_section,
    whatif_section,
)
from cli.views.markup import Markup
from placement.files.syntax.json_text import parse_json
from placement.files.syntax.source import read_bytes
from placement.support.faults import input_error

MOST_BYTES = 10_000_000
MEND = (
    "write the file with --json of size, whatif, rebalance, diff, explain, solve --survive or "
    "simulate --fail"
)

ANSWERS: tuple[tuple[str, str, Callable[[dict[str, Any]], Markup]], ...] = (
    ("sizes", "Size", size_section),
    ("outcomes", "What if", whatif_section),
    ("survive", "Survival", survival_section),
    ("failures", "Failures", failures_section),
    ("explained", "Why", explained_section),
    ("table", "Rebalance", rebalance_section),
    ("steps", "Moves", migration_section),
)
"""Of each answer: the key that only it has of these (the first that is there counts), the name of
its section, and what lays it out."""


@dataclass(frozen=True)
class Finding:
    """An answer to show: a name for the list of sections, and the section."""

    name: str
    section: Markup


def read_finding(path: str | os.PathLike[str]) -> Finding:
    """Read what a command answered.

    Raises
    ------
    InputError
        The file is not there, or is no answer of any of these commands.
    """
    data = parse_json(path, read_bytes(path, MOST_BYTES))
    try:
        for key, name, section in ANSWERS:
            if key in data:
                return Finding(name, section(data))
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    raise input_error(path, "", "is no answer that the report can show", MEND)
