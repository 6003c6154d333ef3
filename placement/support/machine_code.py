"""Machine code by numba that is kept for the next process, and never in anybody's way."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba as nb
from numba.core.caching import IndexDataCacheFile

UNREADABLE = (ImportError, AttributeError, pickle.UnpicklingError, EOFError, ValueError, TypeError)
"""What comes of reading that was kept by another version, or was half written."""


class _Kept(IndexDataCacheFile):
    """What was kept of one function; what cannot be read was not kept."""

    def _load_index(self) -> Any:
        try:
            return super()._load_index()  # type: ignore[no-untyped-call]
        except UNREADABLE:
            return {}

    def _load_data(self, name: str) -> Any:
        try:
            return super()._load_data(name)  # type: ignore[no-untyped-call]
        except UNREADABLE as error:
            raise OSError(f"{name} cannot be read") from error  # numba then compiles


def compiled(*, calls: tuple[str, ...] = (), **options: Any) -> Callable[[Any], Any]:
    """Compile a function, and keep the machine code where there is a folder for it.

    Parameters
    ----------
    calls : tuple of str
        Files, beside its own, of the functions that it calls. Their code becomes part of its own,
        so it is made anew when one of them changes.
    **options
        Of `numba.njit`.
    """

    def decorate(function: Any) -> Any:
        try:
            found = nb.njit(cache=True, **options)(function)
        except RuntimeError:
            # There is no folder to keep machine code in, so every process compiles for itself.
            return nb.njit(**options)(function)
        kept = getattr(getattr(found, "_cache", None), "_cache_file", None)
        if type(kept) is IndexDataCacheFile:
            kept.__class__ = _Kept
            kept._source_stamp = (kept._source_stamp, *map(_stamp, calls))
        return found

    return decorate


def _stamp(file: str) -> tuple[float, int]:
    found = Path(file).stat()
    return found.st_mtime, found.st_size
