"""Incumbent and bound over time as a static picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.views.course import ended, scale_of, thinned
from cli.views.scales import percent
from placement.problem.outcome import Progress
from runtime.scene import Scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES = {"bound": ("best_bound", "#c2410c", "dashed"), "incumbent": ("incumbent", "#1f6fb2", "-")}


def draw_course(figure: Figure, scene: Scene, history: Sequence[Progress]) -> None:
    """Draw how incumbent and bound closed in on each other, as steps.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Empty; its size is set.
    scene : Scene
        With the certificate, which the title states.
    history : sequence of Progress
        Incumbent and bound over seconds of the solve.
    """
    figure.set_size_inches(7.0, 3.2)
    ax = figure.subplots()
    points = thinned(history)
    end = points[-1].seconds if points else 1.0
    for name, (field, colour, dash) in LINES.items():
        known = [(p.seconds, getattr(p, field)) for p in points if getattr(p, field) is not None]
        if known:
            known.append((end, known[-1][1]))
            ax.step(*zip(*known, strict=True), where="post", color=colour, linestyle=dash,
                    label=f"{name}: {known[-1][1]:.5f}")  # fmt: skip
    certificate = scene.plan.certificate
    ax.grid(visible=True)
    ax.set(
        xlabel="time (s)",
        ylabel="locality",
        title=f"Gap {percent(certificate.gap, 2)}, {ended(certificate.status)}",
    )
    values = [v for p in points for v in (p.incumbent, p.best_bound) if v is not None]
    if values:
        ax.set(xlim=(0.0, end), ylim=scale_of(min(values), max(values)))
        ax.ticklabel_format(axis="y", useOffset=False)
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8)
