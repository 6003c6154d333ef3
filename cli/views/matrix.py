"""Which models serve one request together, and whether they did so on one server."""

from __future__ import annotations

import numpy as np

from cli.views.markup import Markup, behind, mark, picture, table, tag
from cli.views.palette import heat_class, heat_legend
from cli.views.scales import percent, plain, shorten
from placement.problem.cluster import FloatArray, IntArray
from runtime.figures import Pairs, model_pairs
from runtime.scene import Scene

MOST_MODELS = 40
MOST_ROWS = 300
MARGIN = 118


def pair_matrices(scene: Scene) -> Markup:
    """Draw the co-occurrence matrix beside the share of each pair kept on one server."""
    pairs = model_pairs(scene)
    total, kept = (int(np.triu(a).sum()) for a in (pairs.together, pairs.kept))
    finding = (
        f"{percent(kept / total)} of {total:,} pairs of calls of one request ran on one server."
        if total
        else "No request calls more than one model, so there is nothing to keep together."
    )
    busy = busy_models(pairs)
    shown = busy[:MOST_MODELS]
    section = [
        tag("h2", "Which models work together, and where the pairs ended up"),
        tag("p", finding, class_="lead"),
    ]
    if len(busy) > len(shown):
        text = f"The {MOST_MODELS} models with most pairs of {len(busy)} are drawn."
        section.append(tag("p", text, class_="notice"))
    if len(shown):
        section.append(tag("div", *_matrices(scene, pairs, shown), class_="pair"))
        section.append(behind("Pairs as a table", _pair_table(scene, pairs)))
    return tag("section", section)


def busy_models(pairs: Pairs) -> IntArray:
    """Models that meet another (or themselves) in a request, those with most pairs first."""
    order = np.argsort(-pairs.together.sum(axis=1), kind="stable")
    return np.asarray(order[pairs.together[order].sum(axis=1) > 0])


def _matrices(scene: Scene, pairs: Pairs, shown: IntArray) -> tuple[Markup, Markup]:
    together = pairs.together[np.ix_(shown, shown)].astype(float)
    kept = pairs.kept[np.ix_(shown, shown)]
    with np.errstate(invalid="ignore"):
        share = kept / together
    names = [scene.workload.models[m].id for m in shown]
    most = together.max(initial=1.0)
    left = _matrix(names, together / most, together, kept, "Pairs of calls in one request")
    right = _matrix(names, share, together, kept, "Share of these pairs kept on one server")
    return (
        tag(
            "figure",
            tag("figcaption", "Pairs of calls in one request"),
            left,
            heat_legend("0", f"{plain(most)} pairs"),
        ),
        tag(
            "figure",
            tag("figcaption", "Share of these pairs kept on one server"),
            right,
            heat_legend("0 % (all cross)", "100 % (all stay)"),
        ),
    )


def _matrix(
    names: list[str], colour: FloatArray, together: FloatArray, kept: IntArray, label: str
) -> Markup:
    size = len(names)
    cell = max(13.0, min(34.0, 350 / size))
    cells = []
    for i in range(size):
        for j in range(i + 1):
            if not together[i, j]:
                continue
            tip = (
                f"{names[i]} with {names[j]}\n{together[i, j]:,.0f} pairs\n"
                f"{percent(kept[i, j] / together[i, j])} on one server"
            )
            cells.append(
                mark(
                    tip,
                    tag(
                        "rect",
                        x=MARGIN + j * cell + 0.5,
                        y=i * cell + 0.5,
                        width=cell - 1,
                        height=cell - 1,
                        rx=2,
                        class_=heat_class(colour[i, j]),
                    ),
                )
            )
    rows = [
        tag("text", shorten(n, MARGIN - 8), x=MARGIN - 6, y=(i + 0.5) * cell + 4, class_="axis end")
        for i, n in enumerate(names)
    ]
    columns = [
        tag(
            "text",
            shorten(n, 90),
            class_="axis",
            transform=f"translate({MARGIN + (j + 0.5) * cell:.1f} {size * cell + 10:.1f}) "
            "rotate(40)",
        )
        for j, n in enumerate(names)
    ]
    grid = [
        tag("rect", x=MARGIN, y=i * cell, width=(i + 1) * cell, height=cell, class_="slot")
        for i in range(size)
    ]
    return picture(
        label, MARGIN + size * cell + 76, size * cell + 76, grid, cells, rows, columns,
        class_="pairs",
    )  # fmt: skip


def _pair_table(scene: Scene, pairs: Pairs) -> Markup:
    i, j = np.nonzero(np.tril(pairs.together))
    order = np.argsort(-pairs.together[i, j], kind="stable")
    ids = [m.id for m in scene.workload.models]
    rows = [
        (
            f"{ids[a]} with {ids[b]}",
            f"{pairs.together[a, b]:,}",
            percent(pairs.kept[a, b] / pairs.together[a, b]),
        )
        for a, b in zip(i[order][:MOST_ROWS], j[order][:MOST_ROWS], strict=True)
    ]
    caption = "Pairs of calls of one request, the most frequent first"
    if len(i) > MOST_ROWS:
        caption += f" ({MOST_ROWS} of {len(i)})"
    return table(caption, ("Models", "Pairs", "Kept on one server"), rows)
