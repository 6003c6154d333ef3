"""The front door to deployments: made, looked at, taken down."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from placement.problem.outcome import Infeasible
from placement.support.equality import ByContent
from runtime.ray.blueprint import Blueprint
from runtime.ray.connection import NAMESPACE
from runtime.ray.failures import own_words
from runtime.ray.keeper import Keeper
from runtime.ray.nodes import assign_all, gpu_nodes
from runtime.ray.reservations import clear_groups, groups_of
from runtime.ray.seats import seats_of

DEPLOY_LOOK_S = 0.2
"""How often a deployment is asked how far it is."""

NEWS = 50
"""Looks at most until Ray has spread the news that GPUs are free; others may have taken them."""

HEAD = "node:__internal_head__"
"""Resource that only the head node has: with it everything is lost, so the keeper lives there."""


@dataclass(frozen=True, eq=False)
class State(ByContent):
    """A deployment as it stands.

    Parameters
    ----------
    name : str
    time_scale : float
        Seconds that a second of the trace takes on emulated replicas.
    fault : str or None
        What keeps the keeper from keeping it.
    replicas : tuple of dict
        For each replica of the plan ``replica, model, state, server, gpus, node, moved, reason``;
        of one that serves also ``call, visible, pid``.
    """

    name: str
    time_scale: float
    fault: str | None
    replicas: tuple[dict[str, Any], ...]

    @property
    def faults(self) -> list[str]:
        """What is missing, a sentence each."""
        said = [] if self.fault is None else [f"the keeper ended: {self.fault}"]
        return said + [
            f"replica {r['replica']} ({r['model']}): {r['reason']}"
            for r in self.replicas
            if r["reason"] is not None and r["state"] != "serving"
        ]

    @property
    def is_settled(self) -> bool:
        """Whether no replica is on its way."""
        return all(r["state"] != "starting" or r["reason"] for r in self.replicas)

    @property
    def is_whole(self) -> bool:
        """Whether every replica serves."""
        return all(r["state"] == "serving" for r in self.replicas)


def deploy(blueprint: Blueprint) -> State:
    """Make every replica of a plan an actor, and wait until all are loaded.

    Parameters
    ----------
    blueprint : Blueprint

    Raises
    ------
    Infeasible
        Where the cluster cannot hold the plan, or a replica does not load: with what is missing.
        Nothing stays.
    ValueError
        Where a deployment of this name is there already, or a node's type cannot be told.
    """
    import ray

    name = blueprint.name
    if _keeper(name) is not None:
        raise ValueError(
            f"deployment {name!r} is there already; take it down (--down), or choose another --name"
        )
    down(name)  # whatever a lost keeper has left
    servers = sorted({seat.server for seat in seats_of(blueprint.plan)})
    nodes = assign_all(blueprint.plan.cluster, servers, gpu_nodes(), blueprint.pinned)
    resources = {HEAD: 0.001} if HEAD in ray.cluster_resources() else {}
    ray.remote(Keeper).options(
        name=name,
        namespace=NAMESPACE,
        lifetime="detached",
        num_cpus=0,
        resources=resources,
        max_restarts=-1,
        max_concurrency=10_000,
    ).remote(blueprint, nodes)
    try:
        while not (state := state_of(name)).is_settled and state.fault is None:
            time.sleep(DEPLOY_LOOK_S)
    except BaseException:
        down(name)
        raise
    if not state.is_whole:
        down(name)
        raise Infeasible("; ".join(state.faults))
    return state


def state_of(name: str) -> State:
    """Ask a deployment how it is.

    Raises
    ------
    ValueError
        Where there is none of this name.
    """
    import ray
    from ray.exceptions import RayError

    keeper = _keeper(name)
    if keeper is None:
        raise ValueError(f"no deployment {name!r} is there; deploy a plan with --name {name}")
    try:
        said = ray.get(keeper.state.remote())
    except RayError as error:
        raise ValueError(
            f"the keeper of deployment {name!r} does not answer ({own_words(error)}); every node "
            "needs the same gswarm-place"
        ) from None
    return State(said["name"], said["time_scale"], said["fault"], tuple(said["replicas"]))


def down(name: str) -> bool:
    """Take a deployment down, and wait until its GPUs are free; whether anything was there."""
    import ray

    keeper, left = _keeper(name), groups_of(name)
    there = keeper is not None or bool(left)
    nodes = {node for group in left for node in group["bundles_to_node_id"].values()}
    if keeper is not None:
        ray.kill(keeper)  # and with it all that it has made
    while _keeper(name) is not None:
        time.sleep(DEPLOY_LOOK_S)
    # What the keeper was about to reserve when it ended has no owner any more.
    while groups_of(name):
        clear_groups(name)
        time.sleep(DEPLOY_LOOK_S)
    for _ in range(NEWS):
        if all(node.is_free for node in gpu_nodes() if node.id in nodes):
            break
        time.sleep(DEPLOY_LOOK_S)
    return there


def _keeper(name: str) -> Any:
    """Find the keeper of a deployment; None where there is none."""
    import ray

    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:
        return None
