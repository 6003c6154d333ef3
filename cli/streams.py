"""Standard output and error that bear what a terminal, a pipe or a disk does to them.

A reader that has left (``| head -1``) is no fault: the rest of the output goes nowhere, the
command ends as it would have. Any other failure of standard output is said once, at the end.
Characters that the encoding lacks are written as escapes.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any

_failure: OSError | None = None


class _Stream(io.FileIO):
    """A descriptor whose failures are kept for later."""

    closed_from_start = False

    def write(self, data: Any) -> int:
        global _failure
        try:
            if self.closed_from_start:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            written = super().write(data)
        except BrokenPipeError:
            self._go_nowhere()
        except OSError as error:
            if self.fileno() == 1:
                _failure = _failure or error
            self._go_nowhere()
        else:
            return written or 0
        return memoryview(data).nbytes

    def _go_nowhere(self) -> None:
        self.closed_from_start = False
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)


class _Text(io.TextIOWrapper):
    """Text whose ASCII is meant: click takes it for a mistake and would write UTF-8."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        name = super().encoding
        return "latin-1" if name.lower() in ("ascii", "us-ascii", "ansi_x3.4-1968") else name


def open_all() -> None:
    """Take the place of `sys.stdout` and `sys.stderr`."""
    closed = [fd for fd in (0, 1, 2) if not _is_open(fd)]
    for _ in closed:
        # A file of ours that got the number of a closed stream would receive what is printed.
        os.open(os.devnull, os.O_RDWR)
    for fd, name in ((1, "stdout"), (2, "stderr")):
        before = getattr(sys, name)
        raw = _Stream(fd, "wb", closefd=False)
        raw.closed_from_start = fd in closed
        text = _Text(
            io.BufferedWriter(raw),
            encoding="utf-8" if before is None else before.encoding,
            errors="backslashreplace",
            line_buffering=fd == 2 or raw.isatty(),
        )
        setattr(sys, name, text)
    if 0 in closed:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - it lasts as long as the process


def close() -> int:
    """Write what is left; 1 where the output could not be written, else 0."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if _failure is None:
        return 0
    why = "it is closed" if _failure.errno == errno.EBADF else _failure.strerror
    with suppress(OSError, ValueError):
        sys.stderr.write(
            f"error: standard output: {why}; not all that was to be shown was written\n"
        )
        sys.stderr.flush()
    return 1


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
