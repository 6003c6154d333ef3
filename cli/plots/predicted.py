"""Simulated against measured latency of every request, before and after a calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cli.views.scales import log_ticks, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from runtime.calibration.errors import Comparison

    Pair = tuple[Comparison, Comparison]

BEFORE, AFTER = "#c2570c", "#0b6e99"


def draw_calibration(figure: Figure, pair: Pair) -> None:
    """Draw a point a request; on the diagonal the simulation is right."""
    figure.set_size_inches(5.6, 5.2)
    ax = figure.subplots()
    every = np.concatenate([np.concatenate([c.real_s, c.simulated_s]) for c in pair])
    every = every[every > 0]
    low, high = (float(every.min()), float(every.max())) if len(every) else (0.1, 1.0)
    low, high = low / 1.15, high * 1.15
    ax.plot([low, high], [low, high], color="#55616f", linewidth=0.8, zorder=1)
    for found, name, colour, mark in zip(
        pair, ("before", "after"), (BEFORE, AFTER), ("x", "o"), strict=True
    ):
        ax.scatter(
            found.real_s,
            found.simulated_s,
            s=14,
            marker=mark,
            linewidths=0.8,
            alpha=0.7,
            color=colour,
            label=f"{name}: {found.per_request:.1%} mean error",
        )
    ticks = log_ticks(low, high) or [low, high]
    ax.set(xscale="log", yscale="log")
    for axis in (ax.xaxis, ax.yaxis):
        # The library writes powers of ten as formulas, which names must not be taken for.
        axis.set_ticks(ticks, [plain(t) for t in ticks])
        axis.set_ticks([], minor=True)
    ax.set(xlim=(low, high), ylim=(low, high))
    ax.set_aspect("equal")
    ax.grid(visible=True)
    ax.set(
        xlabel="measured latency of a request (s)",
        ylabel="simulated latency (s)",
        title="Every request, measured and simulated",
    )
    ax.legend(loc="upper left", fontsize=8)
