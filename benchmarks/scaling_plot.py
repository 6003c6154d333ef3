"""The plot of the scaling study: distance from the bound, and time, against the cluster's size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

STYLE = {
    "patterns": ("o-", "#0b6e99"),
    "compact": ("s--", "#c2570c"),
    "local-search": ("^:", "#5b7f2b"),
    "greedy": ("v:", "#8a8a8a"),
}
FLOOR = 1e-6
"""Gaps below it are drawn at it: the axis is logarithmic."""


def plot(measured: list[dict[str, Any]], path: Path) -> None:
    """Draw HiGHS's rows at load 60 % on identical servers, exclusive and sharing."""
    import matplotlib  # the import takes a second that no other row needs

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "scaling"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(9, 6), sharex=True, layout="constrained")
    for column, exclusive in enumerate((True, False)):
        top, bottom = axes[0][column], axes[1][column]
        for method, (line, colour) in STYLE.items():
            points = sorted(
                (r["gpus"], max(FLOOR, r["gap_to_best_bound"]), r["seconds"])
                for r in measured
                if r.get("keeps_cap")
                and r["method"] == method
                and r["exclusive"] == exclusive
                and r["solver"] == "HiGHS"
                and not r["mixed"]
                and r["load"] == 0.6
                and r["models"] < 100
            )
            if points:
                gpus, gap, seconds = zip(*points, strict=True)
                top.plot(gpus, gap, line, color=colour, label=method)
                bottom.plot(gpus, seconds, line, color=colour)
        top.set(title="exclusive GPUs" if exclusive else "shared GPUs", yscale="log")
        bottom.set(xlabel="GPUs", xscale="log", yscale="log")
    axes[0][0].set_ylabel("below the best bound (fraction)")
    axes[1][0].set_ylabel("seconds")
    if axes[0][0].lines:
        axes[0][0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
