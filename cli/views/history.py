"""The file that `solve --history` writes: how a solve went."""

from __future__ import annotations

import os
from typing import Any

from placement.files.syntax.json_text import parse_json
from placement.files.syntax.source import read_bytes
from placement.problem.outcome import Progress
from placement.support.faults import input_error, show

MOST_BYTES = 100_000_000
MOST = 1e9
"""Seconds and objectives beyond are none, and no axis can show them."""
MEND = "write the file with solve --history FILE"


def read_history(path: str | os.PathLike[str]) -> tuple[Progress, ...]:
    """Read the course of a solve.

    Raises
    ------
    InputError
        The file is not there or is no list of {phase, seconds, incumbent, best_bound}.
    """
    data = parse_json(path, read_bytes(path, MOST_BYTES))
    if not isinstance(data, list):
        raise input_error(path, "", "is no list of events", MEND)
    return tuple(_event(path, i, entry) for i, entry in enumerate(data))


def _event(path: str | os.PathLike[str], i: int, entry: Any) -> Progress:
    if not isinstance(entry, dict) or not isinstance(entry.get("phase"), str):
        raise input_error(path, f"[{i}].phase", "is missing or no text", MEND)
    figures = [_figure(path, i, entry, key) for key in ("seconds", "incumbent", "best_bound")]
    return Progress(entry["phase"], figures[0] or 0.0, figures[1], figures[2])


def _figure(path: str | os.PathLike[str], i: int, entry: dict[str, Any], key: str) -> float | None:
    value = entry.get(key)
    if value is None and key != "seconds":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST:
        return float(value)
    wrong = f"{show(value)} is no number of at most {MOST:g}"
    raise input_error(path, f"[{i}].{key}", wrong, MEND)
