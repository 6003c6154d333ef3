"""The kept pages: rows come back as written, and a page knows what has changed since."""

import math
from pathlib import Path

import pytest

from benchmarks.kept import (
    MADE,
    RESULTS,
    STUDIES,
    changed_since,
    digests,
    keep,
    make,
    read_made,
    read_rows,
    write_rows,
)


def test_rows_come_back_as_written_but_for_the_last_digits(tmp_path: Path) -> None:
    """What a row has not comes back as None; figures keep seven digits."""
    rows = [{"a": 1, "b": 'x,"y\n', "c": math.pi}, {"a": 2, "d": [0.1, None]}]
    write_rows(tmp_path / "r.jsonl", rows)
    first, second = read_rows(tmp_path / "r.jsonl")
    assert first == {"a": 1, "b": 'x,"y\n', "c": 3.141593, "d": None}
    assert second == {"a": 2, "b": None, "c": None, "d": [0.1, None]}
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == len(rows) + 1


def test_a_file_that_is_missing_has_no_rows(tmp_path: Path) -> None:
    """Nothing was kept, so nothing is read."""
    assert read_rows(tmp_path / "none.jsonl") == []
    assert read_made(tmp_path) == {}


@pytest.mark.parametrize(
    ("after", "same"),
    [
        ('"""Other words."""\n\nX  =  1  # a remark\n\n\ndef f():\n    return X\n', True),
        ('"""Words."""\nX = 2\ndef f():\n    """Say."""\n    return X\n', False),
        ('"""Words."""\nX = 1\ndef f():\n    """Say."""\n    return -X\n', False),
    ],
)
def test_only_code_makes_a_room_another(tmp_path: Path, after: str, same: bool) -> None:
    """Comments, docstrings and layout leave a digest as it is; a figure or a sign does not."""
    room = tmp_path / "pack" / "room"
    room.mkdir(parents=True)
    (room / "m.py").write_text('"""Words."""\nX = 1\ndef f():\n    """Say."""\n    return X\n')
    (tmp_path / "pack" / "top.py").write_text("Y = 1\n")
    before = digests(["pack"], tmp_path)
    (room / "m.py").write_text(after)
    now = digests(["pack"], tmp_path)
    assert set(now) == {"pack/room", "pack"}
    assert changed_since(before, now) == ([] if same else ["pack/room"])


def test_a_page_may_rest_on_modules_without_the_rooms_beside_them(tmp_path: Path) -> None:
    """What is changed in a room that a page never enters makes it no older."""
    room = tmp_path / "pack" / "room"
    room.mkdir(parents=True)
    (room / "m.py").write_text("X = 1\n")
    (tmp_path / "pack" / "top.py").write_text("Y = 1\n")
    whole, own = digests(["pack"], tmp_path), digests(["pack/*"], tmp_path)
    assert own == {"pack": whole["pack"]}
    assert digests(["pack/*", "pack/room", "pack"], tmp_path) == whole


def test_rooms_that_came_or_went_have_changed() -> None:
    """A page that was never made is older than everything it rests on."""
    assert changed_since({"a": "1", "b": "2"}, {"b": "2", "c": "3"}) == ["a", "c"]
    assert changed_since(None, {"a": "1"}) == ["a"]


def test_a_kept_page_is_as_new_as_the_code(tmp_path: Path) -> None:
    """Keeping one page says nothing of the others."""
    keep(tmp_path, "engine", "# Engine\n")
    keep(tmp_path, "limits", "# Limits\n", [{"case": "a", "late_s": 0.5}])
    made = read_made(tmp_path)
    assert set(made) == {"engine", "limits"}
    rests_on = {s.name: s.rests_on for s in STUDIES}
    assert changed_since(made["engine"], digests(rests_on["engine"])) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "engine.md", "limits.jsonl", "limits.md", MADE,
    ]  # fmt: skip


def test_every_kept_page_is_made_by_a_study() -> None:
    """No figure lies about that no command makes anew, and every study has a module."""
    pages = {p.stem for p in RESULTS.glob("*.md")}
    names = {s.name for s in STUDIES}
    assert pages <= names
    for name in names:
        assert (RESULTS.parent / f"{name}.py").is_file()


def test_what_is_named_is_made_in_the_order_of_the_studies() -> None:
    """Whoever asks for two pages gets these two."""
    ran: list[list[str]] = []
    make(["engine", "limits"], ran.append)
    assert [command[2] for command in ran] == ["benchmarks.limits", "benchmarks.engine"]
