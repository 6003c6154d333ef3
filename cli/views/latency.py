"""How long requests take: the distribution of each workflow's latency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cli.views.markup import NARROW, Markup, behind, both_widths, mark, picture, table, tag
from cli.views.palette import line_class
from cli.views.scales import log_ticks, plain, seconds, shorten, ticks
from placement.problem.cluster import FloatArray
from placement.support.equality import ByContent
from runtime.figures import request_latency
from runtime.scene import Scene

MOST_CURVES = 6
POINTS = 240
LEFT, TOP, HEIGHT = 56, 12, 300
BESIDE = 200
"""Pixels for the names of the curves, beside them where there is room."""


@dataclass(frozen=True, eq=False)
class Curve(ByContent):
    """Latencies of one workflow's completed requests, ascending, float64 of shape (K,)."""

    name: str
    latency_s: FloatArray


def latency_curves(scene: Scene) -> list[Curve]:
    """Sorted latencies of each workflow, the one with the longest P99 first."""
    latency = request_latency(scene)
    curves = []
    for w, workflow in enumerate(scene.workload.workflows):
        mine = latency[(scene.trace.workflow == w) & ~np.isnan(latency)]
        if len(mine):
            curves.append(Curve(workflow.id, np.sort(mine)))
    return sorted(curves, key=lambda c: -float(np.percentile(c.latency_s, 99)))


def drawn_curves(curves: list[Curve]) -> list[Curve]:
    """Keep those that wait longest apart and join the rest, so that lines can be told apart."""
    if len(curves) <= MOST_CURVES:
        return curves
    rest = curves[MOST_CURVES - 1 :]
    joined = np.sort(np.concatenate([c.latency_s for c in rest]))
    return [*curves[: MOST_CURVES - 1], Curve(f"{len(rest)} other workflows", joined)]


def latency_distribution(scene: Scene) -> Markup:
    """Draw the cumulative distribution of request latency, a line a workflow."""
    curves = latency_curves(scene)
    title = tag("h2", "How long requests take")
    if not curves:
        return tag("section", title, tag("p", "No request completed."))
    every = np.concatenate([c.latency_s for c in curves])
    finding = (
        f"Half of the requests complete within {seconds(float(np.median(every)))}, "
        f"99 % within {seconds(float(np.percentile(every, 99)))}."
    )
    rows = [
        (
            c.name,
            f"{len(c.latency_s):,}",
            *(
                plain(float(v))
                for v in (
                    c.latency_s.mean(),
                    *np.percentile(c.latency_s, [50, 90, 99]),
                    c.latency_s[-1],
                )
            ),
        )
        for c in curves
    ]
    head = ("Workflow", "Requests", "Mean (s)", "Median (s)", "P90 (s)", "P99 (s)", "Longest (s)")
    return tag(
        "section",
        title,
        tag("p", finding, class_="lead"),
        both_widths(lambda across: _cdf(drawn_curves(curves), across)),
        behind("Latencies as a table", table("Request latency by workflow", head, rows)),
    )


def _cdf(curves: list[Curve], across: int) -> Markup:
    slim = across == NARROW
    width = across - LEFT - (14 if slim else BESIDE)
    bottom = TOP + HEIGHT + 44
    low = max(min(float(c.latency_s[0]) for c in curves), 1e-3)
    high = max(max(float(c.latency_s[-1]) for c in curves), low * 1.01)
    logarithmic = high / low > 20
    low = low if logarithmic else 0.0

    def x(value: FloatArray | float) -> FloatArray:
        v = np.maximum(value, low if logarithmic else 0.0)
        share = np.log(v / low) / np.log(high / low) if logarithmic else v / high
        return np.asarray(LEFT + width * share)

    def y(share: FloatArray | float) -> FloatArray:
        return np.asarray(TOP + HEIGHT * (1 - np.asarray(share)))

    marks = log_ticks(low, high) if logarithmic else ticks(0.0, high, 4 if slim else 7)
    grid = [
        [
            tag("path", d=f"M{float(x(t)):.1f} {TOP}V{TOP + HEIGHT}", class_="grid"),
            tag("text", plain(t), x=float(x(t)), y=TOP + HEIGHT + 16, class_="axis mid"),
        ]
        for t in marks
    ]
    shares = [
        [
            tag("path", d=f"M{LEFT} {float(y(s)):.1f}H{LEFT + width}", class_="grid"),
            tag("text", f"{100 * s:.0f} %", x=LEFT - 6, y=float(y(s)) + 4, class_="axis end"),
        ]
        for s in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    lines, keys = [], []
    for i, curve in enumerate(curves):
        share = np.linspace(0.0, 1.0, min(POINTS, len(curve.latency_s) + 1))
        at = x(np.quantile(curve.latency_s, share, method="inverted_cdf"))
        points = "L".join(f"{a:.1f} {float(y(s)):.1f}" for a, s in zip(at, share, strict=True))
        p50, p99 = np.percentile(curve.latency_s, [50, 99])
        tip = (
            f"{curve.name}\n{len(curve.latency_s):,} requests\n"
            f"median {seconds(p50)}, P99 {seconds(p99)}"
        )
        line = tag("path", d=f"M{points}", class_=f"line {line_class(i)}")
        wide = tag("path", d=f"M{points}", class_="touch")
        row = (bottom if slim else TOP) + 14 + 22 * i
        right = LEFT if slim else LEFT + width + 18
        key = tag("path", d=f"M{right} {row - 4}h26", class_=f"line {line_class(i)}")
        name = tag(
            "text", shorten(curve.name, 220 if slim else 150), x=right + 34, y=row, class_="axis"
        )
        lines.append(mark(tip, line, wide))
        keys.append([key, name])
    title = tag(
        "text",
        ("latency (s" if slim else "latency from release to the last node's end (s")
        + (", logarithmic)" if logarithmic else ")"),
        x=LEFT + width / 2,
        y=TOP + HEIGHT + 36,
        class_="axis mid",
    )
    return picture(
        "Share of requests completed within a latency",
        across,
        bottom + (22 * len(curves) if slim else 0),
        grid,
        shares,
        lines,
        keys,
        title,
    )
