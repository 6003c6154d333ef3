"""How long to wait before a call is tried again: exponentially longer, and jittered."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class RetryParams:
    """How often a call is tried again, and after how long.

    Parameters
    ----------
    retries : int
        Further tries after the first.
    first_s : float
        Upper end of the first wait.
    growth : float
        Each wait may be this many times longer than the one before.
    longest_s : float
        Longest wait, also of one that a server asks for (``Retry-After``).
    seed : int
        Of the jitter.
    """

    retries: int = 4
    first_s: float = 0.25
    growth: float = 2.0
    longest_s: float = 20.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.retries < 0 or self.first_s < 0 or self.growth < 1:
            raise ValueError("retries and waits are never negative, and the growth is at least 1")

    def wait_s(self, execution: int, attempt: int, asked_s: float | None = None) -> float:
        """Seconds between failed try number `attempt` (from 1) and the next.

        Drawn evenly from the upper half of the exponential wait, so that calls that failed
        together do not come back together ("equal jitter"); the same seed gives the same waits.
        A server that says when to come back is obeyed, up to `longest_s`.

        Parameters
        ----------
        execution : int
            The call, part of the seed.
        attempt : int
            Number of the try that failed, from 1.
        asked_s : float, optional
            Seconds that the server asked for.
        """
        if asked_s is not None:
            return min(max(asked_s, 0.0), self.longest_s)
        most = min(self.first_s * self.growth ** (attempt - 1), self.longest_s)
        return most * Random(f"{self.seed}:{execution}:{attempt}").uniform(0.5, 1.0)
