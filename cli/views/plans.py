"""Several plans under one trace: what each keeps together, how long its tail is, how many GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cli.views.markup import NARROW, Markup, both_widths, mark, picture, table, tag
from cli.views.scales import percent, plain, seconds, ticks
from placement.problem.verdict import covered
from runtime.figures import latency_percentile, server_efficiency
from runtime.scene import Scene

LEFT, TOP, HEIGHT = 64, 16, 300
MOST_WIDTH, BESIDE = 560, 160
"""Pixels of the axis where there is room, and for the names beside the last dots."""
ROOM = 1.15
"""Length of the axis of latencies over the longest of them."""


@dataclass(frozen=True)
class Point:
    """What a plan is chosen by."""

    name: str
    server_efficiency: float
    p99_s: float
    gpus: int

    def beaten_by(self, other: Point) -> bool:
        """Whether another plan is nowhere worse, and somewhere better."""
        mine = (-self.server_efficiency, self.p99_s, self.gpus)
        others = (-other.server_efficiency, other.p99_s, other.gpus)
        return all(o <= m for o, m in zip(others, mine, strict=True)) and others != mine


def points_of(scenes: Sequence[Scene]) -> list[Point]:
    """Measure each plan: server efficiency and P99 of its run, GPUs that hold something."""
    return [
        Point(s.name, server_efficiency(s), latency_percentile(s, 99), int(covered(s.plan).sum()))
        for s in scenes
    ]


def plans_side_by_side(scenes: Sequence[Scene]) -> Markup:
    """Draw plans by server efficiency and P99, with those that no other beats.

    Parameters
    ----------
    scenes : sequence of Scene
        The plans, each as it ran over the same trace.
    """
    points = points_of(scenes)
    best = [p for p in points if not any(p.beaten_by(other) for other in points)]
    names = ", ".join(p.name for p in best)
    rows = [
        (
            p.name,
            percent(p.server_efficiency),
            seconds(p.p99_s),
            f"{p.gpus:,}",
            "no other is better" if p in best else "beaten",
        )
        for p in points
    ]
    head = ("Plan", "Server efficiency", "P99 latency", "GPUs in use", "Verdict")
    return tag(
        "section",
        tag("h2", "Which plan to choose"),
        tag(
            "p",
            f"Of {len(points)} plans, no other is better in server efficiency, P99 latency and "
            f"GPUs at once than: {names}.",
            class_="lead",
        ),
        both_widths(lambda across: _picture(points, best, across)),
        table("Plans on the same trace", head, rows),
    )


def _picture(points: list[Point], best: list[Point], across: int) -> Markup:
    slim = across == NARROW
    width = across - LEFT - 10 if slim else MOST_WIDTH
    finite = [p for p in points if np.isfinite(p.p99_s)]
    longest = ROOM * max((p.p99_s for p in finite), default=1.0) or 1.0
    grid = [
        [
            tag("path", d=f"M{LEFT} {_y(s):.1f}H{LEFT + width}", class_="grid"),
            tag("text", percent(s, 0), x=LEFT - 6, y=_y(s) + 4, class_="axis end"),
        ]
        for s in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    axis = [
        tag("text", plain(t), x=LEFT + width * t / longest, y=TOP + HEIGHT + 16, class_="axis mid")
        for t in ticks(0.0, longest, 4 if slim else 7)
    ]
    dots = []
    for i, p in enumerate(sorted(finite, key=lambda p: p.p99_s)):
        kind = "first" if p in best else "second"
        x, y = LEFT + width * p.p99_s / longest, _y(p.server_efficiency)
        left = slim and x > LEFT + width / 2
        side, where = (-10, "axis strong end") if left else (10, "axis strong")
        tip = (
            f"{p.name}\nserver efficiency {percent(p.server_efficiency)}\n"
            f"P99 {seconds(p.p99_s)}\n{p.gpus:,} GPUs in use"
        )
        dots.append(
            mark(
                tip,
                tag("circle", cx=x, cy=y, r=6, class_=kind),
                # Names of neighbours stand above and below in turn.
                tag("text", p.name, x=x + side, y=y + (-6 if i % 2 else 14), class_=where),
            )
        )
    return picture(
        "Server efficiency over P99 latency, a dot a plan",
        across if slim else LEFT + width + BESIDE,
        TOP + HEIGHT + 42,
        grid,
        axis,
        dots,
        tag("text", "P99 latency (s)", x=LEFT + width / 2, y=TOP + HEIGHT + 36, class_="axis mid"),
        tag("text", "server efficiency", x=0, y=10, class_="axis"),
    )


def _y(share: float) -> float:
    return TOP + HEIGHT * (1 - share)
