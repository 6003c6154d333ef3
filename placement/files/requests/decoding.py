"""JSON of the plainest form, a column of it decoded at once.

Each text must match a pattern in full, so no value is of another kind than it seems; and of what
looks like the end of a key there must be as many as values were found, so no key is unknown and
none is there twice. Whatever is otherwise is left to the readers that go through it one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson
import polars as pl

from placement.files.network_entry import MAX_SECONDS
from placement.files.requests.batch import TIMES
from placement.problem.cluster import FloatArray
from placement.support.equality import ByContent

FIELDS = ("request_id", "timestamp", "workflow_id", TIMES)
MOST_DECODED_NODES = 64
"""Names of nodes up to which a column for each of them is less work than a mapping a request."""

_TEXT = r'"[^"\\\x00-\x1f]*"'
_PAIR = rf"{_TEXT}: ?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_SECONDS = rf"\{{{_PAIR}(?:, ?{_PAIR})*\}}"
_KEY_END = '":'


@dataclass(frozen=True, eq=False)
class Decoded(ByContent):
    """What a column of texts holds.

    Parameters
    ----------
    columns : dict of str to float64, shape (B,)
        Seconds by node, NaN where a text has none.
    given : int
        How many seconds there are.
    """

    columns: dict[str, FloatArray]
    given: int


def decode_seconds(texts: pl.Series, nodes: Sequence[str]) -> Decoded | None:
    """Decode objects of seconds by node; None where one is anything else.

    Parameters
    ----------
    texts : Series of str
    nodes : sequence of str
        Names that nodes have.
    """
    if not _plain(texts, _SECONDS, nodes):
        return None
    try:
        found = texts.str.json_decode(_seconds(nodes))
    except pl.exceptions.PolarsError:
        return None
    return _decoded(found, int(texts.str.count_matches(_KEY_END, literal=True).sum()))


def decode_requests(
    raw: bytes, nodes: Sequence[str]
) -> tuple[dict[str, pl.Series], Decoded] | None:
    """Decode requests, one a line, that hold `FIELDS` in one order; None where one is otherwise.

    Parameters
    ----------
    raw : bytes
        Whole lines.
    nodes : sequence of str
        Names that nodes have.

    Returns
    -------
    fields : dict of str to Series of str
        Those of `FIELDS` that are text.
    times : Decoded
    """
    try:
        order = list(orjson.loads(raw[: raw.find(b"\n") + 1 or len(raw)]))
    except orjson.JSONDecodeError:
        return None
    if sorted(order) != sorted(FIELDS):
        return None
    texts = _lines(raw)
    pairs = [f'"{name}": ?{_SECONDS if name == TIMES else _TEXT}' for name in order]
    if texts is None or not _plain(texts, rf"\{{{', ?'.join(pairs)}\}}", nodes):
        return None
    kinds = {name: _seconds(nodes) if name == TIMES else pl.String() for name in FIELDS}
    try:
        found = pl.read_ndjson(raw, schema=kinds)
    except pl.exceptions.PolarsError:
        return None
    if len(found) != len(texts):
        return None
    ends = int(texts.str.count_matches(_KEY_END, literal=True).sum())
    times = _decoded(found[TIMES], ends - len(FIELDS) * len(texts))
    return None if times is None else ({n: found[n] for n in FIELDS if n != TIMES}, times)


def _lines(raw: bytes) -> pl.Series | None:
    """Take lines apart; None where a table of one column does not hold each of them."""
    count = raw.count(b"\n") + (not raw.endswith(b"\n"))
    try:
        table = pl.read_csv(
            raw, has_header=False, separator="\x1f", quote_char=None, infer_schema=False
        )
    except pl.exceptions.PolarsError:
        return None
    return table.to_series() if table.shape == (count, 1) else None


def _plain(texts: pl.Series, pattern: str, nodes: Sequence[str]) -> bool:
    if texts.null_count() or not 0 < len(nodes) <= MOST_DECODED_NODES:
        return False
    return bool(texts.str.contains(rf"\A{pattern}\s*\z").all())


def _seconds(nodes: Sequence[str]) -> pl.Struct:
    return pl.Struct(dict.fromkeys(nodes, pl.Float64()))


def _decoded(found: pl.Series, given: int) -> Decoded | None:
    table = found.struct.unnest()
    if table.height * table.width - sum(table.null_count().row(0)) != given:
        return None
    columns = {s.name: s.fill_null(float("nan")).to_numpy() for s in table}
    # NaN compares false, so what is not given is not too much.
    if any((c > MAX_SECONDS).any() for c in columns.values()):
        return None
    return Decoded({name: np.asarray(c) for name, c in columns.items()}, given)
