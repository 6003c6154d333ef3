"""Whether a placement, or a solution, keeps the rules: a sentence for each that it breaks."""

from __future__ import annotations

import numpy as np

from placement.problem.instance import Instance
from placement.problem.solution import (
    TOLERANCE,
    Placement,
    Replica,
    Solution,
    effective_loads,
    flows_by_workflow,
    gpu_loads,
)
from placement.problem.space import all_rooms_gb, pins, starts


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
            there = kind.memories_gb[g - cluster.first_gpu[server]]
            faults.append(f"GPU {g}: {memory[g]:.8g} GB placed, {there:.8g} GB there")
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
    first: dict[Replica, int] = {}
    for r, place in enumerate(placement.replicas()):
        if first.setdefault(place, r) != r:
            faults.append(
                f"replica {r} ({instance.model_ids[place[0]]}): stands on the same GPUs as "
                f"replica {first[place]} of the same model"
            )
    del faults[5:]
    faults += gpu_violations(instance, placement)
    count = placement.replicas_per_model(len(instance.model_ids))
    faults += [
        f"model {instance.model_ids[m]}: used, but without a replica"
        for m in instance.used_models
        if not count[m]
    ]
    return faults + rule_violations(instance, placement)


def rule_violations(instance: Instance, placement: Placement) -> list[str]:
    """Say every rule on numbers of replicas, and on what stands where, that a placement breaks."""
    faults = [] if instance.cluster.plain else _misplaced(instance, placement)
    if instance.company:
        faults += _in_wrong_company(instance, placement)
    wanted = instance.requirements
    if wanted is None:
        return faults
    n_models = len(instance.model_ids)
    count = placement.replicas_per_model(n_models)
    pairs = np.unique(np.stack([placement.model, placement.server]), axis=1)
    servers = np.bincount(pairs[0], minlength=n_models)
    for m in instance.used_models:
        name = instance.model_ids[m]
        if count[m] < wanted.least[m]:
            faults.append(f"model {name}: {count[m]} replicas, min_replicas is {wanted.least[m]}")
        if count[m] > wanted.most[m]:
            faults.append(f"model {name}: {count[m]} replicas, max_replicas is {wanted.most[m]}")
        if servers[m] < wanted.spread[m]:
            faults.append(f"model {name}: on {servers[m]} servers, spread is {wanted.spread[m]}")
    return faults


def _in_wrong_company(instance: Instance, placement: Placement) -> list[str]:
    """Servers that hold models which are to be apart, or one without those it needs."""
    held: dict[int, set[int]] = {}
    for m, s, _ in placement.replicas():
        held.setdefault(s, set()).add(m)
    ids = instance.model_ids
    rows = set(placement.replicas())
    bare = [
        f"model {ids[m]}: stands on GPU {i} and on of server {s} without its base {ids[b]}"
        for m, b in instance.company.bases
        for other, s, i in sorted(rows)
        if other == m and (b, s, i) not in rows
    ]
    return bare + [
        f"model {ids[m]}: stands on server {s} {'beside' if key == 'apart_from' else 'without'} "
        f"{ids[o]}, {key} is broken"
        for s in sorted(held)
        for key, m, o in instance.company.broken(held[s])
    ]


def _misplaced(instance: Instance, placement: Placement) -> list[str]:
    """Replicas on blocks that rules keep them off, and pinned ones that are not there."""
    cluster, faults = instance.cluster, []
    open_at = {
        (t, m): starts(instance, m, kind)
        for t, kind in enumerate(cluster.server_types)
        for m in instance.used_models
    }
    rows = set(placement.replicas())
    for m, s, i in sorted(rows):
        if m in instance.used_models and i not in open_at[int(cluster.server_type[s]), m]:
            name = instance.model_ids[m]
            faults.append(f"model {name}: may not stand on GPU {i} and on of server {s}")
    for s in range(cluster.n_servers):
        kind = cluster.server_types[cluster.server_type[s]]
        faults += [
            f"model {instance.model_ids[m]}: pinned to GPU {i} and on of server {s}, not there"
            for m, i in pins(instance, kind)
            if (m, s, i) not in rows
        ]
    return faults


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
    nodes = np.array([len(w.node_model) for w in instance.workflows])
    number = (np.cumsum(nodes) - nodes)[flows.workflow] + flows.node
    models = np.concatenate([w.node_model for w in instance.workflows])[number]
    seconds = np.concatenate([w.work_s for w in instance.workflows])[number]
    at_flow = models * servers + flows.server
    at_replica = placement.model * servers + placement.server
    pairs = np.unique(np.concatenate((at_flow, at_replica)))
    held = np.isin(at_flow, at_replica)
    work = flows.rate * seconds / instance.fastest_at(models, flows.server)
    offered = np.bincount(np.searchsorted(pairs, at_flow), work, len(pairs))
    done = solution.load * instance.paces(placement.model, placement.server, placement.start)
    carried = np.bincount(np.searchsorted(pairs, at_replica), done, len(pairs))
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
