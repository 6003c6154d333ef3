"""The file of search parameters: what it says is taken, what it says wrongly is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from placement.files.params_file import read_params
from placement.params.search_params import DEFAULTS
from placement.support.faults import InputError


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("search.yaml", "local_search: {runs: 2, hot: [0.5]}\n"),
        ("search.json", '{"local_search": {"runs": 2, "hot": [0.5]}}'),
    ],
)
def test_what_a_file_names_is_changed_and_no_more(tmp_path: Path, name: str, text: str) -> None:
    """In either format."""
    (tmp_path / name).write_text(text)
    assert read_params(tmp_path / name).differences() == {"local_search": {"runs": 2, "hot": [0.5]}}


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    """It names no section."""
    (tmp_path / "search.yaml").write_text("# nothing yet\n")
    assert read_params(tmp_path / "search.yaml") == DEFAULTS


def test_every_fault_is_named_with_its_line(tmp_path: Path) -> None:
    """Unknown names with the nearest there is, values with their range."""
    path = tmp_path / "search.yaml"
    path.write_text("local_search:\n  run: 2\n  warm: 0\n3: {}\ntiling: []\n")
    with pytest.raises(InputError) as error:
        read_params(path)
    said = re.sub(r"'coverage', .*", "'coverage', ...", str(error.value))
    assert said.splitlines() == [
        f"{path}: local_search.run (line 2): is no field; did you mean 'runs'?",
        f"{path}: local_search.warm (line 3): is 0; give it a number above 0",
        f"{path}: 3 (line 4): is no section; use a section that exists: 'coverage', ...",
        f"{path}: tiling (line 5): is no mapping; write field: value below it",
    ]
    path.write_text("- local_search\n")
    with pytest.raises(InputError, match="is no mapping; write section"):
        read_params(path)
