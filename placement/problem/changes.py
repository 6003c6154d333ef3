"""A placement that changes while it serves: which replicas stop, go and come, and when."""

from __future__ import annotations

from dataclasses import dataclass

from placement.problem.plan import WorkflowRouting
from placement.problem.solution import Placement, Replica


@dataclass(frozen=True)
class Change:
    """What changes at an instant.

    Parameters
    ----------
    time_s : float
        In seconds since the first arrival.
    closed : tuple of (model, server, first GPU)
        Replicas that take no more calls, and serve those that they have.
    gone : tuple of (model, server, first GPU)
        Replicas that are unloaded; what they still have to do is done elsewhere.
    back : tuple of (model, server, first GPU)
        Replicas that are loaded by now.
    """

    time_s: float
    closed: tuple[Replica, ...] = ()
    gone: tuple[Replica, ...] = ()
    back: tuple[Replica, ...] = ()


@dataclass(frozen=True)
class Phase:
    """A plan that is in force.

    Parameters
    ----------
    from_s : float
        Requests that arrive from then on are routed by its shares.
    placement : Placement
    routing : tuple of WorkflowRouting or None, length W
    """

    from_s: float
    placement: Placement
    routing: tuple[WorkflowRouting | None, ...]
