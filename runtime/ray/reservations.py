"""What a deployment takes of Ray: a placement group with all GPUs of each server's node."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from placement.problem.plan import Plan
from runtime.ray.nodes import NODE_ID_LABEL, Node
from runtime.ray.seats import Seat

FRACTION = 1e-4
"""Smallest part of a GPU that Ray accounts for."""


def group_name(deployment: str, server: int) -> str:
    """Name of a server's placement group."""
    return f"{deployment}/server/{server}"


def reserve(deployment: str, server: int, node: Node) -> Any:
    """Take all GPUs of a node, a bundle each: Ray, too, can then give none to others.

    Parameters
    ----------
    deployment : str
        Name of the deployment.
    server : int
        Whose node it is.
    node : Node
    """
    from ray.util import placement_group

    return placement_group(
        [{"GPU": 1}] * node.gpus,
        strategy="STRICT_PACK",
        name=group_name(deployment, server),
        bundle_label_selector=[{NODE_ID_LABEL: node.id}] * node.gpus,
    )


def groups_of(deployment: str) -> list[dict[str, Any]]:
    """Give what Ray knows of each placement group of a deployment."""
    from ray.util import placement_group_table

    mine = group_name(deployment, 0).removesuffix("0")
    return [
        group
        for group in placement_group_table().values()
        if group["name"].startswith(mine) and group["state"] != "REMOVED"
    ]


def clear_groups(deployment: str) -> None:
    """Give back all that a deployment has reserved."""
    from ray.util import get_placement_group, remove_placement_group

    for group in groups_of(deployment):
        with suppress(ValueError):  # it was removed meanwhile
            remove_placement_group(get_placement_group(group["name"]))


def accounted(plan: Plan, seat: Seat) -> float:
    """Part of a GPU that Ray accounts a replica for: its memory on its first GPU.

    By memory they add up to at most one on every GPU, whatever the plan puts there, and a replica
    that has to move fits wherever its memory does.
    """
    instance = plan.instance
    kind = plan.cluster.server_types[plan.cluster.server_type[seat.server]]
    part = float(instance.memory_per_gpu_gb[seat.model]) / kind.memories_gb[seat.start]
    return min(1.0, int(part / FRACTION) * FRACTION)
