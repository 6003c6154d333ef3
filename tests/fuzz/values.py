"""Values and texts that break things."""

from __future__ import annotations

import math
from random import Random
from typing import Any

NUMBERS: tuple[Any, ...] = (
    0, -0.0, -1, 1, 2, 0.5, math.nan, math.inf, -math.inf, 1e308, -1e308, 1e-308, 5e-324, 1e-12,
    1e-9,
    1e9, 1e12, 1e6, 999999999.9, 1e300, 2**31, 2**31 - 1, 2**53 + 1, 2**63, 2**63 - 1, -(2**63),
    2**64,
    10**19, 10**30, 10**400, 0.1, 3.0, 4096, 4097, 100_000, 100_001, 10_000_000, 1e5, 1e-7, 1e7,
)  # fmt: skip

TEXTS = (
    "", " ", "0", "1", "-1", "1e3", "1_000", "0x10", "٣", "NaN", "inf", ".inf", "null", "~", "true",
    "yes",
    "no", "<<", "=", "*a", "&a", "!!str", "- a", "a: b", "a #b", "#", "\t", "\n", "\r", "a\nb",
    "a\r\nb",
    "\x1b[31mred\x1b[0m", "\x07", "\x00", "\x7f", "\x85", "\u2028", "\u2029", "\ufeff", "\u200b",
    "\u202e",
    "\ufffe", "\uffff", "e\u0301", "é", "Å", "K", "ﬁ", "İ", "ß", "🚀", "👩‍👩‍👧", "𝔘",
    "模型", "مرحبا",
    "\U0010ffff", "a" * 500, "a" * 501, "🚀" * 500, "模" * 300,
    "x" * 5000, "'", '"', "\\", "\\u0000",
    "../../etc/passwd", "/dev/null", "%s%n", "{}", "{model}", "$(reboot)", "`id`",
    "</script><script>",
    "[bold]x[/bold]", "[/]", "a.b", "a[0]", "request_id", "models", "2026-01-01", "12:30:00", "1.0",
    "1e400",
)  # fmt: skip

STAMPS = (
    "2026-01-01T00:00:00Z", "2026-01-01T00:00:00+14:00", "2026-01-01T00:00:00-23:59",
    "2026-01-01T00:00:00+24:00", "2026-01-01 00:00:00", "2026-01-01", "20260101T000000",
    "2026-W01-1",
    "2026-001", "2026-01-01T24:00:00", "2026-01-01T23:59:60", "2026-01-01T00:00:00.1234567891234",
    "2026-01-01T00:00:00,5", "2026-02-30T00:00:00", "0001-01-01T00:00:00", "0000-01-01T00:00:00",
    "9999-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999+00:00", "0001-01-01T00:00:00+14:00",
    "10000-01-01T00:00:00", "-2026-01-01T00:00:00", "1969-12-31T23:59:59", "1677-09-21T00:12:43",
    "2262-04-11T23:47:16.9", "now", "1767225600", "1767225600.5", "2026-1-1T0:0:0",
    "2026-01-01T00:00",
    "2026-01-01T00", "2026-01-01T00:00:00 UTC", "2026-01-01T00:00:00 Europe/Berlin",
    "2026-01-01T00:00:00z", "2026-01-01t00:00:00", " 2026-01-01T00:00:00 ",
    "２０２６-01-01T00:00:00",
    "Thu, 01 Jan 2026 00:00:00 GMT", "01/02/2026 03:04:05", "2026-01-01T00:00:00+0530",
    "2026-01-01T00:00:00+05:30:15", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.000001",
)  # fmt: skip

RAW_JSON = (
    "1e999", "-1e999", "01", "0x10", "+1", "1.", ".5", "NaN", "-Infinity", "'a'", "undefined",
    "True", "None",
    '"\\ud800"', '"\\ud83d\\ude80"', '"\\x41"', '"unterminated', "1e-999", "-0", "-0.0", "1E400",
    "{,}", "[1,]",
    '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', "/* c */ 1", "1 2", "", "1" * 5000, "0." + "1" * 5000,
)  # fmt: skip

RAW_YAML = (
    "&a 1", "*a", "*missing", "&a [*a]", "!!str 1", "!!int '1'", "!!float 1", "!!binary aGk=",
    "!!set {a, b}",
    "!!omap [a: 1]", "!!timestamp 2026-01-01", "!!python/object/apply:os.system [exit]", "!x y",
    "!<tag:x> 1",
    "~", "yes", "No", "on", "0o17", "017", "0b11", "0x1F", "1_000", "190:20:30", ".inf", "-.Inf",
    ".nan", ".NAN",
    "2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01 00:00:00 +1", "1e5", "1.0e+5", "+1",
    "{<<: {count: 1}}",
    "{? [a] : b}", "{a: 1, a: 2}", "|\n  text", ">-\n  folded", "'it''s'", '"\\e[31m"', '"\\x00"',
    '"\\U0010FFFF"',
    "[1, 2", "{a: 1", "a: b: c", "@x", "`x`", "%x", "? x", "", "# only a comment", "\t1", "<<",
    "{<<: *a}", "=",
)  # fmt: skip


class Raw(str):
    """Text that goes into a JSON or YAML file as it is."""

    __slots__ = ()


class Pairs(list[tuple[Any, Any]]):
    """A mapping in which a key may stand twice, or be no text."""

    def items_now(self) -> list[tuple[Any, Any]]:
        """Keys and values, whatever changes have put among them."""
        return [p if isinstance(p, tuple) and len(p) == 2 else (str(p), None) for p in self]


def odd_value(rng: Random) -> Any:
    """Any value that a place does not expect."""
    kind = rng.randrange(10)
    if kind < 4:
        return rng.choice(NUMBERS)
    if kind < 6:
        return rng.choice(TEXTS)
    if kind == 6:
        return rng.choice([None, True, False])
    if kind == 7:
        return rng.choice([[], {}, [[]], [{}], {"": ""}, [None], {"a": {}}, [1, "a", None]])
    if kind == 8:
        return Raw(rng.choice(RAW_JSON + RAW_YAML))
    return rng.choice([deep(rng), rng.choice(STAMPS), str(rng.choice(NUMBERS))])


def deep(rng: Random) -> Raw:
    """Brackets within brackets."""
    n = rng.choice([5, 50, 300, 1100, 20_000])
    return Raw(rng.choice(["[" * n + "]" * n, '{"a":' * n + "1" + "}" * n, "[" * n]))
