"""Pairs of models, and where they ended up, as a static picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cli.views.matrix import MOST_MODELS, busy_models
from cli.views.scales import shorten
from runtime.figures import model_pairs
from runtime.scene import Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_pairs(figure: Figure, scene: Scene) -> None:
    """Draw the co-occurrence matrix beside the share of each pair kept on one server."""
    pairs = model_pairs(scene)
    shown = busy_models(pairs)[:MOST_MODELS]
    together = np.tril(pairs.together[np.ix_(shown, shown)]).astype(float)
    kept = pairs.kept[np.ix_(shown, shown)]
    names = [shorten(scene.workload.models[m].id, 20, 1.0) for m in shown]
    count = np.ma.masked_equal(together, 0.0)
    side = 1.3 + 0.26 * max(len(shown), 6)
    figure.set_size_inches(2 * side + 1.2, side + 0.5)
    left, right = figure.subplots(1, 2)
    whole = int(together.max(initial=1.0))
    _draw(left, count, names, whole, "{x:,.0f}", "Pairs of calls in one request")
    share = np.ma.masked_array(kept / np.maximum(together, 1.0), count.mask)
    _draw(right, share, names, 1.0, "{x:.0%}", "Share of these pairs kept on one server")


def _draw(ax: Axes, values: Any, names: list[str], most: float, form: str, title: str) -> None:
    # Unlike pcolormesh it leaves out what is masked: pairs that all cross keep their outline.
    mesh = ax.pcolor(values, cmap="Blues", vmin=0.0, vmax=most, edgecolors="#55616f", linewidth=0.4)
    place = np.arange(len(names)) + 0.5
    ax.set_xticks(place, names, rotation=45, ha="right", rotation_mode="anchor", fontsize=7)
    ax.set_yticks(place, names, fontsize=7)
    ax.set(xlim=(0, max(len(names), 1)), ylim=(max(len(names), 1), 0), aspect="equal")
    ax.set_title(title, fontsize=9)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = ax.figure.colorbar(mesh, ax=ax, format=form, shrink=0.7, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7)
