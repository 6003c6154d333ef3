"""A placement with its routing rates, and what it is worth.

Nothing here needs a solver: `evaluate`, and `violations` beside it, are the independent judges of
every method, of the plan file and of the tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from placement.problem.blocks import BoolArray
from placement.problem.cluster import FloatArray, IntArray
from placement.problem.instance import Instance
from placement.problem.shared_capacity import kept_on_gpus, loaded, over_gpus
from placement.support.equality import ByContent

Replica = tuple[int, int, int]
"""Model, server, first GPU within it."""

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

    @classmethod
    def of(cls, replicas: Iterable[Replica]) -> Placement:
        """Build a placement of replicas in any order; of those that are the same, one stays."""
        columns = np.array(list(replicas), dtype=np.int64).reshape(-1, 3).T
        return cls.sorted(columns[0], columns[1], columns[2])

    def replicas(self) -> list[Replica]:
        """List the replicas, in order."""
        columns = (self.model, self.server, self.start)
        return list(zip(*(c.tolist() for c in columns), strict=True))

    def only(self, kept: BoolArray) -> Placement:
        """Leave out all replicas but those of a mask of shape (R,)."""
        return Placement(self.model[kept], self.server[kept], self.start[kept])

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
        alpha * server_efficiency + (1 - alpha) * edge_locality, with links by their weights.
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
    place, here = np.unique(placement.model * servers + placement.server, return_inverse=True)
    at = models[number] * servers + flows.server
    column = np.minimum(np.searchsorted(place, at), max(0, len(place) - 1))
    held = place[column] == at if len(place) else np.zeros(len(at), dtype=bool)
    work = rate * seconds[number] / instance.fastest_at(models[number], flows.server)
    offered = np.bincount(column[held], work[held], len(place))
    # Work is in seconds on the fastest block: one at half that pace is busy twice as long.
    pace = instance.paces(placement.model, placement.server, placement.start)
    load = np.maximum(solution.load, 0.0)
    carried = np.bincount(here, load, len(place))
    # Where the solver saw no load at all, the replicas share what there is.
    load = np.where(carried[here] > 0, load, 1.0)
    load = load * (offered / np.bincount(here, load * pace, len(place)))[here]
    return Solution(
        placement, Flows(flows.workflow, flows.node, flows.server, np.asarray(rate)), load
    )


def evaluate(instance: Instance, solution: Solution) -> Evaluation:
    """Recompute the localities and the loads from the routing rates alone.

    For given rates the best c[w, s] is the least of a[w, v, s] over v, and the best l[w, uv, s]
    the lesser of its two ends: each appears in one row of the program only.
    """
    whole = links = weighed = number = 0.0
    rates = all_dense_flows(instance, solution.flows)
    for flow, (_, rate) in zip(instance.workflows, rates, strict=True):
        if flow.rate <= 0:
            continue
        whole += flow.unit * float(rate.min(axis=0).sum()) if rate.size else 0.0
        pairs = flow.links
        kept = np.minimum(rate[pairs[:, 0]], rate[pairs[:, 1]]).sum(axis=1)
        links += flow.unit * float(kept.sum())
        weighed += flow.unit * float(kept @ flow.link_weights)
        number += flow.request_rate * len(pairs)
    se = whole / instance.total_rate if instance.total_rate else 1.0
    locality = links / number if number else 1.0
    worth = weighed / instance.total_link_rate if instance.total_link_rate else 1.0
    loads = effective_loads(instance, solution.placement, solution.load)
    return Evaluation(
        server_efficiency=se,
        edge_locality=locality,
        objective=instance.alpha * se + (1 - instance.alpha) * worth,
        gpu_load=loads,
        max_utilization=float(loads.max(initial=0.0)),
    )
