"""Data written as YAML so that every reader gets them back, those of YAML 1.1 and 1.2 alike.

JSON is nearly YAML's flow style already. It is not where a text holds what YAML lets into a file
only escaped (control characters, line separators), where JSON would write a character beyond the
first plane as two halves, and where a key is longer than the 1,024 characters that YAML looks
ahead.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
_ESCAPED = re.compile("[\x7f-\xa0\xad\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_NUMBER_START = re.compile(r"[-+]?\.?\d")
_LONGEST_KEY = 1000
"""Characters up to which ``key:`` may stand on its line, less than YAML's 1,024."""


def quote(text: str) -> str:
    """Write a text in double quotes, as JSON and YAML both read it."""
    escaped = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped)


def key(name: str, indent: str = "") -> str:
    """Write the key of a mapping with its colon; a long one needs a mark, and a line, of its own.

    Parameters
    ----------
    name : str
    indent : str
        The spaces before the key in block style; nothing in flow style.
    """
    # What YAML could take for a number, a truth value or null is quoted.
    if _PLAIN_KEY.fullmatch(name) and name.lower() not in _WORDS:
        return f"{name}:"
    text = quote(name)
    if len(text) <= _LONGEST_KEY:
        return f"{text}:"
    return f"? {text}\n{indent}:" if indent else f"? {text} :"


def flow(value: Any) -> str:
    """Write a value on one line."""
    # YAML takes 1e-05 for text: its floats need a point before the exponent.
    if isinstance(value, float):
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key(k)} {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(v) for v in value) + "]"
    return quote(value) if isinstance(value, str) else json.dumps(value)


def block(data: Any) -> str:
    """Write plain data in block style, keys in their order."""
    text: str = yaml.dump(data, Dumper=_Quoting, sort_keys=False, allow_unicode=True, width=100)
    return text


class _Quoting(yaml.SafeDumper):
    """PyYAML knows only what YAML 1.1 takes for a number: ``1e5`` is one in YAML 1.2."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write out what occurs twice; not every reader follows references."""
        return True


def _quoted_number(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _NUMBER_START.match(text) or _ESCAPED.search(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Quoting.add_representer(str, _quoted_number)
