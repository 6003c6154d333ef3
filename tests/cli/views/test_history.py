"""The course of a solve is read back, or refused in words."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.views.history import read_history
from placement.problem.outcome import Progress
from placement.support.faults import InputError

EVENT = {"phase": "first", "seconds": 1, "incumbent": 0.5, "best_bound": None}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "history.json"
    path.write_text(json.dumps([{k: v for k, v in (EVENT | changes).items() if v != "gone"}]))
    return path


def test_a_figure_that_is_left_out_is_none(tmp_path: Path) -> None:
    """As one that is null: there was no incumbent, or no bound, yet."""
    for changes in ({}, {"best_bound": "gone"}):
        assert read_history(written(tmp_path, **changes)) == (Progress("first", 1.0, 0.5, None),)


@pytest.mark.parametrize("key", ["phase", "seconds", "incumbent", "best_bound"])
@pytest.mark.parametrize("value", [True, [1], {}, 1e300, "1"])
def test_what_is_no_figure_is_named(key: str, value: Any, tmp_path: Path) -> None:
    """With the file, the event and the field."""
    if key == "phase" and isinstance(value, str):  # a phase is text
        value = None
    with pytest.raises(InputError, match=rf"history\.json: \[0\]\.{key}"):
        read_history(written(tmp_path, **{key: value}))
    if key in ("phase", "seconds"):
        with pytest.raises(InputError, match=rf"\[0\]\.{key}"):
            read_history(written(tmp_path, **{key: "gone"}))
