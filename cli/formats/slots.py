"""Replicas as a deployment sees them: a server, its own GPU numbers, a share of their memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from placement.problem.plan import Plan


@dataclass(frozen=True, slots=True)
class Slot:
    """One replica of a plan.

    Parameters
    ----------
    replica : int
        Number of the replica in the plan.
    server : int
        Server it sits on.
    position : int
        How many replicas of its server come before it.
    local_gpus : tuple of int
        GPUs of the block as the server numbers them, from 0.
    gpus : tuple of int
        The same as the plan numbers them, through the cluster.
    memory_per_gpu_gb : float
    memory_share : float
        That memory as a fraction of one of these GPUs.
    load : float
        Expected busy fraction.
    """

    replica: int
    model: str
    server: int
    server_type: str
    position: int
    local_gpus: tuple[int, ...]
    gpus: tuple[int, ...]
    memory_per_gpu_gb: float
    memory_share: float
    load: float


def list_slots(plan: Plan) -> list[Slot]:
    """List the replicas of a plan, server by server, by their first GPU."""
    cluster, placement, instance = plan.cluster, plan.placement, plan.instance
    slots: list[Slot] = []
    for r in np.lexsort((np.arange(placement.n_replicas), placement.start, placement.server)):
        model, server = int(placement.model[r]), int(placement.server[r])
        kind = cluster.server_types[int(cluster.server_type[server])]
        start, k = int(placement.start[r]), int(instance.gpus_required[model])
        first = int(cluster.first_gpu[server]) + start
        memory = float(instance.memory_per_gpu_gb[model])
        before = slots[-1] if slots and slots[-1].server == server else None
        slots.append(
            Slot(
                replica=int(r),
                model=instance.model_ids[model],
                server=server,
                server_type=kind.name,
                position=before.position + 1 if before else 0,
                local_gpus=tuple(range(start, start + k)),
                gpus=tuple(range(first, first + k)),
                memory_per_gpu_gb=memory,
                memory_share=memory / min(kind.memories_gb[start : start + k]),
                load=float(plan.load[r]),
            )
        )
    return slots
