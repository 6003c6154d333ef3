import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from placement.files.atomic import check_writable, replacing, together, write_atomically


@pytest.mark.parametrize("content", ["grün\n", b"\x00\xff"])
def test_content_replaces_the_old_file_and_leaves_nothing_else(tmp_path, content):
    """The new content stands alone in the directory, whatever was there before."""
    path = tmp_path / "plan.yaml"
    path.write_text("old, and longer than the new content")
    write_atomically(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [p.name for p in tmp_path.iterdir()] == ["plan.yaml"]


def test_failure_keeps_the_old_file(tmp_path):
    """A writer that dies half-way leaves the old file as it was and no debris."""
    path = tmp_path / "plan.yaml"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["plan.yaml"]


def test_permissions_follow_the_umask(tmp_path):
    """A new file is as readable as one opened the plain way."""
    write_atomically(tmp_path / "a", "x")
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_link_stays_a_link(tmp_path):
    """Writing through a symbolic link changes the file it names."""
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomically(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_pipe_is_written_in_place(tmp_path):
    """What cannot be replaced (a pipe, a device) receives the bytes and survives."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomically(pipe, "through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_unwritable_places_are_named(tmp_path):
    """A directory and a missing directory are refused before and while writing."""
    for place in (tmp_path, tmp_path / "none" / "plan.yaml"):
        with pytest.raises(OSError, match="directory"):
            check_writable(place)
        with pytest.raises(OSError):
            write_atomically(place, "x")
    check_writable(tmp_path / "plan.yaml")
    with pytest.raises(OSError, match="'' is no name"):
        check_writable("")


def test_files_written_together_appear_together(tmp_path):
    """Until the last is written none is there; then all are, and no temporary file."""
    with together():
        write_atomically(tmp_path / "plan.yaml", "plan")
        assert not (tmp_path / "plan.yaml").exists()
        with together():
            write_atomically(tmp_path / "history.json", "history")
        assert not (tmp_path / "history.json").exists()
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "plan.yaml": "plan",
        "history.json": "history",
    }


def test_where_one_fails_none_appears(tmp_path):
    """A fault in the second file leaves the old first one, and nothing else."""
    (tmp_path / "old").write_text("old")
    with pytest.raises(OSError, match="none"), together():
        write_atomically(tmp_path / "old", "new")
        write_atomically(tmp_path / "fresh", "new")
        write_atomically(tmp_path / "none" / "x", "new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("old", "old")]


def test_a_place_lost_at_the_last_moment_takes_the_others_back(tmp_path):
    """Where the second cannot take its place, the first, which is new, goes too."""
    with pytest.raises(OSError, match="second"), together():
        write_atomically(tmp_path / "first", "new")
        write_atomically(tmp_path / "second", "new")
        (tmp_path / "second").mkdir()
    assert [p.name for p in tmp_path.iterdir()] == ["second"]


def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_process_left_is_removed(tmp_path):
    """Only its own kind, only beside the same file, only where the process is gone."""
    gone, here = dead_pid(), os.getppid()
    left = tmp_path / f".plan.yaml.{gone}.tmp"
    others = [f".plan.yaml.{here}.tmp", f".other.yaml.{gone}.tmp", ".plan.yaml.tmp", "a.1.tmp"]
    for name in (left.name, *others):
        (tmp_path / name).write_text("half")
    write_atomically(tmp_path / "plan.yaml", "new")
    assert {p.name for p in tmp_path.iterdir()} == {"plan.yaml", *others}


def test_a_file_that_is_locked_is_somebodys(tmp_path):
    """On a shared folder a number says little; the lock of a writer elsewhere is respected."""
    fcntl = pytest.importorskip("fcntl")
    busy = tmp_path / f".plan.yaml.{dead_pid()}.tmp"
    with busy.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write_atomically(tmp_path / "plan.yaml", "new")
        assert busy.exists()
    write_atomically(tmp_path / "plan.yaml", "new")
    assert not busy.exists()


@pytest.mark.parametrize("length", [200, 255])
def test_the_longest_names_can_be_written(tmp_path, length):
    """A name that the file system takes can be written, though the temporary one is longer."""
    names = ["x" * (length - 1) + end for end in "ab"]
    with together():
        for name in names:
            write_atomically(tmp_path / name, name)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {n: n for n in names}
    with pytest.raises(OSError, match="too long"):
        check_writable(tmp_path / ("x" * 256))


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    """Whatever fails on the way, the error names the file asked for, and nothing stays."""

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    path = tmp_path / "plan.yaml"
    with pytest.raises(OSError, match="No space left") as failed:
        write_atomically(path, "x")
    assert failed.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_library_in_rust_says_becomes_an_error_of_the_file(tmp_path):
    """A table library has errors of its own for a full disk; the sentence is the same."""
    path = tmp_path / "log.parquet"
    with pytest.raises(OSError, match="No space left") as failed, replacing(path):
        raise ValueError("underlying IO error: No space left on device (os error 28)")
    assert (failed.value.errno, failed.value.filename) == (errno.ENOSPC, str(path))
    with pytest.raises(ValueError, match="something else"), replacing(path):
        raise ValueError("something else")


def test_standard_output_that_is_a_pipe_is_written_in_place():
    """/dev/stdout is a link to a pipe that no path leads to."""
    code = """
from placement.files.atomic import check_writable, write_atomically
check_writable("/dev/stdout")
write_atomically("/dev/stdout", "through")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"through"


def test_an_error_about_another_file_keeps_its_name(tmp_path):
    """Only the temporary file's name is hidden from the user."""
    with pytest.raises(FileNotFoundError) as failed, replacing(tmp_path / "x"):
        (tmp_path / "missing").read_text()
    assert failed.value.filename == str(tmp_path / "missing")


DISCARD = """
import os, sys, threading
from placement.files.atomic import *
from placement.files.atomic import discard_unfinished
with scratch_folder() as folder, together(), replacing(sys.argv[1]) as one:
    print(folder)
    one.write_text("half")
    write_atomically(sys.argv[2], "whole")
    ending = threading.Thread(target=discard_unfinished)
    ending.start()
    ending.join()
    os._exit(0)
"""


def test_an_end_in_the_middle_leaves_nothing(tmp_path):
    """Half-written files, those that wait for others and scratch folders are all thrown away."""
    command = [sys.executable, "-c", DISCARD, tmp_path / "a", tmp_path / "b"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).exists()
    assert list(tmp_path.iterdir()) == []


def test_what_is_being_written_is_locked(tmp_path):
    """So that whoever sweeps on another machine leaves it alone; afterwards nothing is."""
    fcntl = pytest.importorskip("fcntl")
    with replacing(tmp_path / "plan.yaml") as half:
        half.write_text("half")
        with half.open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "plan.yaml").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
