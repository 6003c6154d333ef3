"""One scale for every program: the same dimensionless numbers, whatever unit of time a trace has.

Solvers keep rows to an absolute 1e-7, ignore reduced costs below that and drop coefficients below
1e-9. Rates of 1e-6 requests a second, or workflows that differ by twelve orders of magnitude, are
lost in these. So every program is made of a normalized instance:

- a workflow's rate is a power of two, at least 1, near S times its share of the requests or of the
  load, S being the number of servers: 1 is about what one server serves of it, and all of a rare
  workflow. What makes 1 is its `unit`, as a share of all requests.
- loads are in units of `load_unit`, the largest that matters: the cap, or the mean load where
  even that is above it.

Two clocks must give one answer, so the numbers are rounded to `BITS` bits: conversions differ in
the 53rd. That moves work and weights by less than 2e-10 of themselves, and so the cap and the
locality by no more, five hundred times less than the solvers' own 1e-7, and five thousand times
less than the 1e-6 to which plans and bounds are judged. What is found is restored with the numbers
as given: the rates of every node add up to its workflow's, and the loads follow from them.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypeVar

import numpy as np

from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.problem.solution import Flows, Solution, settle

BITS = 32
"""Leading bits of a number that count."""

AnyInstance = TypeVar("AnyInstance", bound=Instance)


def normalize(instance: AnyInstance, most_load: float | None = None) -> AnyInstance:
    """Scale rates and loads; an instance that is normalized stays as it is.

    Parameters
    ----------
    instance : Instance
    most_load : float, optional
        Load that matters, such as the cap; that of the instance by default.
    """
    if instance.load_unit is not None:
        return instance
    wanted = instance.load_cap if most_load is None else most_load
    load_unit = _rounded(max(wanted, instance.load_floor)) or 1.0
    servers = instance.cluster.n_servers
    all_load = float(instance.offered_load.sum())
    flows = []
    for flow in instance.workflows:
        if flow.rate <= 0:
            flows.append(flow)
            continue
        share = flow.request_rate / instance.total_rate
        load = flow.rate * float(flow.work_s @ instance.gpus_required[flow.node_model])
        most = max(share, load / all_load if all_load > 0 else 0.0)
        rate = 2.0 ** max(0, round(math.log2(servers * most)))
        work = _rounded_all(flow.work_s * (flow.rate / rate) / load_unit)
        flows.append(replace(flow, rate=rate, unit=_rounded(share / rate), work_s=work))
    return replace(
        instance,
        workflows=tuple(flows),
        load_cap=_rounded(instance.load_cap / load_unit),
        load_unit=load_unit,
    )


def restore(
    instance: Instance, normal: Instance, solution: Solution, *, elastic: bool = False
) -> Solution:
    """Give a solution of a normalized instance the rates and loads of the instance itself.

    Parameters
    ----------
    elastic : bool
        Nodes need not be served in full.
    """
    if instance is normal:
        return solution
    return settle(instance, at_rates_of(instance, normal, solution), elastic=elastic)


def at_rates_of(instance: Instance, other: Instance, solution: Solution) -> Solution:
    """A solution of another instance with the rates of this one; its loads stay as they are.

    Parameters
    ----------
    instance, other : Instance
        The same workflows at other rates, one of them normalized.
    solution : Solution
        Of `other`.
    """
    if instance is other:
        return solution
    factor = np.array(
        [
            mine.rate / theirs.rate if theirs.rate > 0 else 0.0
            for mine, theirs in zip(instance.workflows, other.workflows, strict=True)
        ]
    )
    flows = solution.flows
    rates = Flows(flows.workflow, flows.node, flows.server, flows.rate * factor[flows.workflow])
    return Solution(solution.placement, rates, solution.load)


def _rounded_all(values: FloatArray) -> FloatArray:
    mantissa, exponent = np.frexp(values)
    rounded: FloatArray = np.ldexp(np.round(np.ldexp(mantissa, BITS)), exponent - BITS)
    return rounded


def _rounded(value: float) -> float:
    return float(_rounded_all(np.array([value]))[0])
