"""Circuit breakers: a replica that keeps failing is left alone for a while, then tried once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BreakerParams:
    """When a circuit opens, and for how long.

    Parameters
    ----------
    threshold : int
        Failures in a row that open it. One failure may be chance; a server that is gone fails
        every call, and each costs a request its patience.
    cooldown_s : float
        Seconds before the first trial call.
    growth : float
        Each failed trial makes the next pause this many times longer: a server that restarts is
        found soon, one that is gone for good costs little.
    longest_s : float
        Longest pause.
    """

    threshold: int = 3
    cooldown_s: float = 1.0
    growth: float = 2.0
    longest_s: float = 30.0

    def __post_init__(self) -> None:
        if self.threshold < 1 or self.cooldown_s <= 0 or self.growth < 1:
            raise ValueError(
                "a circuit breaker needs a threshold of at least 1, a pause above 0 and a growth "
                "of at least 1"
            )


class Breaker:
    """The circuit of one replica: closed, open until an instant, or trying one call.

    Attributes
    ----------
    opened : int
        How often it has opened.
    """

    def __init__(self, params: BreakerParams) -> None:
        self._params = params
        self._failures = 0
        self._pause_s = params.cooldown_s
        self._until_s: float | None = None
        self._trying = False
        self.opened = 0

    @property
    def is_open(self) -> bool:
        """Whether the replica is believed to be gone; a trial call does not yet change that."""
        return self._until_s is not None

    def wait_s(self, now_s: float) -> float:
        """Seconds until a call may be sent: 0 now, infinite while a trial is on its way."""
        if self._until_s is None:
            return 0.0
        return float("inf") if self._trying else max(0.0, self._until_s - now_s)

    def send(self) -> None:
        """Take note that a call is sent."""
        self._trying = self._until_s is not None

    def succeed(self) -> None:
        """Take note that a call was answered: close."""
        self._failures = 0
        self._pause_s = self._params.cooldown_s
        self._until_s = None
        self._trying = False

    def fail(self, now_s: float) -> None:
        """Take note that a call failed: open after `threshold` in a row, or after a trial.

        Calls that were under way when it opened say nothing new.
        """
        if self._until_s is not None and not self._trying:
            return
        self._failures += 1
        if self._trying:
            self._pause_s = min(self._pause_s * self._params.growth, self._params.longest_s)
        elif self._failures < self._params.threshold:
            return
        self._trying = False
        self._until_s = now_s + self._pause_s
        self.opened += 1
