"""Ctrl-C, a request to end and a lost terminal: a clean end at any moment.

Python runs a signal's handler between two instructions of the main thread, so neither a handler
nor the KeyboardInterrupt that it raises gets through a running solver, compiled code, or a
callback that swallows exceptions. Here a thread hears of the signal (`signal.set_wakeup_fd`)
whatever the main thread does, and ends the process itself: it throws away what was half written,
says so on a line of its own, ends the processes that were started, and exits with 128 + the
signal's number.

A command that can end early with something to show says so: see `early_end` and `last_words`.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from types import FrameType

GRACE_S = 10.0
"""How long a command that was asked to end early may take before it is ended."""

PATIENCE_S = 2.0
"""How long the last words may take."""

_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "the terminal is gone"}


class Interruptible(Protocol):
    """What a first Ctrl-C can stop, such as a budget."""

    def interrupt(self) -> None:
        """End soon; called from another thread."""
        ...


class EarlyEnd:
    """What a first Ctrl-C asks of a command that can end early; a second ends the process.

    Parameters
    ----------
    notice : str
        What the user is told.
    grace_s : float
        How long the end may take before the process is ended.

    Attributes
    ----------
    asked : bool
        Whether it was.
    """

    def __init__(self, notice: str, grace_s: float | None = None) -> None:
        self.notice = notice
        self.asked = False
        self.deadline = float("inf")
        self._grace_s = GRACE_S if grace_s is None else grace_s
        self._budgets: list[Interruptible] = []

    def stops(self, budget: Interruptible) -> None:
        """Let a budget, too, know of it."""
        self._budgets.append(budget)
        if self.asked:
            budget.interrupt()

    @property
    def is_possible(self) -> bool:
        """Whether there will be something to show: not before the first budget, nor twice."""
        return bool(self._budgets) and not self.asked

    def ask(self) -> None:
        """End as soon as there is something to show."""
        self.asked = True
        self.deadline = time.monotonic() + self._grace_s
        for budget in self._budgets:
            budget.interrupt()
        _signal_children(signal.SIGINT)  # a solver of its own process stops with what it has


_early: EarlyEnd | None = None
_outputs: dict[int, int] = {}
"""Standard output and error, kept for the last words: both may be silenced at the moment."""

_DONE = 0
"""Number on the pipe that no signal has: the work is done."""

_all_heard = threading.Event()
_pipe: list[int] = []
_heard: list[int] = []

_last_words: list[Callable[[], None]] = []
_screens: list[Callable[[], None]] = []


@contextmanager
def early_end(notice: str, grace_s: float | None = None) -> Iterator[EarlyEnd]:
    """Let the first Ctrl-C inside ask for an early end, once there is a budget to stop."""
    global _early
    before, _early = _early, EarlyEnd(notice, grace_s)
    try:
        yield _early
    finally:
        _early = before


@contextmanager
def last_words(say: Callable[[], None]) -> Iterator[None]:
    """Let an end inside be told in other words; `say` runs beside the command's own thread."""
    _last_words.append(say)
    try:
        yield
    finally:
        _last_words.remove(say)


@contextmanager
def screen(restore: Callable[[], None]) -> Iterator[None]:
    """Leave the terminal as it was where the process ends inside."""
    _screens.append(restore)
    try:
        yield
    finally:
        _screens.remove(restore)


def listen(signals: Sequence[int]) -> None:
    """Hear signals from now on, in a thread of their own."""
    _outputs.update({fd: os.dup(fd) for fd in (1, 2)})
    receive, send = os.pipe()
    os.set_blocking(send, False)
    _pipe.append(send)
    signal.set_wakeup_fd(send, warn_on_full_buffer=False)
    threading.Thread(target=_hear, args=(receive,), daemon=True, name="signals").start()
    _heard[:] = signals
    for number in signals:
        signal.signal(number, _wake)


def ignore() -> None:
    """Hear nothing any more: the work is done, and what is left takes no time.

    What came before is heard first: whoever was told "interrupted" is not told 0 as well.
    """
    for number in _heard:
        signal.signal(number, signal.SIG_IGN)
    if _pipe:
        os.write(_pipe[0], bytes([_DONE]))
        _all_heard.wait(GRACE_S)


def _wake(number: int, frame: FrameType | None) -> None:
    """Do nothing: that there is a handler makes Python tell the thread."""


def _hear(descriptor: int) -> None:
    while True:
        early = _early
        wait = None if early is None or not early.asked else early.deadline - time.monotonic()
        wait = None if wait == float("inf") else wait
        received = b""
        if select.select([descriptor], [], [], None if wait is None else max(0.0, wait))[0]:
            received = os.read(descriptor, 64)
        for number in received:
            early = _early
            if number == _DONE:
                _all_heard.set()
            elif number == signal.SIGINT and early is not None and early.is_possible:
                early.ask()
                _tell(early.notice)
            elif signal.Signals(number).name in _WORDS:
                _end(number)
        if early is not None and early is _early and time.monotonic() > early.deadline:
            _end(signal.SIGINT)


def _end(number: int) -> None:
    """End the process: nothing half written, nothing running, a word on why."""
    try:
        # Whoever has not loaded it, or only half, has written nothing.
        discard = getattr(sys.modules.get("placement.files.atomic"), "discard_unfinished", None)
        if discard is not None:
            discard()
        # Another thread may hold what the words need, such as the terminal.
        speaker = threading.Thread(target=_speak, args=(number,), daemon=True)
        speaker.start()
        speaker.join(PATIENCE_S)
        _signal_children(signal.SIGKILL)
    finally:
        os._exit(128 + number)


def _speak(number: int) -> None:
    for fd, kept in _outputs.items():
        os.dup2(kept, fd)
    for restore in list(_screens):
        with suppress(Exception):
            restore()
    _tell(_WORDS[signal.Signals(number).name])
    if number == signal.SIGINT:
        for say in list(_last_words):
            with suppress(Exception):
                say()


def _tell(text: str) -> None:
    """Write a line to stderr; behind the ^C of a terminal, it is one of its own."""
    with suppress(Exception):
        start = "\n" if sys.stderr.isatty() and not _screens else ""
        sys.stderr.write(f"{start}{text}\n")
        sys.stderr.flush()


def _signal_children(number: int) -> None:
    """Reach the solvers that run as processes of their own, and would outlive this one."""
    with suppress(OSError):  # not every system lists them
        for task in Path("/proc/self/task").iterdir():
            for pid in (task / "children").read_text().split():
                with suppress(OSError):
                    os.kill(int(pid), number)
