"""Clusters far larger than their load: servers that no request would ever need stay empty.

Beyond some size (`IdleServerParams`) a plan uses no more servers of any type than keep the GPUs at
a part of the cap on average: it is found, written and read in a time that the load decides, not the
number of idle machines. What is proven of the smaller cluster is not proven of the whole one.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np

from placement.params.search_params import DEFAULTS, SearchParams
from placement.problem.cluster import IntArray
from placement.problem.instance import Instance
from placement.problem.solution import Flows, Placement, Solution


def trim(instance: Instance, params: SearchParams = DEFAULTS) -> Instance:
    """Leave out servers of a cluster that is larger than it need be; others stay as they are."""
    cluster, limits = instance.cluster, params.idle_servers
    use = (
        instance.load_floor / limits.least_use / instance.load_cap
    )  # of the least caps a part is 0
    share = max(limits.most_servers / cluster.n_servers, use)
    if share >= 1.0 or instance.ruled:
        return instance
    least = len(instance.used_models)  # so that each can have a server of its own
    types = tuple(
        replace(t, count=min(t.count, max(least, ceil(t.count * share))))
        for t in cluster.server_types
    )
    return replace(instance, cluster=replace(cluster, server_types=types))


def first_servers(instance: Instance, most: int) -> tuple[Instance, IntArray]:
    """Keep no more servers of a type than `most`; the numbers that they have in the cluster."""
    cluster = instance.cluster
    types = tuple(replace(t, count=min(t.count, most)) for t in cluster.server_types)
    first = np.cumsum([0, *(t.count for t in cluster.server_types[:-1])])
    numbers = [f + np.arange(t.count) for f, t in zip(first, types, strict=True)]
    small = replace(instance, cluster=replace(cluster, server_types=types))
    return small, np.concatenate(numbers).astype(np.int64)


def place_back(instance: Instance, small: Instance, solution: Solution) -> Solution:
    """Number the servers of a trimmed cluster's solution as the whole cluster does.

    Parameters
    ----------
    instance : Instance
        With all servers.
    small : Instance
        Without those that no plan needs, at the end of each type.
    solution : Solution
        Of `small`.
    """
    if small.cluster is instance.cluster:
        return solution
    counts = [[t.count for t in i.cluster.server_types] for i in (small, instance)]
    begin, wanted = (np.cumsum([0, *c[:-1]]) for c in counts)
    number = np.arange(small.cluster.n_servers) + (wanted - begin)[small.cluster.server_type]
    placement, flows = solution.placement, solution.flows
    return Solution(
        Placement(placement.model, number[placement.server], placement.start),
        Flows(flows.workflow, flows.node, number[flows.server], flows.rate),
        solution.load,
    )
