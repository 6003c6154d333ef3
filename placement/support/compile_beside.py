"""Code that another process compiles, once on a machine, while this one does something else.

Compiling takes many seconds. Whoever has a time limit does not sit through them: the module that
knows how to warm its code up runs as another process, and this one loads what that has kept.
"""

from __future__ import annotations

import atexit
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache

from placement.support.compilation import NotCompiled, announced, only_loaded

LOOK_S = 0.05
"""Seconds between two looks at the other process."""


def loaded(warm_up: Callable[[], None]) -> bool:
    """Whether code runs without being compiled here; `warm_up` calls all of it."""
    try:
        with only_loaded():
            warm_up()
    except NotCompiled:
        return False
    return True


@cache
def compiler(module: str) -> subprocess.Popen[bytes]:
    """Give the process that compiles what a module warms up; the first call starts it.

    It ends with this process at the latest.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    atexit.register(process.terminate)
    return process


def awaited(module: str, what: str, in_time: Callable[[], bool]) -> bool:
    """Wait for that process while there is time; whether it has ended.

    Parameters
    ----------
    module : str
        Dotted name of the module that compiles its code when it is run.
    what : str
        Name of the code for whoever watches: ``the local search``.
    in_time : callable
        Whether there is time to go on waiting.
    """
    process = compiler(module)
    with announced(what, at_once=True):
        while process.poll() is None:
            if not in_time():
                return False
            time.sleep(LOOK_S)
    return True


def ready(
    module: str, what: str, warm_up: Callable[[], None], in_time: Callable[[], bool] | None
) -> bool:
    """Whether code can be called now: compiled here, or by another process while there is time.

    Parameters
    ----------
    module : str
        Dotted name of the module that compiles its code when it is run.
    what : str
        Name of the code for whoever watches.
    warm_up : callable
        Calls all of it.
    in_time : callable or None
        Whether there is time to go on waiting; None where there always is: it is compiled here.
    """
    if loaded(warm_up):
        return True
    if in_time is None:
        with announced(what):
            warm_up()
        return True
    # What the other process compiled may be nowhere to be found.
    return awaited(module, what, in_time) and loaded(warm_up)
