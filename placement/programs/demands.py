"""Several demands on one placement: what they are, and what a placement is worth to them.

One set of replicas x serves every scenario k, each with its own routing a^k under the same cap on
loads. With f_k(x) the best locality of x under demand k, the criterion ``average`` maximises
sum_k w_k f_k(x) with equal weights, ``worst`` maximises min_k f_k(x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.problem.names import Criterion
from placement.problem.solution import Solution, evaluate
from placement.problem.trace import Demand, Trace, measure_demand
from placement.problem.workload import Workload


@dataclass(frozen=True, eq=False)
class Scenario(Instance):
    """An instance whose placement holds the models of every scenario, called here or not."""

    placed_models: tuple[int, ...] = ()

    @cached_property
    def used_models(self) -> tuple[int, ...]:
        """Models that some scenario calls: each needs a replica."""
        return self.placed_models

    @property
    def idle_are_spare(self) -> bool:
        """No: what is idle here may serve another scenario."""
        return False


def make_scenarios(instances: Sequence[Instance], load_cap: float) -> list[Scenario]:
    """Give the instances of several demands the same models to place, and the same cap."""
    placed = tuple(sorted({m for i in instances for m in i.used_models}))
    return [
        Scenario(
            **{f.name: getattr(i, f.name) for f in fields(Instance) if f.name != "load_cap"},
            load_cap=load_cap,
            placed_models=placed,
        )
        for i in instances
    ]


def split_windows(trace: Trace, windows: int) -> list[Trace]:
    """Split a trace into windows of equal duration; those without a request are left out."""
    stated = trace.stated_prefill_s
    edges = np.linspace(0.0, trace.span_s, windows + 1)[1:-1]
    cuts = [0, *np.searchsorted(trace.arrival_s, edges).tolist(), trace.n_requests]
    found = []
    for first, last in pairwise(cuts):
        if first == last:
            continue
        arrival = trace.arrival_s[first:last]
        executions = slice(trace.offset[first], trace.offset[last])
        found.append(
            replace(
                trace,
                request_ids=trace.request_ids[first:last],
                arrival_s=arrival - arrival[0],
                workflow=trace.workflow[first:last],
                service_s=trace.service_s[executions],
                offset=trace.offset[first : last + 1] - trace.offset[first],
                stated_prefill_s=None if stated is None else stated[executions],
                sessions=None if trace.sessions is None else trace.sessions[first:last],
            )
        )
    return found


def window_demands(workload: Workload, trace: Trace, windows: int) -> list[Demand]:
    """Demand of each window: its requests over the window's duration.

    Parameters
    ----------
    workload : Workload
        Models and workflows.
    trace : Trace
        Is split by time.
    windows : int
        Equal parts of its span.
    """
    duration = (trace.span_s or 1.0) / windows
    found = []
    for part in split_windows(trace, windows):
        demand = measure_demand(workload, part)
        found.append(replace(demand, rate=demand.requests / duration, span_s=duration))
    return found


def mean_demand(demands: Sequence[Demand]) -> Demand:
    """Mean rates of several demands, and their mean service times, weighted by the rates."""
    rates = np.array([d.rate for d in demands])
    prefills = [d.prefill_s or tuple(np.zeros_like(t) for t in d.service_s) for d in demands]
    return Demand(
        np.sum([d.requests for d in demands], axis=0),
        np.mean(rates, axis=0),
        _weighted(rates, [d.service_s for d in demands]),
        float(sum(d.span_s for d in demands)),
        _weighted(rates, prefills) if any(d.prefill_s for d in demands) else (),
    )


def _weighted(rates: FloatArray, times: Sequence[tuple[FloatArray, ...]]) -> tuple[FloatArray, ...]:
    """Means of times by node of each workflow, weighted by the rates, shape (K, W)."""
    found = []
    for w, weight in enumerate(rates.T):
        mine, total = np.array([t[w] for t in times]), weight.sum()
        found.append((weight @ mine) / total if total else np.zeros(mine.shape[1]))
    return tuple(found)


def envelope(instances: Sequence[Instance]) -> Instance:
    """Demand with the largest rate and work of any scenario: who serves it serves each."""
    first = instances[0]
    workflows = tuple(
        replace(
            first.workflows[w],
            rate=max(i.workflows[w].rate for i in instances),
            work_s=np.max([i.workflows[w].work_s for i in instances], axis=0),
        )
        for w in range(len(first.workflows))
    )
    return replace(first, workflows=workflows)


def combine(criterion: Criterion, values: Sequence[float]) -> float:
    """Worth of a placement from its worth to each scenario."""
    return float(min(values) if criterion == "worst" else np.mean(values))


def objectives(scenarios: Sequence[Scenario], solutions: Sequence[Solution]) -> list[float]:
    """Locality of each scenario."""
    return [evaluate(i, s).objective for i, s in zip(scenarios, solutions, strict=True)]


def even_weights(count: int) -> FloatArray:
    """Weights of the average."""
    return np.full(count, 1.0 / count)
