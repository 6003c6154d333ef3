import os

import pytest

from placement.atomic import check_writable, replacing, write_atomically


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
