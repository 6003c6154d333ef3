"""Bodies of calls with gaps: ``${text}``, ``${input.question}``, ``${parents.read.lines.0}``.

A template is plain data (what JSON can say); the gaps stand in its texts. A text that is one gap
and nothing else becomes the value itself, of whatever type; in a longer text the value is written
out. ``$${`` is ``${`` and no gap. Nothing is evaluated: a gap names a place in the data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

ROOTS = ("input", "config", "parents", "text", "model", "request_id", "workflow", "node")
"""What a gap may begin with."""

_GAP = re.compile(r"\$(\$\{)|\$\{([^{}]*)\}")


class TemplateError(ValueError):
    """A gap that names nothing."""


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """Fill every gap of a template.

    Parameters
    ----------
    template : any
        Text, or lists and mappings with text in them.
    values : mapping
        What each root stands for.

    Raises
    ------
    TemplateError
        With a sentence, where a gap names what is not there.
    """
    if isinstance(template, str):
        whole = _GAP.fullmatch(template)
        if whole is not None and whole[2] is not None:
            return look_up(whole[2], values)
        return _GAP.sub(lambda gap: gap[1] or as_text(look_up(gap[2], values)), template)
    if isinstance(template, dict):
        return {key: fill(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, values) for value in template]
    return template


def gaps(template: Any) -> Iterator[str]:
    """Give the places that the gaps of a template name."""
    if isinstance(template, str):
        yield from (gap[2] for gap in _GAP.finditer(template) if gap[2] is not None)
    elif isinstance(template, dict):
        for value in template.values():
            yield from gaps(value)
    elif isinstance(template, list):
        for value in template:
            yield from gaps(value)


def look_up(place: str, data: Any) -> Any:
    """Follow names and numbers separated by dots into data; an empty place is all of it.

    Raises
    ------
    TemplateError
        With a sentence, where there is no such place.
    """
    here = data
    walked: list[str] = []
    for part in place.split(".") if place else ():
        if isinstance(here, Mapping) and part in here:
            here = here[part]
        elif isinstance(here, list) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
        else:
            where = ".".join(walked) or "the data"
            raise TemplateError(f"there is no {place!r}: {where} has no {part!r}")
        walked.append(part)
    return here


def as_text(value: Any) -> str:
    """Write a value out: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
