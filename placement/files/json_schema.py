"""The JSON Schemas of the project's files, for editors and for other programs."""

from __future__ import annotations

from typing import Any, Literal, get_args

from placement.files.base_entry import Entry
from placement.files.input_schema import ClusterFile, ConfigFile, RequestsFile
from placement.files.plan_schema import PlanDocument
from placement.files.rules_schema import RulesFile

FileKind = Literal["config", "cluster", "rules", "requests", "plan"]
FILE_KINDS: tuple[FileKind, ...] = get_args(FileKind)

_FILES: dict[FileKind, type[Entry]] = {
    "config": ConfigFile,
    "cluster": ClusterFile,
    "rules": RulesFile,
    "requests": RequestsFile,
    "plan": PlanDocument,
}


def json_schema(kind: FileKind) -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of a kind of file.

    Parameters
    ----------
    kind : {"config", "cluster", "rules", "requests", "plan"}

    Returns
    -------
    dict
        What the readers check of a file's shape; the rest (names that must exist, cycles, order
        of time) no schema can say.
    """
    schema = _FILES[kind].model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_without_titles(schema)}


def _without_titles(part: Any) -> Any:
    """Drop the titles that pydantic makes of field names; a field may itself be named title."""
    if isinstance(part, list):
        return [_without_titles(p) for p in part]
    if not isinstance(part, dict):
        return part
    return {k: _without_titles(v) for k, v in part.items() if k != "title" or isinstance(v, dict)}
