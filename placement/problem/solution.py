"""A placement with its routing rates: what it is worth, and whether it keeps the rules.

Nothing here needs a solver: `evaluate` and `violations` are the independent judges of every
method, of the plan file and of the tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from placement.problem.cluster import FloatArray, IntArray
from placement.problem.instance import Instance
from placement.problem.rule_faults import broken_rules
from placement.problem.shared_capacity import kept_on_gpus, loaded, over_gpus
from placement.problem.space import all_rooms_gb
from placement.support.equality import ByContent

TOLERANCE = 1e-6
"""Relative slack granted to solvers, which keep rows to about 1e-7."""


@dataclass(frozen=True, eq=False)
class Placement(ByContent):
    """R replicas as arrays of shape (R,), in the order of server, first GPU, model.

    `start` is the first GPU of the block *within the server*, from 0. No two replicas of a model
    stand on the same GPUs: together they would serve no more than one, at twice the memory.
    """

    model: IntArray
    server: IntArray
    start: IntArray

    @classmethod
    def sorted(cls, model: IntArray, server: IntArray, start: IntArray) -> Placement:
        """Build a placement in its canonical order; of replicas that are the same, one stays.

        Parameters
        ----------
        model, server : int64, shape (R,)
            Of each replica, in any order.
        start : int64, shape (R,)
            First GPU within the server.
        """
        found, _ = cls.in_order(model, server, start)
        rows = np.stack([found.model, found.server, found.start])
        rows = rows[:, np.append(True, np.diff(rows).any(axis=0))[: rows.shape[1]]]
        return cls(*(np.ascontiguousarray(row) for row in rows))

    @classmethod
    def in_order(
        cls, model: ArrayLike, server: ArrayLike, start: ArrayLike
    ) -> tuple[Placement, IntArray]:
        """Build a placement in its canonical order; say which of the given each replica was.

        Replicas that are the same stay, for `placement_violations` to name them.

        Parameters
        ----------
        model, server : int64, shape (R,)
            Of each replica, in any order.
        start : int64, shape (R,)
            First GPU within the server.

        Returns
        -------
        Placement
            With as many replicas.
        order : int64, shape (R,)
            Row of the given arrays that each of its replicas was.
        """
        model, server, start = (np.asarray(a, dtype=np.int64) for a in (model, server, start))
        order = np.lexsort((model, start, server))
        return cls(model[order], server[order], start[order]), order

    @property
    def n_replicas(self) -> int:
        """Number of replicas R."""
        return len(self.model)

    def replicas_per_model(self, n_models: int) -> IntArray:
        """Replicas of each model, shape (M,)."""
        return np.bincount(self.model, minlength=n_models).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Flows(ByContent):
    """Routing rates a[w, v, s] as coordinates, each at most once: arrays of shape (F,)."""

    workflow: IntArray
    node: IntArray
    server: IntArray
    rate: FloatArray


@dataclass(frozen=True, eq=False)
class Solution(ByContent):
    """A placement, its routing rates, and the busy fraction h of each replica, shape (R,)."""

    placement: Placement
    flows: Flows
    load: FloatArray


@dataclass(frozen=True, eq=False)
class Evaluation(ByContent):
    """What a solution is worth (docs/model.md, "What is wanted, in order").

    Parameters
    ----------
    server_efficiency : float
        sum(c) / sum(lambda): the share of requests that stay on one server.
    edge_locality : float
        sum(l) / sum(lambda |E|): the share of links that stay on one server.
    objective : float
        alpha * server_efficiency + (1 - alpha) * edge_locality.
    gpu_load : float64, shape (N,)
        Load of each GPU, by its number in the cluster (`effective_loads`).
    max_utilization : float
        The largest of `gpu_load`.
    """

    server_efficiency: float
    edge_locality: float
    objective: float
    gpu_load: FloatArray
    max_utilization: float

    @property
    def headroom(self) -> float:
        """Factor by which every rate can grow before the first GPU saturates, routing unchanged."""
        return 1.0 / self.max_utilization if self.max_utilization > 0 else float("inf")


def dense_flows(instance: Instance, flows: Flows, workflow: int) -> tuple[IntArray, FloatArray]:
    """Rates of one workflow as a matrix.

    Parameters
    ----------
    instance : Instance
        Says how many nodes V the workflow has.
    flows : Flows
        Of all workflows; rates of one node on one server add up.
    workflow : int
        Number of the workflow w.

    Returns
    -------
    servers : int64, shape (K,)
        Servers that serve any node of the workflow, ascending.
    rate : float64, shape (V, K)
        a[w, v, s] for these servers.
    """
    return _dense(instance, flows, workflow, np.flatnonzero(flows.workflow == workflow))


def all_dense_flows(instance: Instance, flows: Flows) -> Iterator[tuple[IntArray, FloatArray]]:
    """`dense_flows` of every workflow in turn, in one pass over the rates."""
    for w, mine in enumerate(flows_by_workflow(instance, flows)):
        yield _dense(instance, flows, w, mine)


def flows_by_workflow(instance: Instance, flows: Flows) -> list[IntArray]:
    """Positions of the rates of each workflow, ascending."""
    order = np.argsort(flows.workflow, kind="stable")
    ends = np.searchsorted(flows.workflow[order], np.arange(len(instance.workflows) + 1))
    return [order[first:last] for first, last in pairwise(ends)]


def _dense(
    instance: Instance, flows: Flows, workflow: int, mine: IntArray
) -> tuple[IntArray, FloatArray]:
    servers, column = np.unique(flows.server[mine], return_inverse=True)
    rate = np.zeros((len(instance.workflows[workflow].node_model), len(servers)))
    rate[flows.node[mine], column] = flows.rate[mine]
    return servers, rate


def gpu_loads(instance: Instance, placement: Placement, load: FloatArray) -> FloatArray:
    """Busy fraction of each GPU, shape (N,), from the busy fraction of each replica.

    Parameters
    ----------
    instance : Instance
        With the cluster of N GPUs.
    placement : Placement
        R replicas, each with the GPUs that its load falls on.
    load : float64, shape (R,)
        Busy fraction of each replica, which all GPUs of its block share.
    """
    return over_gpus(instance, placement.model, first_gpus(instance, placement), load)


def first_gpus(instance: Instance, placement: Placement) -> IntArray:
    """Number in the cluster of the first GPU of each replica, shape (R,)."""
    return np.asarray(instance.cluster.first_gpu[placement.server] + placement.start)


def effective_loads(instance: Instance, placement: Placement, load: FloatArray) -> FloatArray:
    """Busy fraction of each GPU over what its loaded replicas keep of it together, shape (N,).

    1 is what a GPU bears (`shared_capacity`).

    Parameters
    ----------
    instance : Instance
        With the cluster of N GPUs.
    placement : Placement
        R replicas.
    load : float64, shape (R,)
        Busy fraction of each replica.
    """
    kept = kept_on_gpus(
        instance, placement.model, first_gpus(instance, placement), loaded(instance, load)
    )
    return gpu_loads(instance, placement, load) / kept


def settle(instance: Instance, solution: Solution, *, elastic: bool = False) -> Solution:
    """Mend what a solver's tolerances leave over: rates that add up, loads that carry them.

    Parameters
    ----------
    elastic : bool
        Leave the rates of nodes that are not served in full as they are.
    """
    placement, flows = solution.placement, solution.flows
    rate = flows.rate
    nodes = np.array([len(w.node_model) for w in instance.workflows])
    number = (np.cumsum(nodes) - nodes)[flows.workflow] + flows.node
    if len(rate):
        asked = np.repeat([w.rate for w in instance.workflows], nodes)
        served = np.bincount(number, rate, len(asked))
        mended = served > (asked * (1 - TOLERANCE) if elastic else 0.0)
        rate = rate * np.divide(asked, served, out=np.ones(len(asked)), where=mended)[number]
    servers = instance.cluster.n_servers
    models = np.concatenate([w.node_model for w in instance.workflows])
    seconds = np.concatenate([w.work_s for w in instance.workflows])
    speed = np.array([t.speed for t in instance.cluster.server_types])[instance.cluster.server_type]
    place, here = np.unique(placement.model * servers + placement.server, return_inverse=True)
    at = models[number] * servers + flows.server
    column = np.minimum(np.searchsorted(place, at), max(0, len(place) - 1))
    held = place[column] == at if len(place) else np.zeros(len(at), dtype=bool)
    work = rate * seconds[number] / speed[flows.server]
    offered = np.bincount(column[held], work[held], len(place))
    load = np.maximum(solution.load, 0.0)
    carried = np.bincount(here, load, len(place))
    # Where the solver saw no load at all, the replicas share what there is.
    load = np.where(carried[here] > 0, load, 1.0)
    load = load * (offered / np.bincount(here, load, len(place)))[here]
    return Solution(
        placement, Flows(flows.workflow, flows.node, flows.server, np.asarray(rate)), load
    )


def evaluate(instance: Instance, solution: Solution) -> Evaluation:
    """Recompute the localities and the loads from the routing rates alone.

    For given rates the best c[w, s] is the least of a[w, v, s] over v, and the best l[w, uv, s]
    the lesser of its two ends: each appears in one row of the program only.
    """
    whole = links = 0.0
    rates = all_dense_flows(instance, solution.flows)
    for flow, (_, rate) in zip(instance.workflows, rates, strict=True):
        if flow.rate <= 0:
            continue
        whole += flow.unit * float(rate.min(axis=0).sum()) if rate.size else 0.0
        pairs = flow.links
        links += flow.unit * float(np.minimum(rate[pairs[:, 0]], rate[pairs[:, 1]]).sum())
    se = whole / instance.total_rate if instance.total_rate else 1.0
    locality = links / instance.total_link_rate if instance.total_link_rate else 1.0
    loads = effective_loads(instance, solution.placement, solution.load)
    return Evaluation(
        server_efficiency=se,
        edge_locality=locality,
        objective=instance.alpha * se + (1 - instance.alpha) * locality,
        gpu_load=loads,
        max_utilization=float(loads.max(initial=0.0)),
    )


def gpu_violations(instance: Instance, placement: Placement) -> list[str]:
    """Say which GPUs hold more than their memory, or more replicas than the rules allow."""
    cluster = instance.cluster
    faults = []
    ones = np.ones(placement.n_replicas)
    count = gpu_loads(instance, placement, ones)
    memory = gpu_loads(instance, placement, instance.memory_per_gpu_gb[placement.model])
    for g in np.flatnonzero((memory > all_rooms_gb(cluster)) & (count > 0))[:5]:
        server = cluster.gpu_server[g]
        kind = cluster.server_types[cluster.server_type[server]]
        if g - cluster.first_gpu[server] in kind.excluded_gpus:
            faults.append(f"GPU {g}: is excluded, and {count[g]:.0f} replicas stand on it")
        else:
            faults.append(f"GPU {g}: {memory[g]:.8g} GB placed, {kind.gpu_memory_gb:.8g} GB there")
    if instance.exclusive or instance.max_models_per_gpu:
        limit = instance.models_per_gpu
        for g in np.flatnonzero(count > limit + 0.5)[:5]:
            faults.append(f"GPU {g}: {count[g]:.0f} replicas, at most {limit} allowed")
    return faults


def placement_violations(instance: Instance, placement: Placement) -> list[str]:
    """Say every rule of space that a placement breaks: bounds, memory, sharing."""
    cluster = instance.cluster
    bad_server = (placement.server < 0) | (placement.server >= cluster.n_servers)
    if bad_server.any():
        return [
            f"replica {r}: server {placement.server[r]} is not in the cluster"
            for r in np.flatnonzero(bad_server)[:5]
        ]
    length = instance.gpus_required[placement.model]
    outside = (placement.start < 0) | (
        placement.start + length > cluster.server_gpus[placement.server]
    )
    if outside.any():
        return [
            f"replica {r} ({instance.model_ids[placement.model[r]]}): its block leaves "
            f"server {placement.server[r]}"
            for r in np.flatnonzero(outside)[:5]
        ]
    faults = []
    first: dict[tuple[int, int, int], int] = {}
    columns = (placement.model, placement.server, placement.start)
    for r, place in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        if first.setdefault(place, r) != r:
            faults.append(
                f"replica {r} ({instance.model_ids[place[0]]}): stands on the same GPUs as "
                f"replica {first[place]} of the same model"
            )
    del faults[5:]
    faults += gpu_violations(instance, placement)
    absent = [
        m
        for m in instance.used_models
        if not placement.replicas_per_model(len(instance.model_ids))[m]
    ]
    faults += [f"model {instance.model_ids[m]}: used, but without a replica" for m in absent]
    return faults + rule_violations(instance, placement)


def rule_violations(instance: Instance, placement: Placement) -> list[str]:
    """Say every rule on numbers of replicas, and on what stands where, that a placement breaks."""
    return broken_rules(instance, placement.model, placement.server, placement.start)


def violations(instance: Instance, solution: Solution, tolerance: float = TOLERANCE) -> list[str]:
    """Say every rule of docs/model.md, "What must hold", that a solution breaks.

    Parameters
    ----------
    instance : Instance
        The rules, and the cap on loads.
    solution : Solution
        Judged as it stands: placement, flows and the loads that it states.
    tolerance : float
        Slack of a row, relative to the rate of the workflow or to the cap.

    Returns
    -------
    list of str
        A sentence for each rule broken. Where the placement itself breaks one,
        flows and loads are not looked at.
    """
    faults = placement_violations(instance, solution.placement)
    if faults:
        return faults
    cluster, flows, placement = instance.cluster, solution.flows, solution.placement
    # Relative to each workflow's own rate: a rare one must be served as well.
    rates = np.array([w.rate for w in instance.workflows])
    if (flows.rate < -tolerance * rates[flows.workflow]).any():
        faults.append("a routing rate is negative")
    if (solution.load < -tolerance).any():
        faults.append("the load of a replica is negative")
    # Only pairs of a model and a server that occur: a plan may state millions of servers.
    servers = cluster.n_servers
    speed = np.array([t.speed for t in cluster.server_types])[cluster.server_type]
    nodes = np.array([len(w.node_model) for w in instance.workflows])
    number = (np.cumsum(nodes) - nodes)[flows.workflow] + flows.node
    models = np.concatenate([w.node_model for w in instance.workflows])[number]
    seconds = np.concatenate([w.work_s for w in instance.workflows])[number]
    at_flow = models * servers + flows.server
    at_replica = placement.model * servers + placement.server
    pairs = np.unique(np.concatenate((at_flow, at_replica)))
    held = np.isin(at_flow, at_replica)
    work = flows.rate * seconds / speed[flows.server]
    offered = np.bincount(np.searchsorted(pairs, at_flow), work, len(pairs))
    carried = np.bincount(np.searchsorted(pairs, at_replica), solution.load, len(pairs))
    parts = flows_by_workflow(instance, flows)
    for workflow, mine in zip(instance.workflows, parts, strict=True):
        served = np.bincount(flows.node[mine], flows.rate[mine], len(workflow.node_model))
        for v in np.flatnonzero(np.abs(served - workflow.rate) > tolerance * workflow.rate):
            faults.append(
                f"workflow {workflow.id}, node {v}: {served[v]:.6g}/s served of "
                f"{workflow.rate:.6g}/s asked for"
            )
        node, server = flows.node[mine], flows.server[mine]
        for f in np.flatnonzero(~held[mine] & (flows.rate[mine] > tolerance * workflow.rate))[:5]:
            faults.append(
                f"workflow {workflow.id}, node {node[f]}: is routed to server {server[f]}, which "
                f"has no replica of {instance.model_ids[workflow.node_model[node[f]]]}"
            )
    # Relative to what loads there are: offline a rare trace has a cap of next to nothing.
    slack = tolerance * max(instance.load_cap, instance.load_floor)
    for i in np.flatnonzero(np.abs(offered - carried) > slack)[:5]:
        m, s = divmod(int(pairs[i]), servers)
        faults.append(
            f"model {instance.model_ids[m]} on server {s}: {offered[i]:.6g} busy seconds "
            f"per second routed there, {carried[i]:.6g} carried by its replicas"
        )
    loads = effective_loads(instance, placement, solution.load)
    for g in np.flatnonzero(loads > instance.load_cap + slack)[:5]:
        faults.append(f"GPU {g}: load {loads[g]:.6g} exceeds the cap {instance.load_cap:.6g}")
    return faults
