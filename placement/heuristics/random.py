"""Replicas anywhere: what a placement is worth that decides nothing but counts."""

from __future__ import annotations

import numpy as np

from placement.heuristics.coverage import cover, cover_anew, relieve
from placement.heuristics.free_space import Room
from placement.heuristics.greedy import fill_spare, place_all, replica_order
from placement.params.search_params import DEFAULTS, SearchParams
from placement.problem.instance import Instance
from placement.problem.solution import Placement


def random_placement(
    instance: Instance, *, seed: int = 0, params: SearchParams = DEFAULTS
) -> Placement:
    """Place the greedy's replica counts, large blocks first, each on free GPUs drawn at random.

    So it differs from `greedy` in nothing but where replicas go, and shows what that is worth.

    Parameters
    ----------
    instance : Instance
        What is to be placed.
    seed : int
        Of the draws.
    params : SearchParams
        Those of the search that covers every model.

    Raises
    ------
    Infeasible
        As `greedy`.
    """
    rng = np.random.default_rng(seed)

    def anywhere(room: Room, model: int) -> tuple[int, int] | None:
        server, start = np.nonzero(room.fits(model, empty=True))
        if not len(server):
            return None
        i = int(rng.integers(len(server)))
        return int(server[i]), int(start[i])

    room = Room(instance)
    order = replica_order(instance)
    for multi in (True, False):
        chosen = [m for m in order if (instance.gpus_required[m] > 1) == multi]
        place_all(room, sorted(chosen, key=lambda m: -instance.gpus_required[m]), anywhere)
    if not cover(room):
        room = cover_anew(instance, params.coverage)
    relieve(room, params.coverage)
    fill_spare(room, anywhere, anywhere)
    return room.placement()
