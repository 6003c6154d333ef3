"""Every picture of the project, drawn of small scenes, and the baselines they are held against.

    python -m tests.cli.pictures          # draws the baselines anew; look at what has changed

The report's pictures are markup that our own code writes. Their baselines are the shapes as text,
an element a line with numbers to a tenth of a pixel: a change can be read, no renderer is asked.
The pictures for papers are matplotlib's, whose text of a picture says little. Their baselines are
small images: the pinned version brings its own fonts and renderer, so it draws the same everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from cli.plots.comparison import draw_comparison
from cli.plots.course import draw_course
from cli.plots.flows import draw_flows
from cli.plots.latency import draw_latency
from cli.plots.map import draw_map
from cli.plots.pairs import draw_pairs
from cli.plots.predicted import draw_calibration
from cli.plots.sheet import STYLE
from cli.plots.utilization import draw_utilization
from cli.views.course import solver_course
from cli.views.flows import server_flows
from cli.views.latency import latency_distribution
from cli.views.map import placement_map
from cli.views.matrix import pair_matrices
from cli.views.utilization import utilization_map
from runtime.calibration.errors import Comparison
from runtime.scene import Scene
from tests.runtime.scenes import make_history, make_scene

BASELINE = Path(__file__).parent / "baseline"
DOTS = 60
"""Dots per inch of a baseline image: enough to see every mark, a dozen kilobytes each."""

NUMBER = re.compile(r"-?\d+\.\d+")


@cache
def scenes() -> tuple[Scene, Scene]:
    """Two plans of two servers, as they ran."""
    made = [make_scene(2, requests=25, keep=k, name=n) for k, n in ((0.9, "ILP"), (0.5, "greedy"))]
    return made[0], made[1]


@cache
def calibrations() -> tuple[Comparison, Comparison]:
    """Latencies foretold badly and well."""
    rng = np.random.default_rng(0)
    real = rng.lognormal(1.0, 0.8, 40)
    errors = (rng.lognormal(0.5, 0.4, 40), rng.lognormal(0.0, 0.05, 40))
    found = [Comparison((), float(abs(e - 1).mean()), 0.0, real, real * e) for e in errors]
    return found[0], found[1]


def views() -> dict[str, Callable[[], str]]:
    """Sections of the report that hold a picture, by name."""
    one, other = scenes()
    return {
        "course": partial(solver_course, one.plan.certificate, make_history(12)),
        "flows": partial(server_flows, other),
        "latency": partial(latency_distribution, one),
        "map": partial(placement_map, one),
        "matrix": partial(pair_matrices, other),
        "utilization": partial(utilization_map, one),
    }


def plots() -> dict[str, Callable[[Figure], None]]:
    """Pictures for papers, by name."""
    one, other = scenes()
    return {
        "comparison": lambda figure: draw_comparison(figure, one, other),
        "course": lambda figure: draw_course(figure, one, make_history(12)),
        "flows": lambda figure: draw_flows(figure, other),
        "latency": lambda figure: draw_latency(figure, one),
        "map": lambda figure: draw_map(figure, one),
        "pairs": lambda figure: draw_pairs(figure, other),
        "predicted": lambda figure: draw_calibration(figure, calibrations()),
        "utilization": lambda figure: draw_utilization(figure, one),
    }


class _Shapes(HTMLParser):
    """Elements of the pictures of a section, a line each, and nothing of the tables behind."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = []
        self.depth = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "svg" or self.depth:
            said = "".join(f" {k}={_rounded(v or '')}" for k, v in attrs)
            self.lines.append(f"{'  ' * self.depth}{tag}{said}")
            self.depth += 1

    def handle_endtag(self, tag: str) -> None:
        if self.depth:
            self.depth -= 1

    def handle_data(self, data: str) -> None:
        if self.depth and data.strip():
            self.lines.append(f"{'  ' * self.depth}{data.strip()}")


def _rounded(text: str) -> str:
    return NUMBER.sub(lambda found: f"{float(found[0]):.1f}".replace("-0.0", "0.0"), text)


def shapes(html: str) -> str:
    """Write the pictures of a section as text, an element a line."""
    return "\n".join(_Shapes(html).lines) + "\n"


def draw(path: Path, make: Callable[[Figure], None]) -> None:
    """Draw a picture for papers as a small image."""
    with mpl.rc_context(STYLE):
        figure = Figure(layout="constrained")
        make(figure)
        options: dict[str, Any] = {"metadata": {"Software": None}, "facecolor": "white"}
        figure.savefig(path, dpi=DOTS, **options)


def renew() -> None:
    """Draw all baselines anew."""
    BASELINE.mkdir(exist_ok=True)
    for name, make in views().items():
        (BASELINE / f"{name}.txt").write_text(shapes(make()), encoding="utf-8")
    for name, make_figure in plots().items():
        draw(BASELINE / f"{name}.png", make_figure)


if __name__ == "__main__":
    renew()
