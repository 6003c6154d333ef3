"""Libraries that write to the process's own output, kept quiet."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silenced(descriptor: int) -> Iterator[None]:
    """Send what is written to a file descriptor (1 stdout, 2 stderr) nowhere, C's buffers too.

    Compiled libraries write past Python's `sys.stdout`, so only the descriptor itself can be
    turned away. Nothing of Python's own may be printed meanwhile.
    """
    libc = ctypes.CDLL(None)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # absent where the interpreter has no console
            stream.flush()
    kept = os.dup(descriptor)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, descriptor)
        yield
        libc.fflush(None)
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
        os.close(nowhere)
