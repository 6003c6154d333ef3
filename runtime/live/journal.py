"""The journal of a run: what was done, a line each, so that a killed run goes on where it was.

The first line says which run it is; every further line is one execution that was answered, one
that failed for good, or a new beginning. A line is in the hands of the system before anything is
made of what it says, so a killed process loses none; every `SYNC_S` the file is made safe on disk,
so a machine that loses power loses at most that much. A line that was cut short is thrown away.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from placement.support.faults import input_error

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]

_BEGINNING = b'{"format":"gswarm-place journal"'

SYNC_S = 0.2
"""Seconds between two times that the journal is made safe on disk."""


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Head(_Line):
    """The first line: which run it is."""

    format: Literal["gswarm-place journal"] = "gswarm-place journal"
    version: Literal[1] = 1
    run: str
    inputs: dict[str, str]


class Done(_Line):
    """An execution that was answered; times in seconds since the run began."""

    execution: int
    replica: int
    ready_s: float
    start_s: float
    end_s: float
    tries: int
    output: Any


class Failed(_Line):
    """An execution that failed for good, and why."""

    execution: int
    at_s: float
    tries: int
    failed: str


@dataclass
class Past:
    """What a journal holds of an earlier part of its run.

    Attributes
    ----------
    done, failed : dict
        Lines by execution.
    at_s : float
        Latest instant that it mentions.
    """

    done: dict[int, Done] = field(default_factory=dict)
    failed: dict[int, Failed] = field(default_factory=dict)
    at_s: float = 0.0


class Journal:
    """An open journal; nobody else can open it at the same time.

    Parameters
    ----------
    path : path-like
        Made where it is missing, else taken up.
    inputs : mapping of str to str
        What the run is made of, by name (hashes of files, options); a journal of another run is
        refused.

    Attributes
    ----------
    run_id : str
        Name of the run, the same after a new beginning.
    past : Past
        What was done before.

    Raises
    ------
    InputError
        Where the file is no journal, or one of another run.
    OSError
        Where it cannot be read or written, or is in use.
    """

    def __init__(self, path: str | os.PathLike[str], inputs: Mapping[str, str]) -> None:
        self._path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        self._file = os.open(path, flags, 0o600)
        try:
            self._lock()
            self.run_id, self.past = self._take_up(dict(inputs))
        except BaseException:
            os.close(self._file)
            raise
        self._unsafe = False

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sync()
        os.close(self._file)

    def add(self, line: Done | Failed) -> None:
        """Append a line.

        Raises
        ------
        OSError
            Where the disk is full; the run must then stop.
        """
        self._write(line)
        self._unsafe = True

    def sync(self) -> None:
        """Make safe on disk what has been appended."""
        if self._unsafe:
            self._unsafe = False
            os.fsync(self._file)

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise input_error(
                self._path, "", "is in use by another run", "wait for it, or name another journal"
            ) from None

    def _take_up(self, inputs: dict[str, str]) -> tuple[str, Past]:
        lines, whole = self._whole_lines()
        if not lines:
            if not _BEGINNING.startswith(os.pread(self._file, len(_BEGINNING), 0)):
                raise input_error(self._path, "", "is no journal", "name another file")
            os.ftruncate(self._file, 0)
            head = Head(run=secrets.token_hex(8), inputs=inputs)
            self._write(head)
            os.fsync(self._file)
            _sync_folder(Path(os.path.realpath(self._path)).parent)
            return head.run, Past()
        try:
            head = Head.model_validate(lines[0])
        except ValidationError:
            raise input_error(
                self._path, "line 1", "is no head of a journal", "name another file"
            ) from None
        changed = [k for k in {**head.inputs, **inputs} if head.inputs.get(k) != inputs.get(k)]
        if changed:
            raise input_error(
                self._path,
                "line 1",
                f"is of a run with another {', '.join(changed)}",
                "name another journal, or go on with what that run was made of",
            )
        os.ftruncate(self._file, whole)
        return head.run, self._past(lines[1:])

    def _past(self, lines: list[Any]) -> Past:
        past = Past()
        for number, data in enumerate(lines, start=2):
            try:
                if isinstance(data, dict) and "failed" in data:
                    failed = Failed.model_validate(data)
                    past.failed[failed.execution] = failed
                    past.at_s = max(past.at_s, failed.at_s)
                else:
                    done = Done.model_validate(data)
                    past.done[done.execution] = done
                    past.at_s = max(past.at_s, done.end_s)
            except ValidationError:
                raise input_error(
                    self._path, f"line {number}", "is no line of a journal", "name another file"
                ) from None
        return past

    def _whole_lines(self) -> tuple[list[Any], int]:
        """Lines that were written whole, parsed, and how many bytes they take."""
        lines: list[Any] = []
        whole = 0
        for number, text in enumerate(_read_lines(self._file), start=1):
            if not text.endswith(b"\n"):
                break
            try:
                lines.append(orjson.loads(text))
            except orjson.JSONDecodeError:
                raise input_error(
                    self._path, f"line {number}", "is no JSON", "name another file"
                ) from None
            whole += len(text)
        return lines, whole

    def _write(self, line: _Line) -> None:
        text = orjson.dumps(line.model_dump()) + b"\n"
        while text:
            text = text[os.write(self._file, text) :]


def _read_lines(file: int) -> Iterator[bytes]:
    with os.fdopen(os.dup(file), "rb") as stream:
        stream.seek(0)
        yield from stream


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file safe too."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # not every system opens folders
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
