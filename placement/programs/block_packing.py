"""Whether blocks of GPUs fit on one server together, each with its memory on every GPU of it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from placement.params.search_params import DEFAULTS
from placement.problem.blocks import block_starts, gpu_rooms_gb
from placement.problem.cluster import FloatArray, IntArray, ServerType
from placement.problem.space import total_room_gb

CACHED = 4_096
"""Answers that are kept."""

SUMS_OFF = 1e-9
"""Part of a block's memory by which sums of floats may be off."""

Block = tuple[int, float]
"""GPUs of a model's block, and its memory on each."""


def _fit_side_by_side(server: ServerType, blocks: tuple[Block, ...]) -> bool:
    """Whether every block can have its own GPUs: most need no program."""
    return (
        server.plain
        and sum(k for k, _ in blocks) <= server.gpus
        and all(block_starts(server, k, need) for k, need in blocks)
    )


@lru_cache(maxsize=CACHED)
def blocks_fit(
    server: ServerType,
    blocks: tuple[Block, ...],
    limit: int,
    nodes: int = DEFAULTS.fitting_sets.packing_nodes,
) -> bool:
    """Whether a server can hold these blocks, at most `limit` on one GPU.

    Parameters
    ----------
    server : ServerType
        Type of the server, empty.
    blocks : tuple of (int, float)
        GPUs of each, and memory in GB on each of them.
    limit : int
        Most blocks on one GPU.
    nodes : int
        Blocks laid down, after which blocks that may or may not fit count as fitting.
    """
    if _fit_side_by_side(server, blocks):
        return True
    if sum(k * need for k, need in blocks) > total_room_gb(server):
        return False
    # What takes most comes first: what does not fit is seen sooner.
    order = sorted(blocks, reverse=True)
    starts = [block_starts(server, k, need) for k, need in order]
    room, places, laid = gpu_rooms_gb(server), np.full(server.gpus, limit), 0

    def lay(b: int, room: FloatArray, places: IntArray) -> bool:
        nonlocal laid
        if b == len(order) or laid >= nodes:
            return True
        k, need = order[b]
        slots = [slice(i, i + k) for i in starts[b]]
        slots = [g for g in slots if room[g].min() >= need * (1 - SUMS_OFF) and places[g].min() > 0]
        tried = set[tuple[float, int]]()
        for g in sorted(slots, key=lambda g: float(room[g].sum())):
            # All blocks to come take one GPU: those with equal room are one as good as another.
            alike = float(room[g.start]), int(places[g.start])
            if k == 1 and alike in tried:
                continue
            tried.add(alike)
            laid += 1
            left, fewer = room.copy(), places.copy()
            left[g] -= need
            fewer[g] -= 1
            if lay(b + 1, left, fewer):
                return True
        return False

    return lay(0, room, places)
