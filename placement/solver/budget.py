"""Time and interruption: the only door between a clock and what a solve decides.

Phases end by work (rounds, nodes, moves); a clock only interrupts. Whoever learns from a budget
that time is over, or that too little is left for a step, has been told by the clock, and from then
on the root remembers it (`Budget.cut_short`). A result is deterministic exactly where it does not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

Clock = Callable[[], float]

CLOSING_S = 1.0
"""Seconds after the end of a solve in which its plan gets sensible rates."""

OVER_S = 0.5
"""Seconds by which a phase may pass its limit before that is worth a word."""


@dataclass(frozen=True)
class Overrun:
    """A phase that went on after its time, and for how many seconds."""

    phase: str
    seconds: float


class OutOfTime(Exception):  # noqa: N818 - no fault: a phase ends where its budget has
    """The innermost budget that bounds the code has expired."""


_bounding: ContextVar[Budget | None] = ContextVar("bounding", default=None)


def tick() -> None:
    """End what is being done where the budget that bounds it has expired.

    Whatever can take long calls this now and then: every row of a program, every replica that a
    heuristic places.
    """
    budget = _bounding.get()
    if budget is not None and budget.expired:
        raise OutOfTime


class Budget:
    """Time and interruption, shared by every phase of one solve.

    Parameters
    ----------
    seconds : float or None
        Seconds from now, by the clock; None never expires.
    clock : callable
        Tells the time in seconds.
    pace : float
        Seconds of the clock per second of the machine: the limits that solvers keep by
        themselves are in the machine's.

    Notes
    -----
    `part` makes budgets of phases; interruption and `cut_short` are those of the whole solve.
    """

    def __init__(
        self,
        seconds: float | None = None,
        *,
        clock: Clock = time.monotonic,
        pace: float = 1.0,
    ) -> None:
        self._clock = clock
        self._pace = pace
        self._begin = clock()
        self._end = math.inf if seconds is None else self._begin + seconds
        self._root = self
        self._parent: Budget | None = None
        self._interrupted = False
        self._cut_short = False
        self.overruns: list[Overrun] = []

    def part(self, fraction: float, most_s: float = math.inf) -> Budget:
        """Give a phase a fraction of the time left; an interruption reaches parts and whole.

        Parameters
        ----------
        most_s : float
            Seconds that it gets at most.
        """
        part = Budget(clock=self._clock, pace=self._pace)
        left = max(0.0, self._end - part._begin)
        part._end = part._begin + min(left * fraction, most_s)
        part._root, part._parent = self._root, self
        return part

    @property
    def outer(self) -> Budget:
        """What this phase is part of: the time in which what it found is routed."""
        return self._parent or self

    def closing(self, seconds: float = CLOSING_S) -> Budget:
        """What is left for the last phase; a moment where nothing is, for what a solve owes."""
        if self.expired:
            return Budget(seconds, clock=self._clock, pace=self._pace)
        return self.part(1.0)

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """End what runs inside at its first `tick` after this budget; go on behind it.

        What was done until then stays done, so whoever bounds a step must be able to do without
        its end.
        """
        token = _bounding.set(self)
        try:
            yield
        except OutOfTime:
            pass
        finally:
            _bounding.reset(token)

    @contextmanager
    def phase(self, name: str, fraction: float = 1.0) -> Iterator[Budget]:
        """Bound a named phase by a fraction of the time left, and note where it goes on."""
        part = self.part(fraction)
        try:
            with part.bounded():
                yield part
        finally:
            over = self._clock() - part._end
            if over > OVER_S:
                self._root.overruns.append(Overrun(name, over))

    @property
    def elapsed_s(self) -> float:
        """Seconds since the solve began."""
        return self._clock() - self._root._begin

    @property
    def interrupted(self) -> bool:
        """Whether the solve was asked to stop."""
        return self._root._interrupted

    @property
    def cut_short(self) -> bool:
        """Whether a clock, or whoever interrupted, has had a say in any phase of the solve."""
        return self._root._cut_short or self._root._interrupted

    @property
    def limited(self) -> bool:
        """Whether time can run out."""
        return not math.isinf(self._end)

    @property
    def expired(self) -> bool:
        """Whether the phase must come to an end now; where it must, the clock has had its say."""
        if self.interrupted:
            return True
        if self._clock() < self._end:
            return False
        self.cut()
        return True

    @property
    def limit_s(self) -> float | None:
        """Seconds of the machine that are left, for a solver that keeps its own time.

        Whoever ends by it reports that with `cut`. None without a limit.
        """
        if self.interrupted:
            return 0.0
        if not self.limited:
            return None
        return max(0.0, self._end - self._clock()) / self._pace

    def affords(self, seconds: float) -> bool:
        """Whether so many seconds are left for a step; where not, the clock has had its say."""
        if self.interrupted:
            return False
        if self._clock() + seconds * self._pace < self._end or not self.limited:
            return True
        self.cut()
        return False

    def affords_again(self, begin_s: float) -> bool:
        """Whether as much is left as went by since `begin_s`, as `elapsed_s` was then."""
        return self.affords((self.elapsed_s - begin_s) / self._pace)

    def cut(self) -> None:
        """Note that the clock decided something."""
        self._root._cut_short = True

    def interrupt(self) -> None:
        """Ask every phase to stop with what it has (Ctrl-C)."""
        self._root._interrupted = True
