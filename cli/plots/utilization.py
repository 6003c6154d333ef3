"""Utilization over time as a static picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cli.views.utilization import utilization_heat
from runtime.scene import Scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LABELS = 32


def draw_utilization(figure: Figure, scene: Scene) -> None:
    """Draw how busy each GPU (server, group of like servers) was, as a heat map."""
    heat = utilization_heat(scene)
    rows = len(heat.names)
    figure.set_size_inches(8.0, 1.4 + min(6.0, 0.16 * rows))
    ax = figure.subplots()
    image = ax.imshow(
        heat.busy,
        aspect="auto",
        interpolation="nearest",
        cmap="Blues",
        vmin=0.0,
        vmax=1.0,
        extent=(0.0, float(heat.edges_s[-1]) or 1.0, rows - 0.5, -0.5),
    )
    every = -(-rows // MOST_LABELS)
    ax.set_yticks(np.arange(0, rows, every), heat.names[::every], fontsize=7)
    ax.set(xlabel="time since the first request (s)", title=f"Busy share of each {heat.unit}")
    bar = figure.colorbar(image, ax=ax, format="{x:.0%}", shrink=0.8, pad=0.01)
    bar.outline.set_visible(False)
