"""Colours that colour-blind readers can tell apart.

Models take Paul Tol's *light* scheme, made for filled cells under dark text, and a texture for
every further round of it; workflows take his *bright* scheme, made for lines, and a dash pattern.
Source: P. Tol, "Colour Schemes", SRON/EPS/TN/09-002.
"""

from __future__ import annotations

from cli.views.markup import Markup, tag
from runtime.scene import Scene

FILLS = (
    "#77aadd", "#ee8866", "#eedd88", "#ffaabb", "#99ddff", "#44bb99", "#bbcc33", "#aaaa00",
    "#dddddd",
)  # fmt: skip
LINES = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
DASHES = ("none", "7 3", "2 3", "9 3 2 3", "12 4", "1 2")
TEXTURES = 4
HEAT_STEPS = 10


def model_class(scene: Scene, model: int) -> str:
    """CSS class that fills a shape in a model's colour and texture; the busiest come first."""
    rank = int(scene.work_rank[model])
    return f"f{rank % len(FILLS)}-{rank // len(FILLS) % TEXTURES}"


def line_class(index: int) -> str:
    """CSS class that strokes a line in the colour and dashes of the index-th series."""
    return f"l{index % len(LINES)}"


def style_rules() -> str:
    """CSS of the classes above."""
    rules = []
    for i, colour in enumerate(FILLS):
        rules.append(f".f{i}-0{{fill:{colour}}}")
        rules += [f".f{i}-{t}{{fill:url(#p{i}-{t})}}" for t in range(1, TEXTURES)]
    for i, (colour, dash) in enumerate(zip(LINES, DASHES, strict=True)):
        rules.append(f".l{i}{{stroke:{colour};stroke-dasharray:{dash};fill:none}}")
    return "".join(rules)


def definitions() -> Markup:
    """SVG patterns that the textured classes refer to, once a page."""
    strokes = ("M0 6L6 0", "M0 3H6", "M3 0V6M0 3H6")
    patterns = [
        tag(
            "pattern",
            tag("rect", width=6, height=6, fill=colour),
            tag("path", d=strokes[t - 1], stroke="#14181f", stroke_opacity="0.28", fill="none"),
            id=f"p{i}-{t}",
            width=6,
            height=6,
            patternUnits="userSpaceOnUse",
        )
        for i, colour in enumerate(FILLS)
        for t in range(1, TEXTURES)
    ]
    return tag("svg", tag("defs", patterns), width=0, height=0, aria_hidden="true", class_="defs")


def heat_class(share: float) -> str:
    """CSS class of a share of 1 on the sequential ramp."""
    return f"h{min(HEAT_STEPS - 1, max(0, int(share * HEAT_STEPS)))}"


def heat_legend(low: str, high: str) -> Markup:
    """Show the sequential ramp with what its ends mean."""
    steps = [tag("rect", x=i * 16, width=16, height=12, class_=f"h{i}") for i in range(HEAT_STEPS)]
    bar = tag("svg", steps, width=16 * HEAT_STEPS, height=12, aria_hidden="true")
    return tag("p", low, " ", bar, " ", high, class_="key")
