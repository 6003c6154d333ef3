"""From the plan's shares to a server for every execution, without randomness.

A request either runs whole on a *home* server, drawn from the workflow's home shares, or is
*spilled*: then each node draws from its own spill shares, coupled to its first parent as tightly
as the two distributions allow (maximal coupling: a child stays with probability
min(q_child(s), q_parent(s)) / q_parent(s), and otherwise draws from what is left of q_child).

Draws are points of the golden-ratio sequence ``frac((k + 1) * 0.618...)``, one sequence for each
distribution, so that after K draws every share is met to within O(log K / K) (Kuipers and
Niederreiter 1974, ch. 2, theorem 3.4) where random draws would wander by O(1 / sqrt(K)).
"""

from __future__ import annotations

import numpy as np

from placement.problem.cluster import Cluster, FloatArray, IntArray
from placement.problem.plan import Shares, WorkflowRouting
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.workload import Workload
from runtime.arrays import NOWHERE, Int32Array, replica_speeds

GOLDEN = (5**0.5 - 1) / 2


def assign_targets(
    workload: Workload,
    trace: Trace,
    placement: Placement,
    cluster: Cluster,
    routing: tuple[WorkflowRouting | None, ...],
) -> Int32Array:
    """Give every execution the server that the shares call for.

    Parameters
    ----------
    routing : tuple of WorkflowRouting or None, length W
        None asks for `spread_evenly`, the shares of a placement that came without routing.

    Returns
    -------
    int32, shape (N,)
        Server per execution; `NOWHERE` in workflows that call a model without a replica.
    """
    target = np.full(trace.n_executions, NOWHERE, dtype=np.int32)
    for w, workflow in enumerate(workload.workflows):
        rows = np.flatnonzero(trace.workflow == w)
        shares = routing[w] or spread_evenly(workload, placement, cluster, w)
        if not len(rows) or shares is None:
            continue
        first = np.asarray(trace.offset[rows], dtype=np.int64)
        home = draw_homes(shares.home, len(rows))
        whole = home != NOWHERE
        nodes = set(workload.on_gpus(w))
        for v in sorted(nodes):
            target[first[whole] + v] = home[whole]
        spilled = first[~whole]
        if not len(spilled):
            continue
        parent = dict.fromkeys(range(len(workflow.nodes)), -1)
        for edge in sorted(workload.crossing_edges(w), key=lambda e: -e.source):
            parent[edge.target] = edge.source
        chosen: dict[int, IntArray] = {}
        for v in workflow.topological_order:
            if v not in nodes:
                continue
            u = parent[v]
            spill = shares.spill[v]
            if u < 0:
                chosen[v] = _draw(spill, len(spilled))
            else:
                chosen[v] = couple(chosen[u], shares.spill[u], spill)
            target[spilled + v] = chosen[v]
    return target


def draw_homes(home: Shares, count: int) -> IntArray:
    """Home server of `count` requests in order of arrival; `NOWHERE` for those that spill."""
    if not len(home.share):
        return np.full(count, NOWHERE, dtype=np.int64)
    edges = np.cumsum(home.share)
    # Shares that reach 1 but for a solver's noise leave nobody to spill.
    if edges[-1] >= 1.0 - 1e-6:
        edges[-1] = np.inf
    pick = np.searchsorted(edges, _points(count), side="right")
    return np.append(home.server, NOWHERE)[pick]


def couple(parent: IntArray, parent_share: Shares, child_share: Shares) -> IntArray:
    """Servers of a child by maximal coupling with its parent's, keeping the child's shares.

    Parameters
    ----------
    parent : int64, shape (n,)
        Server of each parent's execution.
    parent_share, child_share : Shares
        Shares of both nodes by server, in any unit.

    Returns
    -------
    int64, shape (n,)
        As many as can stay with the parent do: min(p, c) of each server.
    """
    p, c = _normalized(parent_share), _normalized(child_share)
    servers = np.union1d(parent_share.server, child_share.server)
    q_parent, q_child = np.zeros(len(servers)), np.zeros(len(servers))
    q_parent[np.searchsorted(servers, parent_share.server)] = p
    q_child[np.searchsorted(servers, child_share.server)] = c
    kept = np.minimum(q_parent, q_child)
    stays = np.divide(kept, q_parent, out=np.ones_like(kept), where=q_parent > 0)
    chosen = parent.copy()
    by_server = np.argsort(parent, kind="stable")
    ends = np.searchsorted(parent[by_server], servers, side="right")
    begins = np.searchsorted(parent[by_server], servers, side="left")
    for i in np.flatnonzero(stays < 1.0 - 1e-9):
        mine = by_server[begins[i] : ends[i]]
        chosen[mine[_points(len(mine)) >= stays[i]]] = NOWHERE
    moved = np.flatnonzero(chosen == NOWHERE)
    left = q_child - kept
    chosen[moved] = _draw(Shares(servers, left if left.sum() > 1e-9 else q_child), len(moved))
    return chosen


def spread_evenly(
    workload: Workload, placement: Placement, cluster: Cluster, w: int
) -> WorkflowRouting | None:
    """Shares for a placement without routing: every node in proportion to serving capacity.

    A server's capacity for a node is the replicas of its model there times the server's speed.
    Home shares are what all nodes have in common on a server. None where a model is missing.

    Parameters
    ----------
    workload : Workload
        Models and workflows.
    placement : Placement
        The replicas.
    cluster : Cluster
        Speeds of the servers.
    w : int
        The workflow.
    """
    workflow = workload.workflows[w]
    share = np.zeros((len(workflow.nodes), cluster.n_servers))
    nodes = list(workload.on_gpus(w))
    if not nodes:
        return None
    for v in nodes:
        mine = placement.only(placement.model == workflow.nodes[v].model)
        if not mine.n_replicas:
            return None
        model = workload.models[workflow.nodes[v].model]
        gpus = np.full(mine.n_replicas, model.gpus_required)
        speed = replica_speeds(cluster, [model.id] * mine.n_replicas, mine, gpus)
        fastest = np.zeros(cluster.n_servers)
        np.maximum.at(fastest, mine.server, speed)
        share[v] = fastest * np.bincount(
            mine.server, speed / fastest[mine.server], minlength=cluster.n_servers
        )
        share[v] /= share[v].sum()
    home = share[nodes].min(axis=0)
    share[[v for v in range(len(share)) if v not in nodes]] = home
    return WorkflowRouting(home=_kept(home), spill=tuple(_kept(row) for row in share - home))


def _draw(shares: Shares, count: int) -> IntArray:
    weight = _normalized(shares)
    kept = np.flatnonzero(weight > 0)
    if not len(kept):
        return np.full(count, NOWHERE, dtype=np.int64)
    pick = np.searchsorted(np.cumsum(weight[kept])[:-1], _points(count), side="right")
    return np.asarray(shares.server[kept[pick]], dtype=np.int64)


def _points(count: int) -> FloatArray:
    return np.asarray(np.modf((np.arange(count) + 1.0) * GOLDEN)[0])


def _normalized(shares: Shares) -> FloatArray:
    total = shares.share.sum()
    return shares.share / total if total > 0 else np.zeros_like(shares.share)


def _kept(row: FloatArray) -> Shares:
    server = np.flatnonzero(row > 1e-12)
    return Shares(server.astype(np.int64), row[server])
