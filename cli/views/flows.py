"""Workflow edges between servers: what stays, what crosses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cli.views.markup import NARROW, Markup, behind, both_widths, mark, picture, table, tag
from cli.views.scales import percent, shorten
from cli.views.servers import group_servers
from placement.problem.cluster import FloatArray, IntArray
from placement.support.equality import ByContent
from runtime.figures import edge_traffic
from runtime.scene import Scene

MOST_ENDS = 12
HEIGHT, NODE, GAP = 440, 12, 8


@dataclass(frozen=True, eq=False)
class Traffic(ByContent):
    """Edges between the ends that are drawn.

    Parameters
    ----------
    names : list of str, length K
        A server each, or servers that hold the same; the last may hold the rest.
    stay : int64, shape (K,)
        Edges whose ends ran on one server.
    cross : int64, shape (K, K)
        Edges between two servers; the diagonal counts two servers of one group.
    """

    names: list[str]
    stay: IntArray
    cross: IntArray


def traffic_between(scene: Scene) -> Traffic:
    """Add the edges of a run up over servers, or groups of servers, the busiest first."""
    source, target, count = edge_traffic(scene)
    groups = group_servers(scene)
    member = np.zeros(scene.plan.cluster.n_servers, dtype=np.int64)
    for g, group in enumerate(groups):
        member[group.servers] = g
    weight = np.zeros(len(groups))
    np.add.at(weight, member[source], count)
    np.add.at(weight, member[target], count)
    order = np.argsort(-weight, kind="stable")
    names = [_name(groups[g].servers) for g in order]
    place = np.argsort(order)
    if len(groups) > MOST_ENDS:
        names = [*names[: MOST_ENDS - 1], f"{len(groups) - MOST_ENDS + 1} other groups"]
        place = np.minimum(place, MOST_ENDS - 1)
    stay = np.zeros(len(names), dtype=np.int64)
    cross = np.zeros((len(names), len(names)), dtype=np.int64)
    same = source == target
    np.add.at(stay, place[member[source[same]]], count[same])
    ends = place[member[source[~same]]], place[member[target[~same]]]
    np.add.at(cross, ends, count[~same])
    used = (stay + cross.sum(axis=0) + cross.sum(axis=1)) > 0
    return Traffic(
        [n for n, u in zip(names, used, strict=True) if u], stay[used], cross[np.ix_(used, used)]
    )


def _name(servers: IntArray) -> str:
    if len(servers) == 1:
        return f"Server {servers[0]}"
    return f"{len(servers)} like server {servers[0]}"


def server_flows(scene: Scene) -> Markup:
    """Draw the edges of the workflows from the servers they left to those they reached."""
    traffic = traffic_between(scene)
    stay, crossing = int(traffic.stay.sum()), int(traffic.cross.sum())
    total = stay + crossing
    title = tag("h2", "What stays on a server, what crosses the network")
    if not total:
        return tag("section", title, tag("p", "No workflow of this trace has an edge."))
    finding = (
        f"{percent(stay / total)} of {total:,} workflow edges stay on their server; "
        f"{crossing:,} cross ({crossing / scene.trace.n_requests:.2f} a request)."
    )
    return tag(
        "section",
        title,
        tag("p", finding, class_="lead"),
        tag(
            "p",
            tag("span", class_="swatch stay"),
            " stays on the server  ",
            tag("span", class_="swatch cross"),
            " crosses to another",
            class_="key",
        ),
        both_widths(lambda across: _sankey(traffic, total, across)),
        behind("Edges between servers as a table", _flow_table(traffic, total)),
    )


def _sankey(traffic: Traffic, total: int, across: int) -> Markup:
    margin = 84 if across == NARROW else 130
    out = traffic.stay + traffic.cross.sum(axis=1)
    into = traffic.stay + traffic.cross.sum(axis=0)
    room = HEIGHT - GAP * (len(out) - 1) - 30
    scale = room / total
    top_out, top_in = _tops(out * scale), _tops(into * scale)
    left, right = margin, across - margin - NODE
    ribbons: list[Markup] = []
    used_out, used_in = top_out.copy(), top_in.copy()
    for kind in ("stay", "cross"):
        matrix = np.diag(traffic.stay) if kind == "stay" else traffic.cross
        for i, j in np.argwhere(matrix > 0):
            thick = matrix[i, j] * scale
            verb = "stay on their server" if kind == "stay" else "cross"
            tip = (
                f"{traffic.names[i]} to {traffic.names[j]}\n{matrix[i, j]:,} edges {verb} "
                f"({percent(matrix[i, j] / total)})"
            )
            shape = _ribbon(left + NODE, used_out[i], right, used_in[j], max(thick, 0.6))
            ribbons.append(mark(tip, tag("path", d=shape, class_=f"ribbon {kind}")))
            used_out[i] += thick
            used_in[j] += thick
    ends = []
    for i, name in enumerate(traffic.names):
        for x, top, size, text, side in (
            (left, top_out[i], out[i] * scale, left - 8, "end"),
            (right, top_in[i], into[i] * scale, right + NODE + 8, ""),
        ):
            ends.append(tag("rect", x=x, y=top, width=NODE, height=max(size, 1), class_="node"))
            label = shorten(name, margin - 10)
            ends.append(tag("text", label, x=text, y=top + size / 2 + 4, class_=f"axis {side}"))
    heads = [
        tag("text", "edge leaves", x=left + NODE, y=12, class_="axis end"),
        tag("text", "edge arrives", x=right, y=12, class_="axis"),
    ]
    height = max(float(top_out[-1] + out[-1] * scale), float(top_in[-1] + into[-1] * scale)) + 10
    return picture("Workflow edges between servers", across, height, ribbons, ends, heads)


def _tops(sizes: FloatArray) -> FloatArray:
    return 24.0 + np.concatenate(([0.0], np.cumsum(sizes + GAP)[:-1]))


def _ribbon(x0: float, y0: float, x1: float, y1: float, thick: float) -> str:
    mid = (x0 + x1) / 2
    return (
        f"M{x0:.1f} {y0:.1f}C{mid:.1f} {y0:.1f} {mid:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
        f"V{y1 + thick:.1f}C{mid:.1f} {y1 + thick:.1f} {mid:.1f} {y0 + thick:.1f} "
        f"{x0:.1f} {y0 + thick:.1f}Z"
    )


def _flow_table(traffic: Traffic, total: int) -> Markup:
    rows: list[tuple[str, str, str, str]] = [
        (n, n + " (same server)", f"{s:,}", percent(s / total))
        for n, s in zip(traffic.names, traffic.stay, strict=True)
        if s
    ]
    for i, j in np.argwhere(traffic.cross > 0):
        count = traffic.cross[i, j]
        rows.append((traffic.names[i], traffic.names[j], f"{count:,}", percent(count / total)))
    return table(
        "Workflow edges by the servers of their ends",
        ("From", "To", "Edges", "Share of all edges"),
        rows,
    )
