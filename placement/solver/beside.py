"""Two steps of a solve at once, each in a thread: solvers and compiled code let go of Python."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

Here = TypeVar("Here")
There = TypeVar("There")


def both(here: Callable[[], Here], there: Callable[[], There]) -> tuple[Here, There]:
    """Run two functions at once and wait for both, so that what they find hangs on no clock.

    They must change nothing that both know. The budget that bounds the caller bounds both; what
    either raises is raised when both have ended.

    Parameters
    ----------
    here, there : callable
        The second runs in a thread of its own.
    """
    with ThreadPoolExecutor(1) as thread:
        beside = thread.submit(copy_context().run, there)
        mine = here()
        return mine, beside.result()
