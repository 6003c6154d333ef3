"""The first lines of the command: signals are heard before anything else is imported.

What stands above them is all that Ctrl-C could find unprepared, so it is little: not even typing.
"""

from __future__ import annotations

import os
import signal
import sys

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def heard() -> list[int]:
    """Signals that end the command: not those that the caller ignores, as nohup does.

    SIGINT is always one: shells ignore it for whatever they start in the background, and who
    sends it to such a process by its number means it.
    """
    numbers = [int(getattr(signal, name)) for name in SIGNALS if hasattr(signal, name)]
    return [n for n in numbers if n == signal.SIGINT or signal.getsignal(n) != signal.SIG_IGN]


def main() -> None:
    """Run the command line as a process of its own."""
    _leave_on_signals()
    # Looking for plugins reads what every installed package says of itself; we ask for none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # From here on a signal ends the process, and only then does the rest come in.
    from cli import interruption, streams

    streams.open_all()
    interruption.listen(heard())
    from cli.main import main as command

    code: str | int | None = 0
    try:
        command(prog_name="gswarm-place")
    except SystemExit as end:
        code = end.code
    # What was asked for is done: a late signal has nothing to end.
    interruption.ignore()
    unwritten = streams.close()
    sys.exit(code or unwritten)


def _leave_on_signals() -> None:
    for number in heard():
        signal.signal(number, _leave)


def _leave(number: int, _: object) -> None:
    """End before anything has begun: there is nothing to clean up."""
    try:
        os.write(2, b"interrupted\n" if number == signal.SIGINT else b"terminated\n")
    finally:
        os._exit(128 + number)
