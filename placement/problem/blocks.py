"""The blocks of an empty server: where one can start, its room, and its speed.

The rules of space build on it (`placement.problem.space`).
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from placement.problem.cluster import FloatArray, ServerType

MEMORY_TOLERANCE = 5e-7
"""Memory that a GPU grants beyond what it has, as a part of it.

Thirds of 80 GB shall fit three times, however they are rounded and in whatever order they are added
up; real sizes differ by far more. A solver keeps a row to about 1e-6 and may let a little more
through: what it returns goes through `keep_what_fits`.
"""

BoolArray = NDArray[np.bool_]
AnyArray = TypeVar("AnyArray", bound=np.generic)


def room_gb(memory_gb: float) -> float:
    """Memory that the replicas on a GPU of so much memory may take."""
    return memory_gb * (1 + MEMORY_TOLERANCE)


def gpu_rooms_gb(kind: ServerType) -> FloatArray:
    """Room on each GPU of a server of a type, shape (G,); less than none where it is excluded."""
    rooms = np.array([room_gb(memory) for memory in kind.memories_gb])
    rooms[list(kind.excluded_gpus)] = -np.inf
    return rooms


def windows(values: NDArray[AnyArray], k: int) -> NDArray[AnyArray]:
    """Values of the GPUs of each block of k, shape (..., G - k + 1, k)."""
    if k > values.shape[-1]:
        return np.zeros((*values.shape[:-1], 0, k), dtype=values.dtype)
    return sliding_window_view(values, k, axis=-1)


def block_starts(
    kind: ServerType, gpus: int, memory_gb: float, model_id: str | None = None
) -> list[int]:
    """First GPUs of the blocks of an empty server that have so much room on each GPU.

    Parameters
    ----------
    kind : ServerType
        Type of the server, empty.
    gpus : int
        GPUs of the block, consecutive.
    memory_gb : float
        Needed on each of them.
    model_id : str, optional
        Whose block it is: GPUs may be closed to it.

    Returns
    -------
    list of int
    """
    able = gpu_rooms_gb(kind) >= memory_gb
    if model_id is not None:
        able[list(kind.closed_to(model_id))] = False
    found: list[int] = np.flatnonzero(
        windows(able, gpus).all(axis=-1) & _in_one_domain(kind, gpus)
    ).tolist()
    return found


def block_speeds(kind: ServerType, model_id: str, gpus: int) -> FloatArray:
    """Speed of a replica whose block starts at each GPU of a server of a type, shape (G,).

    It goes at the pace of the slowest of its GPUs. Blocks that would reach over the last end there.

    Parameters
    ----------
    kind : ServerType
    model_id : str
    gpus : int
        GPUs of the block.
    """
    each = np.array(kind.speeds_of(model_id), dtype=np.float64)
    return np.array([each[i : i + gpus].min() for i in range(kind.gpus)])


def _in_one_domain(kind: ServerType, gpus: int) -> BoolArray:
    """Whether the block from each GPU on stays within one domain, shape (G - k + 1,)."""
    domain = np.arange(kind.gpus) if kind.domains else np.zeros(kind.gpus, dtype=np.int64)
    for group in kind.domains:
        domain[list(group)] = group[0]
    blocks = windows(domain, gpus)
    return np.asarray((blocks == blocks[:, :1]).all(axis=-1))
