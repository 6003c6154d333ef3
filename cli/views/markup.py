"""A tiny builder of HTML and SVG that escapes every text it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

from placement.support.escaping import visible

WIDE, NARROW = 1100, 330
"""Pixels across a picture on a screen, and on a telephone."""

VOID = {"meta", "input", "br", "link"}


class Markup(str):
    """Text that is markup already; every other string is escaped where it is used."""

    __slots__ = ()


Child = str | float | int | None | Iterable["Child"]


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """Write one element.

    A trailing underscore of an attribute is dropped and the others become hyphens (``class_``,
    ``aria_label``); True writes the bare name, None and False leave it out.

    Parameters
    ----------
    name : str
        Of the element.
    *children : str, number, Markup or sequence of these
        Texts are escaped, markup is not.
    **attributes : str, number or bool, optional
        In the order in which they are to stand.
    """
    written = "".join(_attribute(k, v) for k, v in attributes.items())
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Child) -> Markup:
    """Concatenate children, escaping what is plain text."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return Markup(_shown(children))
    if isinstance(children, float | int):
        return Markup(number(children))
    return Markup("".join(join(c) for c in children))


def _shown(text: str) -> str:
    """Escape markup, and the characters that no page may hold."""
    return escape(visible(text, keep="\n"))


def number(value: float) -> str:
    """Write a coordinate: two decimals at most."""
    return f"{round(float(value), 2):g}" if abs(value) < 1e5 else f"{value:.0f}"


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = value if isinstance(value, str) else number(value)
    return f' {name}="{_shown(text)}"'


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Child]]) -> Markup:
    """Write a table whose first column heads its rows; numbers belong right, words left.

    Parameters
    ----------
    caption : str
        Above it.
    head : sequence of str
        Headings of the columns.
    rows : iterable of sequences
        A cell a column, the first of which heads the row.
    """
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            [tag("td", cell) for cell in row[1:]],
            data_search=_plain(row),
        )
        for row in rows
    ]
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", tag("tr", [tag("th", h, scope="col") for h in head])),
            tag("tbody", body),
        ),
        class_="scroll",
        role="region",
        tabindex="0",
        aria_label=caption,
    )


def _plain(row: Sequence[Child]) -> str:
    return " ".join(c for c in row if isinstance(c, str) and not isinstance(c, Markup)).lower()


def behind(summary: str, *content: Child) -> Markup:
    """Fold a table away behind its picture."""
    return tag("details", tag("summary", summary), content)


def mark(tip: str, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """Write one part of a picture that tells its detail on hover, on focus and to a reader.

    Arrow keys move between the marks of a picture, so that a picture is one stop of the tab key.

    Parameters
    ----------
    tip : str
        The detail.
    *children : str, number, Markup or sequence of these
        Shapes.
    **attributes : str, number or bool, optional
        Of the group around them.
    """
    attributes["class_"] = f"mark {attributes.pop('class_', '') or ''}".strip()
    return tag("g", *children, tabindex="-1", role="img", aria_label=tip, **attributes)


def picture(
    label: str, width: float, height: float, *children: Child, scroll: bool = True, class_: str = ""
) -> Markup:
    """Write an SVG picture that scrolls sideways where the page is too narrow to read it.

    Parameters
    ----------
    label : str
        Read aloud in place of the picture.
    width, height : float
        Pixels, which are the units of the shapes.
    *children : str, number, Markup or sequence of these
        Shapes and marks.
    scroll : bool
        Otherwise it shrinks with the page.
    class_ : str
        Beside ``picture``.
    """
    svg = tag(
        "svg",
        *children,
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
        role="group",
        aria_label=label,
        class_=f"picture {class_}".strip(),
    )
    if not scroll:
        return svg
    return tag("div", svg, class_="scroll")


def both_widths(draw: Callable[[int], Markup]) -> Markup:
    """Draw a picture for screens and once more for telephones; the page shows the one that fits.

    Parameters
    ----------
    draw : callable
        From the pixels across to the picture.
    """
    return Markup(tag("div", draw(WIDE), class_="wide") + tag("div", draw(NARROW), class_="narrow"))
