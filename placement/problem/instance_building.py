"""The instance that a workload and its demand make on a cluster (docs/model.md)."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from placement.problem.cluster import Cluster, Network
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.placement_rules import (
    merged_rules,
)
from placement.problem.rules import Rules
from placement.problem.server_kinds import apply_rules
from placement.problem.trace import Demand, Trace, measure_demand
from placement.problem.variants import as_run
from placement.problem.workload import Edge, Workload


def _crossing_s(network: Network, edge: Edge, prefill_s: float) -> float:
    """Seconds that an edge costs across servers more than inside one.

    What is kept on a server can be kept on a replica: where each of several serves the same mix,
    in proportion to its load, all calls of a request can go to one. So the prefill that a shared
    prefix saves is lost by crossing (docs/locality.md, "Contexts that are read again").

    Parameters
    ----------
    network : Network
        What moving the payload takes.
    edge : Edge
        Between two nodes on GPUs.
    prefill_s : float
        Mean prefill of its target.
    """
    far = network.delay_s(edge.payload_mb, same_server=False)
    moved = max(0.0, far - network.delay_s(edge.payload_mb, same_server=True))
    return moved + edge.shared_prefix * prefill_s


def _at_degrees(cluster: Cluster, workload: Workload) -> Cluster:
    """Let the models have the speeds of the degrees that were chosen."""
    factors = {m.id: m.time_factor for m in workload.models if m.time_factor != 1.0}
    if not factors:
        return cluster
    types = []
    for kind in cluster.server_types:
        own = dict(kind.model_speeds)
        for name, factor in factors.items():
            stated = kind.stated_speed(name)
            own[name] = (
                tuple(v / factor for v in stated) if isinstance(stated, tuple) else stated / factor
            )
        types.append(replace(kind, model_speeds=tuple(sorted(own.items()))))
    return replace(cluster, server_types=tuple(types))


def build_instance(
    workload: Workload,
    demand: Demand | Trace,
    cluster: Cluster,
    rules: Rules | None = None,
) -> Instance:
    """Turn a workload and its demand into the arrays of the integer program.

    Parameters
    ----------
    workload : Workload
        Models and workflows, as `read_config` gives them.
    demand : Demand or Trace
        Rates and service times, or the trace that they are measured on.
    cluster : Cluster
        Where the models are to be placed.
    rules : Rules, optional
        What to maximise, and how GPUs may be shared; by default the mixed objective, and
        sharing as memory allows.

    Returns
    -------
    Instance
        Its `load_cap` is the default; `solve_instance` puts the cap that holds in its place.
        Servers that the rules tell apart are of types of their own.
    """
    rules = rules or Rules()
    if isinstance(demand, Trace):
        workload = as_run(workload, demand)
        demand = measure_demand(workload, demand)
    placement_rules = merged_rules(workload, rules.placement)
    workflows = []
    for w, workflow in enumerate(workload.workflows):
        nodes, weights = list(workload.on_gpus(w)), None
        service = demand.service_s[w][nodes]
        models = np.array([workflow.nodes[v].model for v in nodes], dtype=np.int64)
        if rules.objective == "cooccurrence":
            links = list(combinations(range(len(nodes)), 2))
        else:
            place = {v: i for i, v in enumerate(nodes)}
            edges = workload.crossing_edges(w)
            links = [(place[e.source], place[e.target]) for e in edges]
            if rules.objective == "traffic":
                prefills = (
                    demand.prefill_s[w] if demand.prefill_s else np.zeros(len(workflow.nodes))
                )
                weights = np.array(
                    [_crossing_s(cluster.network, e, float(prefills[e.target])) for e in edges]
                )
        busy = np.array([workload.models[m].busy_factor for m in models])
        work = service * busy
        if demand.prefill_s and cluster.sharing.mode == "time-sliced":
            # While a call is in its prefill, the others of its replica stand still.
            called = [workload.models[m] for m in models]
            stops = [m.max_concurrency > 1 and not m.chunked_prefill for m in called]
            prefill = np.where(stops, demand.prefill_s[w][nodes], 0.0)
            work = np.where(prefill > 0, prefill + (service - prefill) * busy, work)
        workflows.append(
            WorkflowDemand(
                id=workflow.id,
                rate=float(demand.rate[w]) if nodes else 0.0,
                node_model=models,
                work_s=work,
                links=np.array(links, dtype=np.int64).reshape(-1, 2),
                weights=weights,
            )
        )
    if rules.objective == "traffic" and not any(w.link_weights.any() for w in workflows):
        raise ValueError(
            "objective traffic weighs edges by the seconds that crossing servers costs them, and "
            "none costs any here; give the cluster a network and the edges their payload_mb (or "
            "shared_prefix, where models have a prefill), or take objective edges"
        )
    fractions = tuple(m.gpu_fraction for m in workload.models)
    # Where a GPU holds one replica, an adapter brings its base along.
    alone = rules.exclusive or rules.max_models_per_gpu == 1
    base_of = tuple(workload.model_index[m.base] if m.base else -1 for m in workload.models)
    memory = np.array([m.memory_per_gpu_gb for m in workload.models])
    if alone:
        memory += [memory[b] if b >= 0 else 0.0 for b in base_of]
    return Instance(
        model_ids=tuple(m.id for m in workload.models),
        gpus_required=np.array([m.gpus_required for m in workload.models], dtype=np.int64),
        memory_per_gpu_gb=memory,
        workflows=tuple(workflows),
        cluster=_at_degrees(apply_rules(cluster, placement_rules), workload),
        alpha=rules.workflow_weight,
        exclusive=rules.exclusive,
        max_models_per_gpu=rules.max_models_per_gpu,
        objective=rules.objective,
        gpu_fraction=fractions if min(fractions, default=1.0) < 1 else (),
        placement_rules=placement_rules.on_numbers,
        base_of=() if alone or max(base_of, default=-1) < 0 else base_of,
    )
