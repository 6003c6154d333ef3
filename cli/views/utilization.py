"""Utilization of every GPU over time, as a heat map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cli.views.markup import NARROW, Markup, behind, both_widths, mark, picture, table, tag
from cli.views.palette import HEAT_STEPS, heat_legend
from cli.views.scales import percent, plain, seconds, ticks
from cli.views.servers import group_servers
from placement.problem.cluster import FloatArray
from placement.support.described import counted
from placement.support.equality import ByContent
from runtime.figures import gpu_busy
from runtime.scene import Scene

BINS = 120
MOST_ROWS = 64
LEFT = 128


@dataclass(frozen=True, eq=False)
class Heat(ByContent):
    """Busy shares over time: `busy` has a row per name, `edges_s` bounds its columns."""

    unit: str
    names: list[str]
    edges_s: FloatArray
    busy: FloatArray


def utilization_heat(scene: Scene, *, bins: int = BINS, most_rows: int = MOST_ROWS) -> Heat:
    """Busy shares of GPUs; of servers, then of groups of like servers, where GPUs are too many.

    Parameters
    ----------
    scene : Scene
        With what ran when.
    bins : int
        Equal parts of the makespan.
    most_rows : int
        Rows that can still be told apart; groups beyond are put into one.
    """
    cluster = scene.plan.cluster
    edges, busy = gpu_busy(scene, bins)
    server = cluster.gpu_server
    if cluster.n_gpus <= most_rows:
        names = [f"GPU {g} (server {s})" for g, s in enumerate(server)]
        return Heat("GPU", names, edges, busy)
    per_server = np.add.reduceat(busy, cluster.first_gpu, axis=0) / cluster.server_gpus[:, None]
    if cluster.n_servers <= most_rows:
        return Heat("server", [f"Server {s}" for s in range(cluster.n_servers)], edges, per_server)
    groups = group_servers(scene)
    names, rows = [], []
    for group in groups[: most_rows - 1]:
        names.append(
            f"{len(group.servers)} like server {group.servers[0]}"
            if len(group.servers) > 1
            else f"Server {group.servers[0]}"
        )
        rows.append(per_server[group.servers].mean(axis=0))
    rest = [s for group in groups[most_rows - 1 :] for s in group.servers]
    if rest:
        names.append(counted(len(rest), "other server"))
        rows.append(per_server[rest].mean(axis=0))
    return Heat("group of like servers", names, edges, np.array(rows))


def utilization_map(scene: Scene) -> Markup:
    """Draw how busy each GPU (server, group of servers) was over the run."""
    heat = utilization_heat(scene)
    _, whole = gpu_busy(scene, 1)
    mean = whole[:, 0]
    idle = int((mean == 0).sum())
    finding = (
        f"GPUs are busy {percent(float(mean.mean()))} of the makespan of "
        f"{seconds(float(heat.edges_s[-1]))} in the mean; the busiest {percent(float(mean.max()))}"
        + (f", {idle} of {len(mean)} never." if idle else ".")
    )
    rows = [
        (name, percent(float(row.mean())), percent(float(row.max())))
        for name, row in zip(heat.names, heat.busy, strict=True)
    ]
    bin_s = float(heat.edges_s[1] - heat.edges_s[0])
    head = (heat.unit.capitalize(), "Mean", f"Busiest {plain(bin_s)} s")
    return tag(
        "section",
        tag("h2", f"How busy each {heat.unit} is over time"),
        tag("p", finding, class_="lead"),
        both_widths(lambda across: _heat_picture(heat, across)),
        heat_legend("idle", "100 % busy"),
        behind("Utilization as a table", table(f"Utilization by {heat.unit}", head, rows)),
    )


def _heat_picture(heat: Heat, across: int) -> Markup:
    slim = across == NARROW
    shown = across - LEFT - 24
    n_rows, bins = heat.busy.shape
    cell = max(9.0, min(22.0, 420 / n_rows))
    width = shown / bins
    level = np.minimum((heat.busy * HEAT_STEPS).astype(np.int64), HEAT_STEPS - 1)
    paths = [
        tag("path", d=_cells(level == step, LEFT, width, cell), class_=f"cell h{step}")
        for step in range(HEAT_STEPS)
        if (level == step).any()
    ]
    rows = [
        mark(
            f"{name}\nmean {percent(float(row.mean()))}, peak {percent(float(row.max()))}",
            tag("rect", x=LEFT, y=i * cell, width=shown, height=cell, class_="clear"),
        )
        for i, (name, row) in enumerate(zip(heat.names, heat.busy, strict=True))
    ]
    every = max(1, int(np.ceil(11 / cell)))
    labels = [
        tag("text", name, x=LEFT - 6, y=(i + 0.5) * cell + 4, class_="axis end")
        for i, name in enumerate(heat.names)
        if i % every == 0
    ]
    end = float(heat.edges_s[-1]) or 1.0
    bottom = n_rows * cell
    axis = [
        tag("text", plain(t), x=LEFT + shown * t / end, y=bottom + 16, class_="axis mid")
        for t in ticks(0.0, end, 3 if slim else 8)
    ]
    title = tag(
        "text",
        "time since the first request (s)",
        x=LEFT + shown / 2,
        y=bottom + 34,
        class_="axis mid",
    )
    return picture(
        f"Busy share of each {heat.unit} over time", across, bottom + 42,
        paths, rows, labels, axis, title,
    )  # fmt: skip


def _cells(chosen: np.ndarray, left: float, width: float, height: float) -> str:
    # Neighbours of one level are one rectangle, which keeps the page small.
    parts = []
    for i, row in enumerate(chosen):
        steps = np.flatnonzero(np.diff(np.concatenate(([0], row.astype(np.int8), [0]))))
        for a, b in steps.reshape(-1, 2):
            parts.append(
                f"M{left + a * width:.1f} {i * height:.1f}h{(b - a) * width:.1f}"
                f"v{height:.1f}h{-(b - a) * width:.1f}z"
            )
    return "".join(parts)
