"""What `--json` prints: one object, for programs and for terminals."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import click

OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
BEYOND_ASCII = re.compile("[^\n -~]")


def echo_json(data: Any) -> None:
    """Print one JSON object; what is not finite becomes null."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    try:
        text = orjson.dumps(data, option=options).decode()
    except TypeError:  # a file's name that is no UTF-8
        text = orjson.dumps(_shown(data), option=options).decode()
    # JSON lets into its texts what an 8-bit terminal obeys, and what other encodings lack.
    utf8 = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    beyond = OBEYED if utf8 else BEYOND_ASCII
    click.echo(beyond.sub(lambda found: json.dumps(found[0])[1:-1], text))


def _shown(data: Any) -> Any:
    """The data with bytes that are no text as they are shown elsewhere."""
    if isinstance(data, dict):
        return {_shown(key): _shown(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_shown(value) for value in data]
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode()
    return data
