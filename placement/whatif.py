"""What if: a plan under other traffic, without a server or a GPU, or on more servers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from placement.problem.cluster import Cluster
from placement.problem.instance import Instance
from placement.problem.outcome import cap_for
from placement.problem.placement_rules import PlacementRules
from placement.problem.plan import Plan
from placement.problem.server_kinds import apply_rules
from placement.problem.solution import Placement, Solution
from placement.programs.least_load import least_bottleneck
from placement.programs.routing import best_routing
from placement.solver.milp import SolverSettings


@dataclass(frozen=True)
class Change:
    """What is other than the plan assumes.

    Parameters
    ----------
    traffic : float
        Factor on every rate, above 0.
    servers : tuple of int
        Servers that are lost, by their numbers.
    gpus : tuple of int
        GPUs that are lost, by their numbers in the cluster.
    added : int
        Servers more, of the last type.

    Raises
    ------
    ValueError
        Nothing is changed, or a figure is out of its range.
    """

    traffic: float = 1.0
    servers: tuple[int, ...] = ()
    gpus: tuple[int, ...] = ()
    added: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.traffic < float("inf"):
            raise ValueError(f"traffic is {self.traffic:g}; give a finite factor above 0")
        if self.added < 0:
            raise ValueError(f"added servers are {self.added}; give 0 or more")
        if self.traffic == 1 and not (self.servers or self.gpus or self.added):
            raise ValueError("nothing is changed; say what is")

    @property
    def text(self) -> str:
        """What is changed, in words."""
        words = [f"{self.traffic:g} times the traffic"] if self.traffic != 1 else []
        words += [f"without server {s}" for s in self.servers]
        words += [f"without GPU {g}" for g in self.gpus]
        if self.added:
            words.append(f"with {self.added} more server{'s' if self.added > 1 else ''}")
        return ", ".join(words)


@dataclass(frozen=True)
class AsItRuns:
    """A plan that is not solved anew, routed as well as what is left of it can be.

    Parameters
    ----------
    instance : Instance
        Changed, with the cap that its least bottleneck load gives; workflows that cannot be
        served have no rate.
    solution : Solution
        What is left of the placement, and its best routing.
    lost : tuple of str
        Workflows that cannot be served: a model of theirs has no replica left.
    """

    instance: Instance
    solution: Solution
    lost: tuple[str, ...]


def changed_instance(plan: Plan, change: Change) -> Instance:
    """Give the instance of a plan as it is after a change; servers and GPUs keep their numbers.

    Raises
    ------
    ValueError
        There is no such server or GPU.
    """
    instance = plan.instance
    cluster = apply_rules(instance.cluster, _losses(instance.cluster, change))
    if change.added:
        last = cluster.server_types[-1]
        grown = replace(last, count=last.count + change.added)
        if last.excluded_gpus != instance.cluster.server_types[-1].excluded_gpus:
            # What is lost on the last server is not lost on those that come.
            grown = replace(instance.cluster.server_types[-1], count=change.added, name="added")
            cluster = replace(cluster, server_types=(*cluster.server_types, grown))
        else:
            cluster = replace(cluster, server_types=(*cluster.server_types[:-1], grown))
    workflows = tuple(replace(w, rate=w.rate * change.traffic) for w in instance.workflows)
    return replace(instance, cluster=cluster, workflows=workflows)


def _losses(cluster: Cluster, change: Change) -> PlacementRules:
    """Lost servers and GPUs as GPUs on which nothing may stand."""
    for what, numbers, count in (
        ("server", change.servers, cluster.n_servers),
        ("GPU", change.gpus, cluster.n_gpus),
    ):
        wrong = [n for n in numbers if not 0 <= n < count]
        if wrong:
            raise ValueError(f"there is no {what} {wrong[0]}: they are numbered 0 to {count - 1}")
    lost = {s: set(range(int(cluster.server_gpus[s]))) for s in change.servers}
    for gpu in change.gpus:
        server = int(cluster.gpu_server[gpu])
        lost.setdefault(server, set()).add(gpu - int(cluster.first_gpu[server]))
    return PlacementRules(tuple((s, tuple(sorted(g))) for s, g in sorted(lost.items())))


def as_it_runs(plan: Plan, change: Change, settings: SolverSettings | None = None) -> AsItRuns:
    """Leave every replica that is left where it stands, and route anew.

    Parameters
    ----------
    plan : Plan
    change : Change
    settings : SolverSettings, optional
        Of the linear program that routes.

    Raises
    ------
    ValueError
        There is no such server or GPU, or no workflow can be served any more.
    """
    settings = settings or SolverSettings()
    instance = changed_instance(plan, change)
    placement = surviving(instance, plan.placement)
    there = placement.replicas_per_model(len(instance.model_ids)) > 0
    lost = [
        w for w in instance.active_workflows if not there[instance.workflows[w].node_model].all()
    ]
    instance = replace(
        instance,
        workflows=tuple(
            replace(w, rate=0.0) if i in lost else w for i, w in enumerate(instance.workflows)
        ),
    )
    if not instance.active_workflows:
        raise ValueError(f"{change.text}: no workflow can be served by what is left of the plan")
    upper, evenest = least_bottleneck(instance, placement, settings)
    target = 0.0 if plan.mode == "offline" else plan.max_utilization or plan.certificate.load_cap
    cap = cap_for(upper, target, plan.certificate.headroom_slack)
    instance = replace(instance, load_cap=cap)
    solution = best_routing(instance, placement, settings) or evenest
    return AsItRuns(instance, solution, tuple(instance.workflows[w].id for w in lost))


def surviving(instance: Instance, placement: Placement) -> Placement:
    """Replicas of which no GPU is excluded."""
    cluster = instance.cluster
    dead = np.zeros((cluster.n_servers, cluster.max_gpus_per_server + 1), dtype=np.int64)
    for s, kind in enumerate(cluster.server_types[t] for t in cluster.server_type):
        dead[s, [g + 1 for g in kind.excluded_gpus]] = 1
    before = np.cumsum(dead, axis=1)
    end = placement.start + instance.gpus_required[placement.model]
    whole = before[placement.server, end] == before[placement.server, placement.start]
    return placement.only(whole)
