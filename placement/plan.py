"""The plan: what a cluster needs to know to serve, and what was promised about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from placement.cluster import Cluster, FloatArray, IntArray
from placement.instance import Instance
from placement.outcome import Certificate
from placement.solution import Flows, Placement, dense_flows


@dataclass(frozen=True)
class Shares:
    """Shares of servers: `server` int64 ascending and `share` float64, both of shape (K,)."""

    server: IntArray
    share: FloatArray


@dataclass(frozen=True)
class WorkflowRouting:
    """Where the requests of one workflow go.

    Parameters
    ----------
    home : Shares
        Fraction of the workflow's requests that run whole on each server: c[w, s] / lambda_w.
    spill : tuple of Shares, one a node
        The rest, node by node: (a[w, v, s] - c[w, s]) / lambda_w. Home and spill of a node add
        up to 1. A node keeps to the server of its parent as often as the two spills overlap.
    """

    home: Shares
    spill: tuple[Shares, ...]


@dataclass(frozen=True)
class Plan:
    """Replicas on a cluster, the routing of every workflow, expected metrics and certificate.

    Models, workflows and nodes are held by index; the ids that give the indices their meaning
    travel along, so that a plan can be matched with a config that lists them in another order.

    Parameters
    ----------
    model_ids : tuple of str, length M
    workflow_ids : tuple of str, length W
    node_ids : tuple of W tuples of str
    load : float64, shape (R,)
        Expected busy fraction of each replica.
    routing : tuple of WorkflowRouting or None, length W
        None for a workflow without requests in the trace, or one that lost a model.
    expected : dict of str to float
        ``server_efficiency``, ``edge_locality`` (fractions), ``csc_rate`` (crossings per request),
        ``max_utilization``, ``headroom``.
    inputs : dict of str to str
        SHA-256 of every input file by its role (config, requests, cluster).
    """

    cluster: Cluster
    model_ids: tuple[str, ...]
    workflow_ids: tuple[str, ...]
    node_ids: tuple[tuple[str, ...], ...]
    placement: Placement
    load: FloatArray
    routing: tuple[WorkflowRouting | None, ...]
    expected: dict[str, float]
    certificate: Certificate
    inputs: dict[str, str]

    @property
    def first_gpu(self) -> IntArray:
        """Number in the cluster of the first GPU of each replica, shape (R,)."""
        return self.cluster.first_gpu[self.placement.server] + self.placement.start


def route(instance: Instance, flows: Flows) -> tuple[WorkflowRouting | None, ...]:
    """Split routing rates into home and spill shares, one entry per workflow."""
    routing: list[WorkflowRouting | None] = []
    for w, workflow in enumerate(instance.workflows):
        servers, rate = dense_flows(instance, flows, w)
        if workflow.rate <= 0 or not rate.size:
            routing.append(None)
            continue
        share = rate / workflow.rate
        home = share.min(axis=0)
        rest = share - home
        routing.append(
            WorkflowRouting(
                home=_shares(servers, home),
                spill=tuple(_shares(servers, row) for row in rest),
            )
        )
    return tuple(routing)


def _shares(server: IntArray, share: FloatArray) -> Shares:
    # A solver's rows hold to about 1e-7; a share below that is its noise.
    kept = share > 1e-9
    return Shares(server[kept], np.asarray(share[kept]))
