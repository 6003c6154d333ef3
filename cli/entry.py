"""The first lines of the command: signals are heard before anything heavy is imported."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def main() -> None:
    """Run the command line as a process of its own."""
    _leave_on_signals()
    # From here on a signal ends the process, and only then does the rest come in.
    from cli import interruption, streams

    streams.open_all()
    interruption.listen()
    from cli.main import main as command

    code: object = 0
    try:
        command(prog_name="gswarm-place")
    except SystemExit as end:
        code = end.code
    # What was asked for is done: a late signal has nothing to end.
    interruption.ignore()
    unwritten = streams.close()
    sys.exit(code or unwritten)


def _leave_on_signals() -> None:
    for name in SIGNALS:
        number = getattr(signal, name, None)
        # What the caller ignores (nohup, a job in the background) stays ignored.
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    """End before anything has begun: there is nothing to clean up."""
    try:
        os.write(2, b"interrupted\n" if number == signal.SIGINT else b"terminated\n")
    finally:
        os._exit(128 + number)
