"""Two plans under the same trace and the same router, figure by figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cli.views.markup import Markup, table, tag
from cli.views.scales import percent, plain
from runtime.figures import (
    edge_traffic,
    gpu_busy,
    latency_percentile,
    makespan,
    server_efficiency,
)
from runtime.scene import Scene

SAME = 1e-4
"""Figures that differ by less than this fraction count as equal: within the solver's gap."""


@dataclass(frozen=True)
class Metric:
    """One figure of two plans and which direction is better."""

    name: str
    values: tuple[float, float]
    write: Callable[[float], str]
    more_is_better: bool

    @property
    def verdict(self) -> str:
        """Say which of the two is better, in one word of the first plan's view."""
        a, b = self.values
        if np.isclose(a, b, rtol=SAME, atol=1e-12):
            return "equal"
        return "better" if (a > b) == self.more_is_better else "worse"


def compared(scene: Scene, other: Scene) -> list[Metric]:
    """Figures of two scenes over one trace, in the order people ask for them."""

    def both(measure: Callable[[Scene], float]) -> tuple[float, float]:
        return measure(scene), measure(other)

    def promised(key: str) -> tuple[float, float]:
        return scene.plan.expected[key], other.plan.expected[key]

    return [
        Metric(
            "Locality objective (expected)",
            (scene.plan.certificate.objective, other.plan.certificate.objective),
            plain,
            True,
        ),
        Metric("Headroom (expected, × the trace's rate)", promised("headroom"), plain, True),
        Metric("Server efficiency", both(server_efficiency), percent, True),
        Metric("Edges that cross servers", both(_crossings), plain, False),
        Metric("Utilization variance (points²)", both(_variance), plain, False),
        Metric("Makespan (s)", both(makespan), plain, False),
        Metric("Median latency (s)", both(lambda s: latency_percentile(s, 50)), plain, False),
        Metric("P99 latency (s)", both(lambda s: latency_percentile(s, 99)), plain, False),
    ]


def _crossings(scene: Scene) -> float:
    source, target, count = edge_traffic(scene)
    return float(count[source != target].sum())


def _variance(scene: Scene) -> float:
    _, busy = gpu_busy(scene, 1)
    return float(np.var(100 * busy))


def plan_comparison(scene: Scene, other: Scene, *more: Markup) -> Markup:
    """Draw two plans side by side: a pair of bars a figure, and the figures as a table.

    Parameters
    ----------
    scene, other : Scene
        The plans, each as it ran.
    *more : Markup
        What follows the figures in the section.
    """
    metrics = compared(scene, other)
    better = sum(m.verdict == "better" for m in metrics)
    worse = [m.name for m in metrics if m.verdict == "worse"]
    finding = f"{scene.name} is better than {other.name} in {better} of {len(metrics)} figures"
    finding += f" and worse in: {', '.join(worse)}." if worse else " and worse in none."
    rows = [
        (
            m.name,
            m.write(m.values[0]),
            m.write(m.values[1]),
            f"{scene.name} {m.verdict}" if m.verdict != "equal" else "equal",
            "more" if m.more_is_better else "less",
        )
        for m in metrics
    ]
    head = ("Figure", scene.name, other.name, "Verdict", "Better is")
    return tag(
        "section",
        tag("h2", f"{scene.name} against {other.name}"),
        tag("p", finding, class_="lead"),
        tag(
            "p",
            tag("span", class_="swatch first"),
            f" {scene.name}  ",
            tag("span", class_="swatch second"),
            f" {other.name}",
            class_="key",
        ),
        _bars(scene, other, metrics),
        table(f"{scene.name} against {other.name} on the same trace", head, rows),
        more,
    )


def _bars(scene: Scene, other: Scene, metrics: list[Metric]) -> Markup:
    """Bars that are as wide as the page lets them be."""
    rows = []
    for metric in metrics:
        most = max((abs(v) for v in metric.values if np.isfinite(v)), default=0.0) or 1.0
        arrow = "more is better" if metric.more_is_better else "less is better"
        bars = []
        for value, kind in zip(metric.values, ("first", "second"), strict=True):
            share = min(1.0, abs(value) / most) if np.isfinite(value) else 1.0
            bar = tag("span", class_=f"bar {kind}", style=f"flex-basis:{82 * share:.2f}%")
            bars.append(tag("div", bar, tag("span", metric.write(value)), class_="figure"))
        rows.append(
            tag("div", tag("div", tag("b", metric.name), tag("small", arrow)), tag("div", bars))
        )
    label = f"{scene.name} against {other.name}"
    return tag("div", rows, class_="bars", role="img", aria_label=f"{label}; the table has all")
