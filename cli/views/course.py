"""The course of a solve: its incumbent and its best bound over time."""

from __future__ import annotations

from collections.abc import Sequence

from cli.views.markup import NARROW, Markup, behind, both_widths, mark, picture, table, tag
from cli.views.scales import percent, plain, ticks
from placement.problem.outcome import Certificate, Progress, Status, relative_gap

LEFT, TOP, HEIGHT = 60, 14, 260
BESIDE = 140
"""Pixels for what the lines are called, beside their ends where there is room."""
MOST_POINTS = 400

FLAT = 0.1
"""Least height of the locality axis: a gap that is closed shall not look like a cliff."""

STOPPED: dict[Status, str] = {
    "optimal": "proven optimal",
    "gap": "stopped with this gap proven",
    "time limit": "stopped by the time limit",
    "work limit": "stopped by its work limits",
    "interrupted": "stopped by hand",
    "heuristic": "a heuristic that seeks no bound",
    "refined": "locality given up for a simulated metric or for other demands",
}
"""How a solve ended, in words."""


def ended(status: Status) -> str:
    """Say how a solve ended; what is no status of ours speaks for itself."""
    return STOPPED.get(status, status)


def thinned(history: Sequence[Progress], most: int = MOST_POINTS) -> list[Progress]:
    """Keep the lines of the course at which the incumbent or the bound changed, evenly thinned.

    Lines that know neither (the phases before locality) are left out; the first and the last
    kept line always stay.
    """
    known = [p for p in history if p.incumbent is not None or p.best_bound is not None]
    changes = [
        p
        for i, p in enumerate(known)
        if i in (0, len(known) - 1)
        or (p.incumbent, p.best_bound) != (known[i - 1].incumbent, known[i - 1].best_bound)
    ]
    if len(changes) <= most:
        return changes
    step = (len(changes) - 1) / (most - 1)
    return [changes[round(i * step)] for i in range(most)]


def solver_course(certificate: Certificate, history: Sequence[Progress]) -> Markup:
    """Draw how incumbent and bound closed in on each other."""
    points = thinned(history)
    title = tag("h2", "How the proof closed: incumbent and bound over time")
    finding = tag(
        "p",
        _finding(certificate),
        class_="lead",
    )
    why = behind("Why the bound holds", tag("p", _sentence(certificate.proof), class_="lead"))
    if not points:
        hint = (
            "A plan file keeps no course, so that it stays the same byte for byte: write one with "
            "solve --history FILE and pass it here with --history FILE."
        )
        return tag("section", title, finding, tag("p", hint, class_="notice"), why)
    rows = [
        (
            f"{p.seconds:.2f}",
            p.phase,
            "–" if p.incumbent is None else f"{p.incumbent:.6f}",
            "–" if p.best_bound is None else f"{p.best_bound:.6f}",
            "–"
            if p.incumbent is None or p.best_bound is None
            else percent(relative_gap(p.incumbent, p.best_bound), 2),
        )
        for p in points
    ]
    head = ("Second", "Phase", "Incumbent", "Bound", "Gap")
    return tag(
        "section",
        title,
        finding,
        both_widths(lambda across: _picture(points, across)),
        behind("The course as a table", table("Incumbent and bound over time", head, rows)),
        why,
    )


def _finding(certificate: Certificate) -> str:
    """What is proven, in words: the plan's locality, and what none can exceed."""
    own, best = certificate.objective, certificate.best_bound
    if certificate.status == "heuristic":
        return f"This plan has a locality of {own:.5f}, from {ended(certificate.status)}."
    if certificate.status == "optimal":
        return f"This plan has a locality of {own:.5f}, and no plan has more: {ended('optimal')}."
    return (
        f"This plan has a locality of {own:.5f}, and no plan can have more than {best:.5f}: "
        f"{percent(certificate.gap, 2)} are left between what was found (incumbent) and what is "
        f"proven (bound); {ended(certificate.status)}."
    )


def scale_of(low: float, high: float) -> tuple[float, float]:
    """Ends of the locality axis: hardly above 1, and a tenth of it where a course is flat."""
    margin = 0.08 * max(high - low, FLAT)
    bottom = max(0.0, min(low, high - FLAT) - margin)
    return bottom, min(high + margin, 1.0 + margin / 4) if high <= 1 else high + margin


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _picture(points: list[Progress], across: int) -> Markup:
    slim = across == NARROW
    width = across - LEFT - (10 if slim else BESIDE)
    values = [v for p in points for v in (p.incumbent, p.best_bound) if v is not None]
    low, high = min(values), max(values)
    low, high = scale_of(low, high)
    end = points[-1].seconds or 1.0

    def x(t: float) -> float:
        return LEFT + width * t / end

    def y(v: float) -> float:
        return TOP + HEIGHT * (high - v) / (high - low)

    grid = [
        [
            tag("path", d=f"M{LEFT} {y(t):.1f}H{LEFT + width}", class_="grid"),
            tag("text", f"{t:.4g}", x=LEFT - 6, y=y(t) + 4, class_="axis end"),
        ]
        for t in ticks(low, high)
    ]
    axis = [
        tag("text", plain(t), x=x(t), y=TOP + HEIGHT + 18, class_="axis mid")
        for t in ticks(0.0, end, 4 if slim else 8)
    ]
    lines = []
    for name, kind in (("bound", "best_bound"), ("incumbent", "incumbent")):
        known = [(p.seconds, getattr(p, kind)) for p in points if getattr(p, kind) is not None]
        if not known:
            continue
        path = f"M{x(known[0][0]):.1f} {y(known[0][1]):.1f}" + "".join(
            f"H{x(t):.1f}V{y(v):.1f}" for t, v in known[1:]
        )
        last = known[-1][1]
        above = name == "bound"
        lines.append(
            mark(
                f"{name}\nfrom {known[0][1]:.6f} to {last:.6f}\nin {plain(end)} s",
                tag("path", d=f"{path}H{x(end):.1f}", class_=f"line {name}"),
                tag("path", d=f"{path}H{x(end):.1f}", class_="touch"),
                tag(
                    "text",
                    f"{name} {last:.4f}",
                    x=LEFT + width + (0 if slim else 8),
                    y=y(last) + (-6 if above and slim else 0 if above else 14),
                    class_="axis strong end" if slim else "axis strong",
                ),
            )
        )
    title = tag("text", "time (s)", x=LEFT + width / 2, y=TOP + HEIGHT + 36, class_="axis mid")
    label = tag("text", "locality", x=LEFT, y=10, class_="axis end")
    return picture(
        "Incumbent and bound over time",
        across,
        TOP + HEIGHT + 42,
        grid,
        axis,
        lines,
        title,
        label,
    )
