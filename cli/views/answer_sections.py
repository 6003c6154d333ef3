"""Sections of the report that show what other commands answered with --json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cli.views.markup import Markup, table, tag
from cli.views.scales import percent, plain, seconds
from placement.problem.names import LOAD_AFTER_LOSS
from placement.support.described import counted

Figures = tuple[tuple[str, str, Callable[[float], str]], ...]
"""What each figure is called, its key, and how it is written."""

WHATIF: Figures = (
    ("Server efficiency, expected", "server_efficiency", percent),
    ("Server efficiency, simulated", "simulated_server_efficiency", lambda v: percent(v / 100)),
    ("Busiest GPU, expected", "max_utilization", percent),
    ("Headroom by mean rates", "headroom", lambda v: f"{v:.2f}×"),
    ("Mean latency", "mean_latency", seconds),
    ("P99 latency", "p99", seconds),
    ("Requests that failed", "failed_requests", plain),
)

SURVIVAL: Figures = (
    ("Locality", "objective", lambda v: f"{v:.4f}"),
    ("Server efficiency, expected", "server_efficiency", percent),
    ("Edges kept, expected", "edge_locality", percent),
    ("Busiest GPU", "max_utilization", percent),
    ("Headroom by mean rates", "headroom", lambda v: f"{v:.2f}×"),
)

FAILURES: Figures = (
    ("Calls interrupted", "interrupted_calls", plain),
    ("Of these, served after all", "served_after_all", plain),
    ("Requests that failed", "failed_requests", plain),
    ("Service lost with the GPUs", "lost_service_time", seconds),
)


def size_section(data: dict[str, Any]) -> Markup:
    """Lay out what `size` tried, and the fewest servers that do."""
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


def whatif_section(data: dict[str, Any]) -> Markup:
    """Lay out the outcomes of `whatif` side by side."""
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


def survival_section(data: dict[str, Any]) -> Markup:
    """Lay out what `solve --survive` pays for bearing the loss of any one server."""
    price = data["survive"]
    without, kept = price["without"], price["with"]
    rows = [(name, write(without[key]), write(kept[key])) for name, key, write in SURVIVAL]
    server, load = price["worst_server"], percent(price[LOAD_AFTER_LOSS])
    return tag(
        "section",
        tag("h2", "If any one server is lost"),
        tag(
            "p",
            f"The worst to lose is server {server}: the busiest GPU is then {load} busy, "
            "and every workflow is still served.",
            class_="lead",
        ),
        table("What surviving costs", ("Figure", "Not asked for", "Survived"), rows),
    )


def failures_section(data: dict[str, Any]) -> Markup:
    """Lay out what became of what `simulate --fail` interrupted."""
    lost, summary = data["failures"], data["summary"]
    rows = [(name, write(lost[key])) for name, key, write in FAILURES]
    done, total = summary["completed_requests"], summary["total_requests"]
    outages = [tag("li", _outage(outage)) for outage in lost["outages"]]
    return tag(
        "section",
        tag("h2", "When something fails"),
        tag(
            "p",
            f"{plain(done)} of {counted(total, 'request')} completed, "
            f"{plain(total - done)} failed.",
            class_="lead",
        ),
        tag("ul", outages),
        table("What was interrupted", ("Figure", "In this run"), rows),
    )


def _outage(outage: dict[str, Any]) -> str:
    gpu = "" if outage["gpu"] is None else f"GPU {outage['gpu']} of "
    until = "to the end" if outage["until"] is None else f"to {seconds(outage['until'])}"
    return f"{gpu}server {outage['server']} away from {seconds(outage['from'])} {until}"


def explained_section(data: dict[str, Any]) -> Markup:
    """Lay out the sentences of `explain`, by what they are about."""
    return tag(
        "section",
        tag("h2", "Why it is so"),
        [
            (tag("h3", subject), tag("ul", [tag("li", remark["text"]) for remark in remarks]))
            for subject, remarks in data["explained"].items()
        ],
    )


def rebalance_section(data: dict[str, Any]) -> Markup:
    """Lay out what more moves buy, and the steps to the plan that `rebalance` chose."""
    rows = [
        ("any" if row["max_moves"] is None else plain(row["max_moves"]), *_offer(row))
        for row in data["table"]
    ]
    head = ("Moves allowed", "Loaded", "GB", "Seconds", "Server efficiency", "Busiest GPU")
    return tag(
        "section",
        tag("h2", "What more moves buy"),
        table("Moves against gain", head, rows),
        tag("h3", "The plan that was chosen"),
        _steps(data),
    )


def _offer(row: dict[str, Any]) -> tuple[str, ...]:
    if "moves" not in row:
        return (str(row["reason"]), "–", "–", "–", "–")
    return (
        plain(row["moves"]),
        plain(row["loaded_gb"]),
        plain(row["load_seconds"]),
        percent(row["server_efficiency"]),
        percent(row["max_utilization"]),
    )


def migration_section(data: dict[str, Any]) -> Markup:
    """Lay out the steps from one plan to another, as `diff` orders them."""
    return tag("section", tag("h2", "What moves"), _steps(data))


def _steps(data: dict[str, Any]) -> Markup:
    took = data["load_seconds"]
    loading = "" if took is None else f", {seconds(took)} where servers load side by side"
    lead = (
        f"{counted(data['kept'], 'replica')} stay, {len(data['loaded']):,} are loaded "
        f"({data['loaded_gb']:,.0f} GB{loading}), {len(data['unloaded']):,} unloaded."
    )
    bare = ", ".join(data["interrupted"])
    rows = [
        (i, step["action"], step["model"], step["server"], _gpus(step))
        for i, step in enumerate(data["steps"], 1)
    ]
    return tag(
        "div",
        tag("p", lead, class_="lead"),
        tag("p", f"Without a replica for a while: {bare}.", class_="notice") if bare else None,
        table("Steps, in order", ("Step", "", "Model", "Server", "GPUs"), rows) if rows else None,
    )


def _gpus(block: dict[str, Any]) -> str:
    first, count = block["start"], block["gpus"]
    return str(first) if count == 1 else f"{first} to {first + count - 1}"
