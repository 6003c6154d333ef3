"""A journal keeps what was done through any kill, and refuses what is not its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from placement.support.faults import InputError
from runtime.live.journal import Done, Failed, Journal

INPUTS = {"plan": "a", "mode": "online"}


def done(execution: int) -> Done:
    return Done(
        execution=execution, replica=1, ready_s=0.1, start_s=0.2, end_s=float(execution + 1),
        tries=2, output={"text": "é\n", "n": [1, None]},
    )  # fmt: skip


def filled(path: Path) -> str:
    with Journal(path, INPUTS) as journal:
        assert journal.past.done == {}
        for execution in range(5):
            journal.add(done(execution))
        journal.add(Failed(execution=5, at_s=9.0, tries=1, failed="gone"))
        return journal.run_id


def test_what_was_written_is_there_again(tmp_path: Path) -> None:
    """Every line, the name of the run, and the latest instant."""
    run_id = filled(tmp_path / "j.jsonl")
    with Journal(tmp_path / "j.jsonl", INPUTS) as journal:
        assert journal.run_id == run_id
        assert journal.past.done == {e: done(e) for e in range(5)}
        assert journal.past.failed[5].failed == "gone"
        assert journal.past.at_s == 9.0


def test_cut_at_any_byte_the_whole_lines_are_kept(tmp_path: Path) -> None:
    """The line that was cut is thrown away, and the next is written in its place."""
    path = tmp_path / "j.jsonl"
    filled(path)
    whole = path.read_bytes()
    head = whole.index(b"\n") + 1
    for cut in range(0, len(whole) + 1, 7):
        path.write_bytes(whole[:cut])
        with Journal(path, INPUTS) as journal:
            lines = max(0, whole[:cut].count(b"\n") - 1)
            assert len(journal.past.done) + len(journal.past.failed) == lines
            journal.add(done(77))
        with Journal(path, INPUTS) as journal:
            assert 77 in journal.past.done
            assert len(journal.past.done) + len(journal.past.failed) == lines + 1
        if cut >= head:
            assert path.read_bytes().startswith(whole[:head])


def test_a_line_is_written_before_it_is_made_safe(tmp_path: Path) -> None:
    """Another reader sees it at once: a killed process loses none."""
    path = tmp_path / "j.jsonl"
    with Journal(path, INPUTS) as journal:
        before = path.stat().st_size
        journal.add(done(0))
        assert path.stat().st_size > before


def test_the_journal_of_another_run_is_refused(tmp_path: Path) -> None:
    """Naming what differs; the file stays as it is."""
    path = tmp_path / "j.jsonl"
    filled(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="another plan"):
        Journal(path, {**INPUTS, "plan": "b"})
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", ["models: {}", "models: {}\n", '{"a": 1}\n', "x\ny\n", "\n"])
def test_what_is_no_journal_is_refused_and_kept(content: str, tmp_path: Path) -> None:
    """Whoever names a wrong file does not lose it."""
    path = tmp_path / "j.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=r"j\.jsonl"):
        Journal(path, INPUTS)
    assert path.read_text() == content


def test_two_runs_cannot_share_a_journal(tmp_path: Path) -> None:
    """The second is refused as long as the first is there."""
    path = tmp_path / "j.jsonl"
    with Journal(path, INPUTS), pytest.raises(InputError, match="in use by another run"):
        Journal(path, INPUTS)
    with Journal(path, INPUTS):
        pass
