"""However many rows are wrong, saying so takes no more than reading them."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import pytest

from placement.files.config_file import read_config
from placement.files.request_file import read_requests
from placement.files.syntax.document import Document
from placement.files.syntax.json_text import parse_json
from placement.support.faults import SHOWN_FAULTS, InputError, nearest
from tests.placement.files import cases

ROWS = 400

WRONG: dict[str, Any] = {
    "unknown workflow": lambda i, r: {**r, "workflow_id": f"stori-{i}"},
    "the same unknown workflow": lambda i, r: {**r, "workflow_id": "stori"},
    "workflow that is no text": lambda i, r: {**r, "workflow_id": 5},
    "no time stamp": lambda i, r: {k: v for k, v in r.items() if k != "timestamp"},
    "misspelt time stamp": lambda i, r: {"timestmap" if k == "timestamp" else k: r[k] for k in r},
    "bad time stamp": lambda i, r: {**r, "timestamp": f"day {i}"},
    "one id": lambda i, r: {**r, "request_id": "r"},
    "no id": lambda i, r: {**r, "request_id": ""},
    "unknown node": lambda i, r: {**r, "node_execution_times": {f"drow{i}": 1.0}},
    "negative time": lambda i, r: {**r, "node_execution_times": {"draw": -1.0}},
    "times that are no mapping": lambda i, r: {**r, "node_execution_times": [1]},
    "no mapping": lambda i, r: i,
    "another field each": lambda i, r: {"timestmap": 1, f"feld{i}": 2},
}


@pytest.mark.parametrize("form", ["json", "yaml", "jsonl"])
@pytest.mark.parametrize("wrong", WRONG)
def test_lines_and_suggestions_are_looked_up_for_what_is_shown(
    wrong: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pass for the lines of all, and names compared for twenty faults at most."""
    flows = cases.workload(tmp_path)
    stamp = "2026-01-01T00:00:00"
    row = {"timestamp": stamp, "workflow_id": "sketch"}
    rows = [WRONG[wrong](i, {"request_id": f"r{i}", **row}) for i in range(ROWS)]
    path = tmp_path / f"t.{form}"
    if form == "jsonl":
        path.write_text("\n".join(json.dumps(r) for r in rows))
    else:
        cases.write_document(path, {"requests": rows})
    passes, compared = _counted(monkeypatch)
    with pytest.raises(InputError, match=r"and \d+ more; mend these first") as caught:
        read_requests(path, flows)
    assert len(caught.value.faults) == SHOWN_FAULTS
    assert ROWS - SHOWN_FAULTS - 1 <= caught.value.more <= 4 * ROWS
    assert len(passes) <= 1
    assert len(compared) <= 4 * SHOWN_FAULTS + 2000 * (wrong == "another field each")
    assert all("line" in str(f.key) for f in caught.value.faults)


def _counted(monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], list[int]]:
    passes: list[int] = []
    compared: list[int] = []
    lines, close = Document.lines, difflib.get_close_matches

    def counted_lines(self: Document, places: Any) -> Any:
        passes.append(len(places))
        return lines(self, places)

    def counted_close(*arguments: Any, **more: Any) -> list[str]:
        compared.append(1)
        return close(*arguments, **more)

    monkeypatch.setattr(Document, "lines", counted_lines)
    for module in ("support.faults", "files.schema_faults"):
        monkeypatch.setattr(f"placement.{module}.get_close_matches", counted_close)
    return passes, compared


def test_faults_of_shape_are_counted_beyond_the_first(tmp_path: Path) -> None:
    """A config of a thousand wrong models."""
    config = cases.changed(
        cases.CONFIG, lambda c: c["models"].update({f"m{i}": {} for i in range(1000)})
    )
    with pytest.raises(InputError) as caught:
        read_config(cases.write_document(tmp_path / "c.json", config))
    assert len(caught.value.faults) == SHOWN_FAULTS
    assert caught.value.more == 4000 - SHOWN_FAULTS


def test_the_nearest_of_many_long_names_is_found_by_few_comparisons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Names of 500 characters, and a hundred thousand of them."""
    compared: list[int] = []
    ratio = difflib.SequenceMatcher.quick_ratio

    def counted(self: Any) -> float:
        compared.append(len(self.a) + len(self.b))
        return ratio(self)

    monkeypatch.setattr(difflib.SequenceMatcher, "quick_ratio", counted)
    names = [f"{i:06d}-workflow" for i in range(100_000)]
    assert nearest("0042-workflow", ["x" * 500, *names]) is not None
    assert nearest("00042-workfow", names[:50]) == "000042-workflow"
    assert len(compared) <= 2_000 + 50
    assert max(compared) <= 200


@pytest.mark.parametrize(
    "name",
    ['"\\"\\u003a"', '"\\u0022:"', '"a"', '"\\u0022 \\u003A"', '"\\\\u003a"', '"\\":\\":"'],
)
@pytest.mark.parametrize("second", ["a", "\\u0061"])
def test_equal_keys_are_found_however_they_are_written(name: str, second: str) -> None:
    """With colons and quotes in texts beside them, escaped or not."""
    text = f'{{"x": {name}, "k": [{{"a": 1, "{second}": 2}}]}}'
    with pytest.raises(InputError, match=r"k\[0\].a \(line 1\): this key appears twice"):
        parse_json("c.json", text.encode())
    whole = f'{{"x": {name}, "k": [{{"a": 1, "{second}b": 2}}]}}'
    assert parse_json("c.json", whole.encode())["k"] == [{"a": 1, "ab": 2}]
