"""Which solvers there are here, by the names that users write."""

from __future__ import annotations

from functools import cache

import pulp

from placement.support.faults import nearest

_ALIASES = {"cbc": "PULP_CBC_CMD"}


class SolverUnavailable(ValueError):  # noqa: N818 - says what is wrong, like Infeasible
    """The solver asked for is unknown or not installed; the message lists those that are."""


@cache
def solver_name(name: str) -> str:
    """PuLP's name of a solver, whatever the case; ``CBC`` means the one that comes with PuLP.

    Asked once a name: PuLP looks for the program of every solver it knows, 10 ms each time.

    Raises
    ------
    SolverUnavailable
    """
    wanted = _ALIASES.get(name.lower(), name)
    known = {n.lower(): n for n in pulp.listSolvers()}
    available = pulp.listSolvers(onlyAvailable=True)
    there = ", ".join(sorted(available))
    if wanted.lower() not in known:
        close = nearest(name, [*known.values(), "CBC"])
        hint = f"did you mean {close!r}? " if close else ""
        raise SolverUnavailable(
            f"solver {name!r} is not known; {hint}available here: {there} (and CBC)"
        )
    found: str = known[wanted.lower()]
    if found not in available:
        raise SolverUnavailable(
            f"solver {found!r} is not installed here; install it, or use one of: {there} (and CBC)"
        )
    return found
