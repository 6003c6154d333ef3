"""How the loops are compiled, and where their machine code is kept.

Numba keeps the code of a function until the file of *that* function changes. A loop is made of
functions of several files, so only whole loops are kept, and a hash of all these files is part of
what they are kept under.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba as nb

STAMP = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()
# Passing fifty arrays from function to function and counting who holds them would cost fifty times
# what the work itself does; the arrays belong to the caller of the whole loop.
OPTIONS: Any = {"error_model": "numpy", "_nrt": False}


def inlined(function: Any) -> Any:
    """Compile a function as part of every loop that calls it."""
    return nb.njit(forceinline=True, **OPTIONS)(function)


def called(function: Any) -> Any:
    """Compile a function that takes few arrays, to be called: it is long, or calls itself."""
    return nb.njit(**OPTIONS)(function)


def loop(make: Callable[[str], Any]) -> Any:
    """Compile the loop that ``make(STAMP)`` defines, to machine code kept for the next process."""
    function = make(STAMP)
    try:
        return nb.njit(cache=True, **OPTIONS)(function)
    except RuntimeError:
        # There is no folder to keep machine code in, so every process compiles for itself.
        return nb.njit(**OPTIONS)(function)
