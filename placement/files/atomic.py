"""Files that appear whole or not at all, alone or together."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]

LONGEST_NAME = 255
"""Bytes of a file name that common file systems take."""

_OS_ERROR = re.compile(r"\(os error (\d+)\)")

_unfinished: dict[Path, int | None] = {}
"""Temporary files and folders of this process, with the descriptor that locks them."""

_lock = threading.Lock()
"""Held while files are named, put in place or thrown away, so that an end comes between."""


@dataclass
class _Group:
    """Files that are written and wait for the others: (temporary, where it goes)."""

    written: list[tuple[Path, Path]] = field(default_factory=list)


_group: ContextVar[_Group | None] = ContextVar("group", default=None)


@contextmanager
def together() -> Iterator[None]:
    """Put the files that are written inside in place at its end, all of them or none.

    All are written and safe on disk before the first takes its place, and none does where the
    body raises. A group inside a group is part of it.

    Raises
    ------
    OSError
        Where a file cannot take its place; those before it are taken away again unless they
        replaced an older one.
    """
    if _group.get() is not None:
        yield
        return
    group = _Group()
    token = _group.set(group)
    try:
        yield
        with _lock:
            _put_in_place(group.written)
    finally:
        _group.reset(token)
        _forget([temporary for temporary, _ in group.written])


def _put_in_place(written: list[tuple[Path, Path]]) -> None:
    new = [target for _, target in written if not target.exists()]
    done: list[Path] = []
    try:
        for temporary, target in written:
            with _naming(target, temporary):
                temporary.replace(target)
            done.append(target)
    except OSError:
        for target in done:
            if target in new:
                target.unlink(missing_ok=True)
        raise


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; the file written there takes its place at the end.

    Nothing changes at `path` when the body raises. What is no regular file (a pipe, /dev/stdout)
    cannot be replaced and is written in place. Inside `together` the place is taken at its end.

    Parameters
    ----------
    path : path-like
        The file to write; a symbolic link is followed, so that the link stays.

    Raises
    ------
    OSError
        Where the directory is missing or not writable, or the disk is full; it names `path`.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(_temporary_name(target.name, os.getpid()))
    with _naming(path, temporary):
        if target.is_dir():
            raise IsADirectoryError(f"{path} is a directory")
        if _is_special(path):
            yield Path(path)
            return
        _sweep(target)
        group = _group.get()
        kept = False
        try:
            with _lock:
                _unfinished[temporary] = None
                _unfinished[temporary] = _claimed(temporary)
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            if group is not None:
                group.written.append((temporary, target))
                kept = True
            else:
                with _lock:
                    temporary.replace(target)
        finally:
            if not kept:
                _forget([temporary])


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder for files that nobody needs afterwards, even if the process is ended."""
    with _lock:
        folder = Path(tempfile.mkdtemp(prefix="gswarm-place-"))
        _unfinished[folder] = None
    try:
        yield folder
    finally:
        _forget([folder])


def discard_unfinished(patience_s: float = 1.0) -> None:
    """Throw away everything that is being written; nothing can take its place any more.

    For the last moment of a process, from a thread other than those that write.

    Parameters
    ----------
    patience_s : float
        How long to wait for files that are just being put in place.
    """
    _lock.acquire(timeout=patience_s)  # never given back
    for path in list(_unfinished):
        with suppress(OSError):
            _remove(path)


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
        Where the path is a directory, its name is too long, or its directory is missing or
        not writable.
    """
    if not os.fspath(path):
        raise FileNotFoundError("'' is no name of a file; name one")
    target = Path(os.path.realpath(path))
    with _naming(path, target):
        if target.is_dir():
            raise IsADirectoryError(f"{path} is a directory; name a file in it")
    if not _is_special(path) and not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: the directory {target.parent} does not exist; create it")
    place = Path(path) if _is_special(path) else target.parent
    if not os.access(place, os.W_OK):
        raise PermissionError(
            f"{path}: {place} cannot be written: no permission, or the disk is read-only; "
            "name another place"
        )


def _is_special(path: str | os.PathLike[str]) -> bool:
    """Whether it is a pipe, a terminal or a device; the links of /dev/stdout lead to no path."""
    return Path(path).exists() and not Path(path).is_file()


@contextmanager
def _naming(path: str | os.PathLike[str], written: Path) -> Iterator[None]:
    """Let what goes wrong with `written`, or with no file in particular, name `path`."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read has gone; that is no fault of a file
    except OSError as error:
        number = error.errno or _os_error(error)
        if number is None or error.filename not in (None, str(written), written):
            raise
        raise OSError(number, os.strerror(number), os.fspath(path)) from error
    except Exception as error:
        number = _os_error(error)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), os.fspath(path)) from error


def _os_error(error: Exception) -> int | None:
    """Find the number in what libraries written in Rust say of the system."""
    found = _OS_ERROR.search(str(error))
    return int(found[1]) if found else None


def _temporary_name(name: str, pid: int) -> str:
    """Name that says what it will be and whose it is; a long one is cut and kept apart by a hash.

    A file system refuses names of more than 255 bytes, though the name without its ends fits.
    """
    end = f".{pid}.tmp"
    raw = os.fsencode(name)
    if len(raw) + len(end) >= LONGEST_NAME:
        raw = raw[:100] + hashlib.sha256(raw).hexdigest().encode()
    return "." + os.fsdecode(raw) + end


def _claimed(path: Path) -> int:
    """Open a file and lock it for as long as this process lives, however it ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
    if fcntl is not None:
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _sweep(target: Path) -> None:
    """Remove what a process that was killed left beside `target`.

    Its number is gone, and so is its lock: the first alone would not do where machines or
    containers share a folder.
    """
    pattern = re.compile(re.escape(_temporary_name(target.name, 0)).replace(r"\.0\.", r"\.(\d+)\."))
    with suppress(OSError):
        for entry in os.scandir(target.parent):
            found = pattern.fullmatch(entry.name)
            if found and not _is_alive(int(found[1])):
                _remove_unlocked(Path(entry.path))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _remove_unlocked(path: Path) -> None:
    with path.open("rb") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)


def _forget(paths: list[Path]) -> None:
    """Remove what is left of temporary files."""
    for path in paths:
        with suppress(OSError):
            _remove(path)
        descriptor = _unfinished.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
