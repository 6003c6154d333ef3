"""What `size --json` and `whatif --json` wrote, as sections of the report."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cli.views.markup import Markup, table, tag
from cli.views.scales import percent, plain, seconds
from placement.files.syntax.json_text import parse_json
from placement.files.syntax.source import read_bytes
from placement.support.described import counted
from placement.support.faults import input_error

MOST_BYTES = 10_000_000
MEND = "write the file with size --json or whatif --json"

WHATIF: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("Server efficiency, expected", "server_efficiency", percent),
    ("Server efficiency, simulated", "simulated_server_efficiency", lambda v: percent(v / 100)),
    ("Busiest GPU, expected", "max_utilization", percent),
    ("Headroom by mean rates", "headroom", lambda v: f"{v:.2f}×"),
    ("Mean latency", "mean_latency", seconds),
    ("P99 latency", "p99", seconds),
    ("Requests that failed", "failed_requests", plain),
)
"""Figures of an outcome: what each is called, its key, and how it is written."""


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
        The file is not there, or is no answer of either command.
    """
    data = parse_json(path, read_bytes(path, MOST_BYTES))
    try:
        return (
            Finding("Size", _size(data)) if "sizes" in data else Finding("What if", _whatif(data))
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise input_error(path, "", "is no answer of size or whatif", MEND) from None


def _size(data: dict[str, Any]) -> Markup:
    found = data["servers"]
    if found is None:
        finding = "No number of servers that was tried reaches the goal."
    else:
        fewer = "fewer are proven not to" if data["proven"] else "that fewer cannot is not proven"
        cluster = f"{counted(found, 'server')} ({counted(data['gpus'], 'GPU')})"
        finding = f"{cluster} reach the goal; {fewer}."
    rows = [
        (
            counted(size["servers"], "server"),
            "–" if size["server_efficiency"] is None else percent(size["server_efficiency"]),
            "–" if size["busiest"] is None else percent(size["busiest"]),
            "–" if size["tail"] is None else seconds(size["tail"]["seconds"]),
            "reaches the goal" if size["meets"] else str(size["impossible"] or "falls short"),
        )
        for size in data["sizes"]
    ]
    head = ("Servers", "Server efficiency", "Busiest GPU", "P99 latency", "Goal")
    return tag(
        "section",
        tag("h2", "How many servers"),
        tag("p", finding, class_="lead"),
        table("Sizes that were tried", head, rows),
    )


def _whatif(data: dict[str, Any]) -> Markup:
    outcomes: dict[str, dict[str, Any]] = data["outcomes"]
    rows = [(name, *(write(o[key]) for o in outcomes.values())) for name, key, write in WHATIF]
    said = [
        tag("li", f"{name}: {outcome['verdict']}, {outcome['headline']}")
        for name, outcome in outcomes.items()
    ]
    lost = ", ".join(data["lost_workflows"])
    return tag(
        "section",
        tag("h2", f"What if: {data['change']}"),
        tag("ul", said),
        tag("p", f"Not served any more: {lost}.", class_="notice") if lost else None,
        table(f"The plan with {data['change']}", ("Figure", *outcomes), rows),
    )
