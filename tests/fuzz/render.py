"""Documents as bytes: JSON, YAML, JSONL, CSV and Parquet, each in its dialects, or damaged."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from random import Random
from typing import Any

from tests.fuzz.edits import raw_free
from tests.fuzz.tables import parquet_bytes
from tests.fuzz.values import Pairs, Raw

HUGE = 10**4000
"""Beyond what Python writes as text."""
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
"""What YAML takes for more than text."""

PIECES = (
    b'"', b"{", b"}", b"[", b"]", b":", b",", b"- ", b"&a ", b"*a", b"<<: *a\n", b"!!x ", b"? ",
    b"#", b"|",
    b"---\n", b"...\n", b"\r", b"\n", b"\t", b"\0", b"\xef\xbb\xbf", b"NaN", b"1e999", b"\\u0022",
    b"\\ud800",
    b"\xe2\x80\xa8", b"\xc2\x85", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"PAR1",
    b"%YAML 1.1\n---\n", b"''", b'""', b";", b"\x1b[2J",
)  # fmt: skip


def render(rng: Random, data: Any, form: str, *, trace: bool = False, sound: bool = False) -> bytes:
    """Write a document in a format.

    Parameters
    ----------
    trace : bool
        Whether it is a list of requests.
    sound : bool
        Write tables as they should be, not in the ways that spreadsheets have.
    """
    if form in ("json", "yaml", "yml"):
        whole = {"requests": data} if trace and rng.random() < 0.5 else data
        return _document(rng, whole, form)
    rows = data if isinstance(data, list) and not isinstance(data, Pairs) else [data]
    if form == "jsonl":
        text = "".join(_json(rng, row) + "\n" for row in rows)
        if rng.random() < 0.1:
            text = text.replace("\n", "\n\n")
        return _encode(text)
    if form == "csv":
        return _encode(csv_text(rng, rows, trace=trace, sound=sound))
    return parquet_bytes(rng, raw_free(rows), sound=sound)


def _document(rng: Random, data: Any, form: str) -> bytes:
    if form == "json":
        return _encode(_json(rng, data, None if rng.random() < 0.5 else 1))
    if rng.random() < 0.2:
        return _encode(_json(rng, data))  # flow style, but for some escapes
    return _encode("\n".join(_yaml(data, "")) + "\n")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _json(rng: Random, data: Any, indent: int | None = None) -> str:
    """JSON with raw text, repeated keys, and what is no JSON as Python writes it."""
    raws: list[str] = []

    def plain(value: Any) -> Any:
        if isinstance(value, Raw):
            raws.append(str(value))
            return f"\x02{len(raws) - 1}\x03"
        if isinstance(value, Pairs):
            # Keys are told apart by a number that is taken out of the text again.
            return {f"{key}\x02#{i}\x03": plain(v) for i, (key, v) in enumerate(value.items_now())}
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, list):
            return [plain(v) for v in value]
        if isinstance(value, int) and abs(value) > HUGE:
            raws.append("9" * 5000)
            return f"\x02{len(raws) - 1}\x03"
        return value

    text = json.dumps(plain(data), indent=indent, ensure_ascii=rng.random() < 0.5)
    text = re.sub(r"\\u0002#\d+\\u0003", "", text)
    return re.sub(r'"\\u0002(\d+)\\u0003"', lambda m: raws[int(m[1])], text)


def _yaml(data: Any, pad: str) -> list[str]:
    """Block style, an item a line."""
    if isinstance(data, Raw):
        return [f"{pad}{data}"]
    if isinstance(data, dict | Pairs) and data:
        lines = []
        for key, value in data.items() if isinstance(data, dict) else data.items_now():
            name = _scalar(str(key))
            if isinstance(value, dict | list) and value:
                lines += [f"{pad}{name}:", *_yaml(value, pad + "  ")]
            else:
                lines.append(f"{pad}{name}: {_scalar(value)}")
        return lines
    if isinstance(data, list) and data:
        lines = []
        for value in data:
            if isinstance(value, dict | list) and value:
                inner = _yaml(value, pad + "  ")
                lines += [f"{pad}- {inner[0].lstrip(' ')}", *inner[1:]]
            else:
                lines.append(f"{pad}- {_scalar(value)}")
        return lines
    return [f"{pad}{_scalar(data)}"]


def _scalar(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}[repr(value)]
    if isinstance(value, float):
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    if isinstance(value, int) and abs(value) > HUGE:
        return "9" * 5000
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in WORDS:
        return value
    # YAML knows no surrogate pairs, so only what JSON must escape is escaped.
    return json.dumps(value, ensure_ascii=False)


def csv_text(rng: Random, rows: list[Any], *, trace: bool, sound: bool) -> str:
    """A table with a header; of requests with the times as JSON, or in a column a node."""
    if not trace:
        table = [[str(v) for v in (row if isinstance(row, list) else [row])] for row in rows]
        return _csv(rng, table, sound)
    spread = rng.random() < 0.5
    flat = []
    for row in rows:
        fields = dict(row.items_now()) if isinstance(row, Pairs) else row
        if not isinstance(fields, dict):
            flat.append({"request_id": fields})
            continue
        found = {}
        for key, value in fields.items():
            if spread and key == "node_execution_times" and isinstance(value, dict):
                found |= {f"{key}.{n}": t for n, t in value.items()}
            else:
                found[str(key)] = value
        flat.append(found)
    names = list(dict.fromkeys(name for row in flat for name in row)) or ["request_id"]
    if rng.random() < 0.1:
        rng.shuffle(names)
    return _csv(rng, [names, *([_cell(row.get(n, "")) for n in names] for row in flat)], sound)


def _cell(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(raw_free(value))
    if value is None:
        return ""
    return "9" * 5000 if isinstance(value, int) and abs(value) > HUGE else str(value)


def _csv(rng: Random, table: list[list[str]], sound: bool) -> str:
    change = 99 if sound or not table else rng.randrange(14)
    if change == 0:
        rng.choice(table).append("more")
    elif change == 1:
        row = rng.choice(table)
        del row[-1:]
    elif change == 2:
        table[0] = [rng.choice(table[0]) if rng.random() < 0.3 else n for n in table[0]]
    elif change == 3:
        table.insert(rng.randint(0, len(table)), [])
    elif change == 4:
        table.insert(rng.randint(0, len(table)), rng.choice(table))
    text = io.StringIO()
    quoting = rng.choice(
        [csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]
    )
    end = rng.choice(["\n", "\n", "\r\n", "\r"] if change == 5 else ["\n"])
    delimiter = rng.choice([";", "\t", "|"]) if change == 6 else ","
    csv.writer(text, quoting=quoting, lineterminator=end, delimiter=delimiter).writerows(table)
    found = text.getvalue()
    return found.rstrip("\n") if change == 7 else found


def damage(rng: Random, raw: bytes) -> bytes:
    """Cut, repeat, replace or recode some bytes."""
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        kind = rng.randrange(8)
        at = rng.randint(0, len(raw))
        end = min(len(raw), at + rng.choice([0, 1, 3, 40]))
        if kind == 0:
            raw = raw[:at]
        elif kind == 1:
            raw = raw[:at] + raw[at:end] * 2 + raw[end:]
        elif kind == 2:
            raw = raw[:at] + rng.randbytes(rng.randint(1, 4)) + raw[end:]
        elif kind == 3:
            raw = _recoded(rng, raw)
        elif kind == 4:
            raw = raw.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\n", b"\xe2\x80\xa8"]))
        else:
            raw = raw[:at] + rng.choice(PIECES) + raw[end:]
    return raw


def _recoded(rng: Random, raw: bytes) -> bytes:
    text = raw.decode("utf-8", "replace")
    return rng.choice(
        [b"\xef\xbb\xbf" + raw, b"\xef\xbb\xbf" * 2 + raw, text.encode("utf-16", "surrogatepass"),
         text.encode("utf-32", "surrogatepass"), text.encode("latin-1", "replace"),
         text.encode("utf-16-le", "surrogatepass"), raw + b"\0" * 10, b"\n" * 5 + raw,
    raw + b"\x1a", b""]
    )  # fmt: skip
