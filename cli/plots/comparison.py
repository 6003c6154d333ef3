"""Two plans beside each other as a static picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cli.views.comparison import compared
from runtime.scene import Scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#1f6fb2", "#b9a26a")


def draw_comparison(figure: Figure, scene: Scene, other: Scene) -> None:
    """Draw a pair of bars a figure, each pair on its own scale from 0.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Empty; its size is set.
    scene, other : Scene
        The plans, each as it ran.
    """
    metrics = compared(scene, other)
    figure.set_size_inches(8.0, 0.52 * len(metrics) + 0.7)
    ax = figure.subplots()
    place = np.arange(len(metrics))
    most = [max((abs(v) for v in m.values if np.isfinite(v)), default=0.0) or 1.0 for m in metrics]
    for j, (name, colour) in enumerate(zip((scene.name, other.name), COLOURS, strict=True)):
        length = [
            min(1.0, abs(m.values[j]) / top) if np.isfinite(m.values[j]) else 1.0
            for m, top in zip(metrics, most, strict=True)
        ]
        bars = ax.barh(place + (j - 0.5) * 0.36, length, 0.34, color=colour, label=name)
        ax.bar_label(bars, [m.write(m.values[j]) for m in metrics], padding=3, fontsize=8)
    ax.set_yticks(
        place,
        [f"{m.name}\n{'more' if m.more_is_better else 'less'} is better" for m in metrics],
        fontsize=8,
    )
    ax.set(xlim=(0, 1.15), ylim=(len(metrics) - 0.5, -0.5), xticks=[])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(f"{scene.name} against {other.name}, on the same trace", pad=22)
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, fontsize=8)
