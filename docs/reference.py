"""Write what the documents take from the code: JSON Schemas, tables of fields and of names.

python -m docs.reference            # writes; `make docs` does the same
python -m docs.reference --check    # exit code 1 where a file is not up to date
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

from placement.files.json_schema import FILE_KINDS, FileKind, json_schema
from placement.params.ranges import kinds
from placement.params.search_params import sections
from placement.problem import names

FOLDER = Path(__file__).parent
PAGE = FOLDER / "configuration.md"
NAMES_PAGE = FOLDER / "python.md"
SEARCH_PAGE = FOLDER / "search.md"
SEARCH_BLOCK = re.compile(r"(<!-- search parameters -->\n).*?(<!-- end -->)", re.DOTALL)
NAMES_BLOCK = re.compile(r"(<!-- names -->\n).*?(<!-- end -->)", re.DOTALL)
NAMES = {
    "`SolveOptions.method`": names.METHODS,
    "`SolveOptions.form`": names.FORMS,
    "`SolveOptions.mode`, `mode` of a run": names.MODES,
    "`Rules.objective`": names.OBJECTIVES,
    "`policy` of a run": names.ROUTERS,
    "`scheduler` of `simulate_switching`": names.SWITCHING,
}
BLOCK = re.compile(r"(<!-- fields of (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

Schema = dict[str, Any]


def schema_text(kind: FileKind) -> str:
    """Give a schema as it is published."""
    return json.dumps(json_schema(kind), indent=2) + "\n"


def field_tables(kind: FileKind) -> str:
    """Give the fields of a file as Markdown: a table for each part, named by where it stands."""
    schema = json_schema(kind)
    parts: dict[str, list[str]] = {}
    todo = [("", schema)]
    while todo:
        place, part = todo.pop(0)
        for name, field in part["properties"].items():
            path = f"{place}.{name}" if place else name
            for definition, suffix in _parts_of(field):
                known = parts.setdefault(definition, [])
                known.append(path + suffix)
                if len(known) == 1:
                    todo.append((path + suffix, schema["$defs"][definition]))
    tables = [_table(f"{kind.capitalize()}: the whole file", schema)]
    for definition, places in parts.items():
        heading = " and ".join(f"`{p}`" for p in places)
        tables.append(_table(f"{kind.capitalize()}: {heading}", schema["$defs"][definition]))
    return "\n".join(tables)


def _parts_of(field: Schema) -> list[tuple[str, str]]:
    """Definitions that a field refers to, each with how its path goes on."""
    if "$ref" in field:
        return [(field["$ref"].rsplit("/", 1)[1], "")]
    found = []
    for key, suffix in (("items", "[]"), ("additionalProperties", ".{name}")):
        if isinstance(field.get(key), dict):
            found += [(d, suffix + rest) for d, rest in _parts_of(field[key])]
    return found


def _table(heading: str, part: Schema) -> str:
    lines = [
        f"### {heading}\n\n{part['description']}\n",
        "| field | type | needed | meaning |",
        "|---|---|---|---|",
    ]
    needed = part.get("required", [])
    for name, field in part["properties"].items():
        if name in needed:
            need = "yes"
        elif field.get("default") in (None, [], {}) or isinstance(field["default"], dict):
            need = "no"
        else:
            default = field["default"]
            need = f"no ({default if isinstance(default, str) else format(default, 'g')})"
        lines.append(f"| `{name}` | {_type(field)} | {need} | {field['description']} |")
    return "\n".join(lines) + "\n"


def _type(field: Schema) -> str:
    if "anyOf" in field:
        return " or ".join(_type(f) for f in field["anyOf"])
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{v}`" for v in field["enum"])
    if "$ref" in field:
        return "mapping"
    match field.get("type"):
        case "array":
            return _of("list of", field["items"])
        case "object":
            values = field.get("additionalProperties")
            return _of("mapping to", values if isinstance(values, dict) else {})
        case "string":
            return "text"
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case "integer" | "number" as kind:
            return ("whole number" if kind == "integer" else "number") + _range(field)
        case _:
            return "any"


def _of(container: str, content: Schema) -> str:
    inner, limits, rest = _type(content).partition(" (")
    if inner in ("any", "mapping") and container == "mapping to":
        return "mapping"
    if inner == "any":
        return "list"
    plural = inner if inner == "text" else f"{inner}s"
    return f"{container} {plural}{limits}{rest}"


def _range(field: Schema) -> str:
    low = field.get("minimum", field.get("exclusiveMinimum"))
    if low is None:
        return ""
    more = "above" if "exclusiveMinimum" in field else "from"
    high = f" to {field['maximum']:g}" if "maximum" in field else ""
    return f" ({more} {low:g}{high})".replace("e+0", "e").replace("e+", "e")


def name_table() -> str:
    """Give the names that users write as Markdown, a row for each place where they write them."""
    rows = [f"| {where} | {', '.join(f'`{n}`' for n in known)} |" for where, known in NAMES.items()]
    return "\n".join(["| where | names |", "|---|---|", *rows]) + "\n"


def field_texts(documented: type) -> dict[str, tuple[str, str]]:
    """Give type and meaning of each field of a class, as its numpydoc says them."""
    text = inspect.cleandoc(documented.__doc__ or "").partition("Parameters\n----------\n")[2]
    found = {}
    for entry in re.split(r"\n(?=\S)", text):
        head, _, body = entry.partition("\n")
        fields, _, kind = head.partition(" : ")
        for field in fields.split(", "):
            found[field] = kind, " ".join(body.split())
    return found


def search_tables() -> str:
    """Give the parameters of the search as Markdown, a table for each section."""
    tables = []
    for section, params in sections().items():
        summary = (type(params).__doc__ or "").partition("\n")[0]
        lines = [
            f"### `{section}`\n\n{summary}\n",
            "| field | values | default | what it does, and why |",
            "|---|---|---|---|",
        ]
        texts = field_texts(type(params))
        for field, kind in kinds(type(params)).items():
            value = getattr(params, field)
            default = list(value) if isinstance(value, tuple) else value
            lines.append(f"| `{field}` | {kind} | {default} | {texts[field][1]} |")
        tables.append("\n".join(lines) + "\n")
    return "\n".join(tables)


def documents() -> dict[Path, str]:
    """Give every file that is made from the code, with its text."""
    made = {FOLDER / "schema" / f"{kind}.schema.json": schema_text(kind) for kind in FILE_KINDS}
    made[PAGE] = BLOCK.sub(
        lambda block: block[1] + "\n" + field_tables(block[2]) + "\n" + block[3],  # type: ignore[arg-type]
        PAGE.read_text(encoding="utf-8"),
    )
    made[NAMES_PAGE] = NAMES_BLOCK.sub(
        lambda block: f"{block[1]}\n{name_table()}\n{block[2]}",
        NAMES_PAGE.read_text(encoding="utf-8"),
    )
    made[SEARCH_PAGE] = SEARCH_BLOCK.sub(
        lambda block: f"{block[1]}\n{search_tables()}\n{block[2]}",
        SEARCH_PAGE.read_text(encoding="utf-8"),
    )
    return made


def main() -> int:
    """Write the files, or say which are not up to date."""
    stale = [p for p, text in documents().items() if not p.exists() or p.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(FOLDER.parent)} is not up to date; run `make docs`")
        return 1 if stale else 0
    for path, text in documents().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
