"""What a terminal shows of work that takes long: a line that lives while it runs."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from cli.interruption import screen
from placement.support.compilation import watching
from placement.support.described import percent

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from placement.problem.outcome import Progress

PATIENCE_S = 2.0
"""Work that takes longer shows its progress."""

BAR, PHASE = 8, 11
"""Characters of the bar towards the limit, and of the name of a phase."""


class Waiting:
    """Live line of what is being waited for; silent where stderr is no terminal.

    Parameters
    ----------
    doing : str
        What takes the time, e.g. ``reading the trace``; may be replaced while it runs.
    quiet : bool
        Show nothing.
    """

    def __init__(self, doing: str, *, quiet: bool) -> None:
        self.doing = doing
        self._shown = not quiet and sys.stderr.isatty()
        self._begin = time.monotonic()
        self._live: Live | None = None
        self._compiling: str | None = None
        self._watch = ExitStack()

    def __enter__(self) -> Self:
        if self._shown:
            # A twentieth of a second that only terminals need.
            from rich.console import Console
            from rich.live import Live

            self._watch.enter_context(watching(self._compiles))
            self._watch.enter_context(screen(self._restore))
            self._live = Live(
                get_renderable=self._render,
                console=Console(stderr=True, highlight=False),
                refresh_per_second=5,
                transient=True,
            )
            self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watch.close()
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def _restore(self) -> None:
        if self._live is not None:
            self._live.stop()

    def _compiles(self, what: str | None) -> None:
        self._compiling = what

    def _render(self) -> Text:
        from rich.text import Text  # there, for what calls this is rich

        seconds = time.monotonic() - self._begin
        if seconds < PATIENCE_S:
            return Text("")
        line = self._line()
        if self._compiling is not None:
            line = f"compiling {self._compiling} (once per machine)"
        return Text(f"{seconds:6.1f} s  {line}", overflow="ellipsis", no_wrap=True)

    def _line(self) -> str:
        return self.doing


def waiting(doing: str) -> Waiting:
    """Say on a terminal what takes the time, unless the running command was told to be quiet."""
    context = click.get_current_context(silent=True)
    asked = {} if context is None else context.params
    return Waiting(doing, quiet=bool(asked.get("quiet") or asked.get("as_json")))


class SolveProgress(Waiting):
    """Live line within 60 columns: time and limit, phase, incumbent, bound and gap.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    limit_s : float, optional
        When the solve ends at the latest; drawn as a bar.
    what : str
        Which of several solves this is, e.g. ``2 of 3 greedy``.
    """

    def __init__(self, *, quiet: bool, limit_s: float | None = None, what: str = "") -> None:
        super().__init__(what or "starting", quiet=quiet)
        self._limit_s, self._what = limit_s, what
        self._last: Progress | None = None

    def __call__(self, event: Progress) -> None:
        """Take the latest event."""
        self._last = event

    def _line(self) -> str:
        from placement.problem.outcome import relative_gap  # whoever solves has loaded it

        event = self._last
        parts = [self._bar()] if self._limit_s else []
        if event is None:
            return " ".join([*parts, self.doing])
        parts.append(self._what or event.phase[:PHASE].ljust(PHASE))
        if event.incumbent is None:
            return " ".join([*parts, event.detail]).rstrip()
        found = f"{event.incumbent:.4f}"
        if event.best_bound is not None:
            left = relative_gap(event.incumbent, event.best_bound)
            gap = percent(left, 2 if left < 1 else 0)  # with decimals, 60 columns are too few
            # Which of several solves this is takes the place of the bound, which the gap says too.
            found += f", gap {gap}" if self._what else f" of {event.best_bound:.4f}, gap {gap}"
        return " ".join([*parts, found, event.detail]).rstrip()

    def _bar(self) -> str:
        assert self._limit_s is not None
        spent = min(1.0, (time.monotonic() - self._begin) / self._limit_s)
        full = int(BAR * spent)
        return f"[{'=' * full}{' ' * (BAR - full)}]"


class RunProgress(Waiting):
    """Live line of a simulation: executions committed, their share, the simulated time."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__("simulating", quiet=quiet)

    def __call__(self, done: int, total: int, now_s: float | None = None, /) -> None:
        """Take the latest count."""
        self.doing = f"{done:,} of {total:,} executions  {percent(done / total)}"
        if now_s is not None:
            self.doing += f"  at {now_s:,.0f} s of the trace"


class CallProgress(Waiting):
    """Live line of a run on real servers: executions answered, their share, the seconds so far."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__("calling", quiet=quiet)

    def __call__(self, done: int, total: int, now_s: float | None = None, /) -> None:
        """Take the latest count."""
        share = percent(done / total)
        self.doing = f"{done:,} of {total:,} executions  {share}  after {now_s or 0.0:,.0f} s"
