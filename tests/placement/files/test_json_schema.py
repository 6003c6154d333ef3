"""The JSON Schemas: of every kind, without what the library adds of its own."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from placement.files.base_entry import Entry
from placement.files.input_schema import ClusterFile
from placement.files.json_schema import _FILES, FILE_KINDS, FileKind, json_schema


def titles(part: Any, at: str = "") -> list[tuple[str, Any]]:
    """Everything that is named title, with its place."""
    if isinstance(part, list):
        return [found for i, p in enumerate(part) for found in titles(p, f"{at}[{i}]")]
    if not isinstance(part, dict):
        return []
    here = [(at, part["title"])] if "title" in part else []
    return here + [found for k, v in part.items() for found in titles(v, f"{at}.{k}")]


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_a_schema_is_one_and_has_no_titles(kind: FileKind) -> None:
    """Names of fields written once more say nothing; the schema itself is valid."""
    schema = json_schema(kind)
    Draft202012Validator.check_schema(schema)
    assert titles(schema) == []
    assert len(schema["properties"]) == len(_FILES[kind].model_json_schema()["properties"])


def test_a_field_may_be_named_title(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its schema stays, without a title of its own."""

    class Book(Entry):
        title: str
        pages: int

    monkeypatch.setitem(_FILES, "cluster", Book)
    schema = json_schema("cluster")
    assert set(schema["properties"]) == {"title", "pages"}
    assert schema["properties"]["title"] == {"type": "string"}
    monkeypatch.setitem(_FILES, "cluster", ClusterFile)


def efficiency(value: object) -> bool:
    """Whether the schema of a cluster takes this for what sharing keeps."""
    return not list(
        Draft202012Validator(json_schema("cluster")).iter_errors(
            {
                "server_types": {"a": {"count": 1, "gpus": 1, "gpu_memory_gb": 80}},
                "sharing_efficiency": value,
            }
        )
    )


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (0, False), (1e-6, True), (2, True), (2.01, False), ([], False), ([0.9], True),
        ([0.9, 0.8, 0.7], True), ([0], False), ([2.5], False), ([0.9, 0], False), ("1", False),
    ],
)  # fmt: skip
def test_the_schema_of_what_sharing_keeps_has_its_limits(value: object, taken: bool) -> None:
    """One number or a list, above 0; of two replicas no more than two GPUs' worth."""
    assert efficiency(value) == taken
