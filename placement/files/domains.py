"""Groups of GPUs within which a block must stay, as files of clusters and of rules state them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from placement.files.syntax.document import PlacedFault
from placement.support.described import counted
from placement.support.faults import Place


def as_domains(groups: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Give groups in ascending order."""
    return tuple(sorted(tuple(sorted(set(group))) for group in groups))


def domain_faults(place: Place, groups: Sequence[Sequence[int]], gpus: int) -> list[PlacedFault]:
    """GPUs that a server lacks, or that stand in two groups.

    Parameters
    ----------
    place : tuple
        Of the groups in the file.
    groups : sequence of sequence of int
    gpus : int
        GPUs of the server.

    Returns
    -------
    list of PlacedFault
    """
    faults = [
        PlacedFault(
            (*place, i, j), f"is {g}, and the servers have {counted(gpus, 'GPU')}", "leave it out"
        )
        for i, group in enumerate(groups)
        for j, g in enumerate(group)
        if g >= gpus
    ]
    times = Counter(g for group in groups for g in set(group))
    faults += [
        PlacedFault(place, f"have GPU {g} in {n} groups", "keep it in one of them")
        for g, n in sorted(times.items())
        if n > 1
    ]
    return faults
