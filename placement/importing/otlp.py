"""Spans of OpenTelemetry traces, from files in OTLP's JSON encoding."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from placement.files.syntax.json_text import parse_json
from placement.files.syntax.source import TRACE_LIMIT_BYTES, read_bytes
from placement.support.equality import ByContent
from placement.support.faults import input_error

ERROR_CODES = (2, "STATUS_CODE_ERROR")


@dataclass(frozen=True, eq=False)
class Span(ByContent):
    """One span.

    Parameters
    ----------
    parent : str or None
        Id of the span that it is part of.
    start_ns, end_ns : int
        Nanoseconds since 1970.
    attributes : dict
        Plain values by name.
    links : tuple of str
        Ids of spans of the same trace that it is linked to.
    failed : bool
    """

    trace: str
    id: str
    parent: str | None
    name: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any] = field(hash=False)
    links: tuple[str, ...] = ()
    failed: bool = False

    def text(self, *names: str) -> str | None:
        """Give the first attribute of these that is there and is text."""
        for name in names:
            value = self.attributes.get(name)
            if isinstance(value, str) and value:
                return value
        return None

    def number(self, *names: str) -> float | None:
        """Give the first attribute of these that is there and is a number."""
        for name in names:
            value = self.attributes.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
        return None


def is_otlp(data: Any) -> bool:
    """Tell a trace by its outermost field."""
    return isinstance(data, dict) and ("resourceSpans" in data or "resource_spans" in data)


def load_json_values(path: str | os.PathLike[str]) -> list[Any]:
    """Read a file that holds one JSON value, or one a line.

    Raises
    ------
    InputError
        Where it is neither.
    """
    raw = read_bytes(path, TRACE_LIMIT_BYTES)
    lines = [line for line in raw.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].rstrip().endswith(b"}") and lines[1].lstrip().startswith(b"{"):
        return [parse_json(path, line, i) for i, line in enumerate(lines, start=1)]
    return [parse_json(path, raw)]


def read_spans(
    path: str | os.PathLike[str], values: list[Any], notes: Counter[str]
) -> Iterator[Span]:
    """Give the spans of a file.

    Parameters
    ----------
    path : path-like
        The file, for faults.
    values : list
        What it holds.
    notes : Counter of str
        Takes in what was left out.

    Raises
    ------
    InputError
        Where something stands in place of a list or mapping.
    """
    for value in values:
        if not is_otlp(value):
            raise input_error(path, "", "holds something that is no OTLP trace", "take it out")
        for resource in _list(path, value, "resourceSpans", "resource_spans"):
            for scope in _list(
                path, resource, "scopeSpans", "scope_spans", "instrumentationLibrarySpans"
            ):
                for entry in _list(path, scope, "spans"):
                    span = _span(entry)
                    if span is None:
                        notes["spans without ids, a start or an end are left out"] += 1
                    else:
                        yield span


def _list(path: str | os.PathLike[str], data: Any, *names: str) -> list[Any]:
    found: Any = next((data[n] for n in names if n in data), []) if isinstance(data, dict) else None
    if not isinstance(found, list):
        raise input_error(path, names[0], "is no list in a mapping", "export the trace again")
    return found


def _span(entry: Any) -> Span | None:
    if not isinstance(entry, dict):
        return None

    def get(camel: str, snake: str, default: Any = None) -> Any:
        return entry.get(camel, entry.get(snake, default))

    trace, own = get("traceId", "trace_id"), get("spanId", "span_id")
    start, end = (
        _integer(get(*names))
        for names in (
            ("startTimeUnixNano", "start_time_unix_nano"),
            ("endTimeUnixNano", "end_time_unix_nano"),
        )
    )
    if not (isinstance(trace, str) and isinstance(own, str) and trace and own):
        return None
    if start is None or end is None or not 0 < start <= end:
        return None
    links = [link for link in entry.get("links") or [] if isinstance(link, dict)]
    linked = [
        (k.get("traceId", k.get("trace_id")), k.get("spanId", k.get("span_id"))) for k in links
    ]
    status = entry.get("status")
    return Span(
        trace=trace,
        id=own,
        parent=get("parentSpanId", "parent_span_id") or None,
        name=str(entry.get("name") or "span"),
        start_ns=start,
        end_ns=end,
        attributes=_attributes(entry.get("attributes")),
        links=tuple(s for t, s in linked if t == trace and isinstance(s, str)),
        failed=isinstance(status, dict) and status.get("code") in ERROR_CODES,
    )


def _integer(value: Any) -> int | None:
    """Read a 64-bit integer, which JSON's encoding writes as text."""
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _attributes(entries: Any) -> dict[str, Any]:
    if not isinstance(entries, list):
        return {}
    return {
        e["key"]: _value(e.get("value"))
        for e in entries
        if isinstance(e, dict) and isinstance(e.get("key"), str)
    }


def _value(value: Any) -> Any:
    """Turn an AnyValue into a plain one; what it is not made of becomes None."""
    if not isinstance(value, dict):
        return None
    if "intValue" in value:
        text = str(value["intValue"])
        return int(text) if text.lstrip("-").isdecimal() else None
    for name in ("stringValue", "boolValue", "doubleValue"):
        if name in value:
            return value[name]
    if isinstance(value.get("arrayValue"), dict):
        return [_value(v) for v in value["arrayValue"].get("values") or []]
    if isinstance(value.get("kvlistValue"), dict):
        return _attributes(value["kvlistValue"].get("values"))
    return None
