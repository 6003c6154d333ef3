"""Latency distributions as a static picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cli.views.latency import drawn_curves, latency_curves
from cli.views.palette import LINES
from cli.views.scales import log_ticks, plain, shorten
from runtime.scene import Scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DASHES = ("solid", (0, (5, 2)), (0, (1, 1)), (0, (5, 2, 1, 2)), (0, (8, 2)), (0, (2, 1)))


def draw_latency(figure: Figure, scene: Scene) -> None:
    """Draw the share of requests completed within a latency, a line a workflow."""
    figure.set_size_inches(7.0, 3.6)
    ax = figure.subplots()
    curves = drawn_curves(latency_curves(scene))
    for i, curve in enumerate(curves):
        ax.ecdf(
            curve.latency_s,
            label=shorten(f"{curve.name} ({len(curve.latency_s):,})", 32, 1.0).lstrip("_"),
            color=LINES[i % len(LINES)],
            linestyle=DASHES[i % len(DASHES)],
        )
    every = np.concatenate([c.latency_s for c in curves]) if curves else np.ones(1)
    if every.min() > 0 and every.max() / every.min() > 20:
        ax.set_xscale("log")
        marks = log_ticks(float(every.min()), float(every.max()))
        ax.set_xticks(marks, [plain(t) for t in marks])
        ax.minorticks_off()
    ax.grid(visible=True)
    ax.yaxis.set_major_formatter("{x:.0%}")
    ax.set(
        xlabel="latency from release to the last node's end (s)",
        ylabel="requests completed",
        title="Request latency by workflow",
    )
    if curves:
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8)
