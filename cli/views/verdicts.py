"""What the figures below come to, in words: the verdicts on a plan and on its run."""

from __future__ import annotations

from collections.abc import Sequence

from cli.views.markup import Markup, tag
from placement.problem.verdict import Verdict


def verdict_boxes(verdicts: Sequence[tuple[str, Verdict]]) -> Markup | None:
    """Draw each verdict as a box in its colour; None where there are none.

    Parameters
    ----------
    verdicts : sequence of (subject, Verdict)
        What each is about, and what it says.
    """
    if not verdicts:
        return None
    return tag("div", [_box(subject, verdict) for subject, verdict in verdicts], class_="verdicts")


def _box(subject: str, verdict: Verdict) -> Markup:
    remarks = [
        tag("li", _worded(remark.text), " ", tag("small", remark.known))
        for remark in verdict.remarks
    ]
    return tag(
        "div",
        tag("p", tag("strong", f"{subject}: {verdict.level}"), f" · {verdict.headline}"),
        tag("ul", remarks) if remarks else None,
        class_=f"verdict {verdict.level}",
    )


def _worded(text: str) -> list[str | Markup]:
    """Set what stands between backticks as code."""
    return [tag("code", part) if i % 2 else part for i, part in enumerate(text.split("`"))]
