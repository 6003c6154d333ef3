"""The limits of what a config may say, at their very edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from placement.files.config_file import read_config
from placement.support.faults import InputError
from tests.placement.files.cases import CONFIG, Change, changed, write_document


def model(**fields: Any) -> Change:
    """The writer with other fields."""
    return lambda data: data["models"]["writer"].update(fields)


def bare(**fields: Any) -> Change:
    """The writer with other fields, and without the memory of a replica."""

    def change(data: Any) -> None:
        del data["models"]["writer"]["memory_gb"]
        data["models"]["writer"].update(fields)

    return change


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (model(token_mean=1e9, tokens_per_second=1.0), None),
        (model(token_mean=1.0001e9, tokens_per_second=1.0), "tokens_per_second"),
        (bare(weights_gb=1.0, kv_gb_per_sequence=999_999.0, max_concurrency=1), None),
        (bare(weights_gb=1.1, kv_gb_per_sequence=999_999.0, max_concurrency=1), "kv_gb"),
        (model(memory_gb=0, gpus_required=1), None),
        (model(slowdown=0), None),
        (model(slowdown=1e6, max_concurrency=2), None),
        (model(slowdown=1.1e6, max_concurrency=2), "slowdown"),
        (model(slowdown=[1, 1], max_concurrency=2), None),
        (model(slowdown=[1, 0.9], max_concurrency=2), "slowdown"),
    ],
)
def test_limits_are_where_they_are_said_to_be(
    change: Change, key: str | None, tmp_path: Path
) -> None:
    """What is as large as may be is read, and what is a little larger is refused."""
    path = write_document(tmp_path / "c.json", changed(CONFIG, change))
    if key is None:
        assert read_config(path).models[0].id == "writer"
    else:
        with pytest.raises(InputError, match=rf"models\.writer\.{key}"):
            read_config(path)
