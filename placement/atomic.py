"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; the file written there takes its place at the end.

    Nothing changes at `path` when the body raises. What is no regular file (a pipe, /dev/stdout)
    cannot be replaced and is written in place.

    Parameters
    ----------
    path : path-like
        The file to write; a symbolic link is followed, so that the link stays.

    Raises
    ------
    OSError
        Where the directory is missing or not writable, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        if target.is_dir():
            raise IsADirectoryError(f"{path} is a directory")
        yield target
        return
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path`: a reader sees the old file or the whole new one.

    Raises
    ------
    OSError
        As `replacing`.
    """
    data = content.encode() if isinstance(content, str) else content
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Find out before the work, not after it, that `path` cannot be written.

    Raises
    ------
    OSError
        Where the path is a directory, or its directory is missing or not writable.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a directory; name a file in it")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: the directory {target.parent} does not exist; create it")
    place = target if target.exists() and not target.is_file() else target.parent
    if not os.access(place, os.W_OK):
        raise PermissionError(f"{path}: no permission to write in {target.parent}")
