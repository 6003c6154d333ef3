"""Workflow edges between servers as a static picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cli.views.flows import traffic_between
from cli.views.scales import percent
from runtime.scene import Scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STAY, CROSS = "#7f9bb8", "#e0621b"


def draw_flows(figure: Figure, scene: Scene) -> None:
    """Draw, for each server (or servers alike), the edges that leave it: to itself or across."""
    traffic = traffic_between(scene)
    names = traffic.names
    stay, cross = traffic.stay, traffic.cross.sum(axis=1)
    total = int(stay.sum() + cross.sum())
    figure.set_size_inches(7.0, 1.3 + 0.26 * max(len(names), 3))
    ax = figure.subplots()
    place = np.arange(len(names))
    ax.barh(place, stay, 0.7, color=STAY, label="stay on the server")
    bars = ax.barh(place, cross, 0.7, left=stay, color=CROSS, label="cross to another")
    shares = [f"{c:,} of {s + c:,} cross" for s, c in zip(stay, cross, strict=True)]
    ax.bar_label(bars, shares, padding=4, fontsize=7)
    ax.set_yticks(place, names, fontsize=8)
    ax.set(ylim=(max(len(names), 1) - 0.5, -0.5), xlabel="workflow edges that leave from here")
    ax.margins(x=0.18)
    ax.tick_params(axis="y", length=0)
    ax.set_title(
        f"{percent(float(stay.sum()) / total)} of {total:,} edges stay on their server"
        if total
        else "No workflow of this trace has an edge",
        pad=20,
    )
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, fontsize=8)
