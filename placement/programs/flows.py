"""Rates, whole workflows and links: the block that every program of docs/model.md has.

A place s serves requests as one: a server, identical servers together, the servers of a pattern, or
a server that is priced. With lambda_w the rate of workflow w, node n of which calls model m(n) and
costs t_wn busy seconds at speed 1, a place has, with v_s the speed of the model's fastest block
there and p[m,i] <= 1 that of a replica over it (`Instance.pace`; 1 where GPUs are alike),

    a[w,n] >= 0    the rate at which node n is served there, where m(n) has a replica
    c[w] >= 0      the rate of requests that run whole there
    l[w,e] >= 0    the rate at which link e = (u, n) stays there

    work             sum_i p[m,i] h[m,i] = sum_{w, n: m(n) = m} t_wn a[w,n] / v_s
    rate             a[w,n] <= lambda_w * (replicas, or servers of the pattern)
    workflow kept    c[w] <= a[w,n]                     for every node n of w
    link kept        l[w,e] <= a[w,u],  l[w,e] <= a[w,n]

and over all places

    demand           sum_s a[w,n,s] = lambda_w
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pulp

from placement.params.portfolio_params import PortfolioParams
from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.solver.milp import Pairs, linear

WHOLE_WORKFLOW = -1
"""In place of a link's number: the whole workflow."""

Part = tuple[int, int]
"""A workflow, and the number of one of its links or `WHOLE_WORKFLOW`: what is kept or not."""

Kept = list[tuple[Part, pulp.LpVariable, float]]
"""Parts, the rate at which each is kept at a place, and what a unit of it is worth."""


class Keepable(NamedTuple):
    """A whole workflow or a link: the nodes that must be together, what a unit kept is worth."""

    part: Part
    nodes: tuple[int, ...]
    worth: float


def scale_of(instance: Instance) -> float:
    """Objectives of programs are this many times the locality: far above a solver's tolerances."""
    return float(instance.cluster.n_servers)


def keepable(instance: Instance, w: int) -> list[Keepable]:
    """A workflow and its links, with their worth in the scaled objective."""
    whole, link = (weight * scale_of(instance) for weight in instance.locality_weights(w))
    flow = instance.workflows[w]
    ends: list[list[int]] = flow.links.tolist()
    weights = flow.link_weights.tolist()
    return [
        Keepable((w, WHOLE_WORKFLOW), tuple(range(len(flow.node_model))), whole),
        *(Keepable((w, e), (u, v), link * weights[e]) for e, (u, v) in enumerate(ends)),
    ]


class Place:
    """What one place serves and keeps, added to a program row by row.

    Parameters
    ----------
    at : str
        What the names of its variables end in.
    speed : float64, shape (M,)
        v_s of each model.

    Attributes
    ----------
    rate : dict of (w, n) to variable
        a[w,n].
    work : dict of model to terms
        sum t_wn a[w,n] / v_s over the nodes that call the model.
    """

    def __init__(
        self, problem: pulp.LpProblem, instance: Instance, at: str, speed: FloatArray
    ) -> None:
        self.problem, self.instance = problem, instance
        self.at, self.speed = at, speed
        self.rate: dict[tuple[int, int], pulp.LpVariable] = {}
        self.work: dict[int, Pairs] = defaultdict(list)

    def serve(
        self,
        w: int,
        n: int,
        held: Sequence[pulp.LpVariable] = (),
        *,
        carries: float | None = None,
        most: float | None = None,
    ) -> pulp.LpVariable:
        """Add a[w,n], and the row *rate* where it is not implied.

        It follows from *work* for whole numbers of replicas; it keeps a relaxation from serving on
        a sliver of one, and one server of a pattern from serving more than all there is.

        Parameters
        ----------
        w, n : int
            Workflow, and node of it.
        held : sequence of variables
            Replicas of the node's model, or servers of the pattern; without them there is no row.
        carries : float, optional
            Load that one of `held` takes at most: where all of the node's work is more, *work*
            says more than *rate*.
        most : float, optional
            Upper bound of the variable.
        """
        flow = self.instance.workflows[w]
        self.rate[w, n] = a = pulp.LpVariable(f"a_{w}_{n}{self.at}", 0, most)
        m = int(flow.node_model[n])
        seconds = float(flow.work_s[n] / self.speed[m])
        self.work[m].append((a, seconds))
        if held and (carries is None or seconds * flow.rate <= carries):
            self.problem += linear([(a, 1.0), *((x, -flow.rate) for x in held)]) <= 0
        return a

    def serve_together(self, w: int, nodes: Iterable[int], name: str) -> pulp.LpVariable:
        """Add one rate at which some nodes of a workflow are served together.

        Parameters
        ----------
        w : int
            The workflow.
        nodes : iterable of int
            Those that are served.
        name : str
            Part of the variable's name.

        Returns
        -------
        variable
            Requests per second; its work falls on the models of the nodes.
        """
        flow = self.instance.workflows[w]
        y = pulp.LpVariable(f"y_{w}_{name}{self.at}", 0)
        busy: dict[int, float] = defaultdict(float)
        for n in nodes:
            m = int(flow.node_model[n])
            busy[m] += float(flow.work_s[n] / self.speed[m])
        for m, seconds in busy.items():
            self.work[m].append((y, seconds))
        return y

    def keep(self, parts: Iterable[Keepable]) -> Kept:
        """Add c[w] and l[w,e] of what is worth anything and has all its nodes here."""
        found: Kept = []
        for (w, e), nodes, worth in parts:
            if not worth > 0 or not all((w, n) in self.rate for n in nodes):
                continue
            name = f"c_{w}" if e == WHOLE_WORKFLOW else f"l_{w}_{e}"
            kept = pulp.LpVariable(f"{name}{self.at}", 0)
            found.append(((w, e), kept, worth))
            for n in nodes:
                self.problem += linear([(kept, 1.0), (self.rate[w, n], -1.0)]) <= 0
        return found

    def pay(self, w: int, kept: Kept, prices: Sequence[float]) -> None:
        """What is kept of a workflow is worth no more than its rates pay (`fitting_sets`).

        Parameters
        ----------
        w : int
            The workflow.
        kept : terms
            Locality of what is kept.
        prices : sequence of float, one a node
            Locality for a unit of rate, not scaled.
        """
        scale, nodes = scale_of(self.instance), range(len(prices))
        paid = [(self.rate[w, n], -scale * prices[n]) for n in nodes if (w, n) in self.rate]
        self.problem += linear([*kept_terms(kept), *paid]) <= 0

    def do_work(self, m: int, load: Pairs, name: str | None = None) -> None:
        """Add the row *work* of a model: its replicas' loads are what its nodes bring.

        Parameters
        ----------
        m : int
            The model.
        load : list of (variable, float)
            Busy fractions of its replicas, and the pace of each, as often as it counts.
        name : str, optional
            Of the row.
        """
        brought = [(a, -seconds) for a, seconds in self.work.get(m, ())]
        self.problem.addConstraint(linear([*load, *brought]) == 0, name)


def kept_terms(kept: Kept) -> Pairs:
    """What is kept, with its worth: terms of an objective."""
    return [(variable, value) for _, variable, value in kept]


def add_demand(
    problem: pulp.LpProblem,
    instance: Instance,
    node: tuple[int, int],
    served: Pairs,
    *,
    elastic: bool = False,
) -> pulp.LpVariable | None:
    """Add the row *demand* of node n of workflow w.

    Parameters
    ----------
    problem : pulp.LpProblem
        Takes the row.
    node : tuple of int
        w and n.
    served : terms
        Its rates at all places.
    elastic : bool
        Some may stay unserved.

    Returns
    -------
    variable or None
        The rate that stays unserved.
    """
    w, n = node
    unserved = pulp.LpVariable(f"u_{w}_{n}", 0) if elastic else None
    terms = served if unserved is None else [*served, (unserved, 1.0)]
    problem.addConstraint(linear(terms) == instance.workflows[w].rate, f"demand_{w}_{n}")
    return unserved


def nodes_with_requests(instance: Instance) -> list[tuple[int, int, int]]:
    """Workflow w, node n and model m(n) of every node that requests call."""
    return [
        (w, n, int(m))
        for w in instance.active_workflows
        for n, m in enumerate(instance.workflows[w].node_model)
    ]


def has_many_nodes(instance: Instance, params: PortfolioParams) -> bool:
    """Whether routing programs take longer than all the rest."""
    nodes = sum(len(instance.workflows[w].node_model) for w in instance.active_workflows)
    return nodes > params.many_nodes
