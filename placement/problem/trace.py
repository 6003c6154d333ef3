"""A request trace as arrays, and the demand it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np

from placement.problem.cluster import FloatArray, IntArray
from placement.problem.workload import Workflow, Workload
from placement.support.described import Described, Facts
from placement.support.equality import ByContent


@dataclass(frozen=True, eq=False, repr=False)
class Trace(ByContent, Described):
    """R requests in order of arrival, their N node executions end to end.

    Parameters
    ----------
    request_ids : sequence of str, length R
        As the trace names them.
    arrival_s : float64, shape (R,)
        Seconds since `start`, never decreasing, the first is 0.
    workflow : int64, shape (R,)
        Index into `Workload.workflows`.
    service_s : float64, shape (N,)
        Service time of every node execution at speed 1, request by request, in the order of
        `Workflow.nodes`; request r owns ``service_s[offset[r] : offset[r + 1]]``.
    offset : int64, shape (R + 1,)
        Where the executions of each request begin, and N.
    start : datetime
        When the first request arrived.
    stated_prefill_s : float64, shape (N,), or None
        Prefill that the trace states for a node execution, NaN where it states none; None where
        it states none at all.
    variants : tuple of Workflow
        Workflows that requests ask for and the config does not have: `variants.as_run` adds them.
        Numbers in `workflow` count them as behind those of the workload that the trace was read
        with.
    sessions : int64, shape (R,), or None
        Number of the session that each request belongs to, -1 for none; None where there is none.
    rates : float64, shape (W,), or None
        Requests a second of each workflow where the trace was drawn from them.
    """

    request_ids: Sequence[str]
    arrival_s: FloatArray
    workflow: IntArray
    service_s: FloatArray
    offset: IntArray
    start: datetime
    stated_prefill_s: FloatArray | None = None
    variants: tuple[Workflow, ...] = ()
    sessions: IntArray | None = None
    rates: FloatArray | None = None

    @property
    def headline(self) -> str:
        """How many requests there are, and over what time."""
        return f"{self.n_requests:,} requests over {self.span_s:,.1f} s"

    def facts(self) -> Facts:
        """Requests, executions and when they came."""
        return [
            ("requests", f"{self.n_requests:,}"),
            ("node executions", f"{self.n_executions:,}"),
            ("first arrival", self.start.isoformat(sep=" ")),
            ("span", f"{self.span_s:,.3f} s"),
        ]

    @property
    def n_requests(self) -> int:
        """Number of requests R."""
        return len(self.arrival_s)

    @property
    def n_executions(self) -> int:
        """Number of node executions N."""
        return len(self.service_s)

    @property
    def span_s(self) -> float:
        """Seconds from the first arrival to the last."""
        return float(self.arrival_s[-1] - self.arrival_s[0]) if self.n_requests else 0.0


@dataclass(frozen=True, eq=False)
class Demand(ByContent):
    """What a trace asks for, per workflow.

    Parameters
    ----------
    requests : int64, shape (W,)
        Requests of each workflow.
    rate : float64, shape (W,)
        Arrival rate lambda_w in requests per second: requests over the trace's span.
    service_s : tuple of W float64 arrays, each of shape (V_w,)
        Mean service time t_wv of each node at speed 1 (0 where the workflow has no request).
    span_s : float
        Span of the trace; 1 where all requests come at one instant, so that only the mix counts.
    prefill_s : tuple of W float64 arrays, each of shape (V_w,), or empty
        Mean prefill of each node, chunked or not; empty where there is none at all.
    """

    requests: IntArray
    rate: FloatArray
    service_s: tuple[FloatArray, ...]
    span_s: float
    prefill_s: tuple[FloatArray, ...] = ()

    @cached_property
    def total_rate(self) -> float:
        """Requests per second over all workflows."""
        return float(self.rate.sum())


def prefill_times(workload: Workload, trace: Trace, *, chunked: bool = False) -> FloatArray:
    """Prefill of every node execution, a part of its service time, shape (N,).

    It is what the trace states, else ``prefill_time_s`` of the model, and never more than the
    service time.

    Parameters
    ----------
    workload : Workload
        Its models say whether prefills are chunked.
    trace : Trace
        Requests of it.
    chunked : bool
        Chunked prefills count, too; else they are 0, for nobody stands still in them.
    """
    prefill = np.zeros(trace.n_executions)
    for w, workflow in enumerate(workload.workflows):
        rows = trace.offset[:-1][trace.workflow == w]
        for v, node in enumerate(workflow.nodes):
            model = workload.models[node.model]
            if model.chunked_prefill and not chunked:
                continue
            prefill[rows + v] = model.prefill_time_s
            if trace.stated_prefill_s is not None:
                stated = trace.stated_prefill_s[rows + v]
                prefill[rows + v] = np.where(np.isnan(stated), model.prefill_time_s, stated)
    return np.minimum(prefill, trace.service_s)


def measure_demand(workload: Workload, trace: Trace) -> Demand:
    """Count a trace: requests, arrival rates and mean service times per workflow."""
    span_s = trace.span_s or 1.0
    requests = np.bincount(trace.workflow, minlength=len(workload.workflows)).astype(np.int64)
    service = _node_means(workload, trace, trace.service_s)
    prefill: tuple[FloatArray, ...] = ()
    if trace.stated_prefill_s is not None or any(m.prefill_time_s for m in workload.models):
        prefill = _node_means(workload, trace, prefill_times(workload, trace, chunked=True))
    rate = requests / span_s
    if trace.rates is not None:
        rate = np.zeros(len(requests))
        rate[: len(trace.rates)] = trace.rates
    return Demand(requests, rate, service, span_s, prefill)


def _node_means(workload: Workload, trace: Trace, value: FloatArray) -> tuple[FloatArray, ...]:
    """Mean of a value of every execution, by node of each workflow; 0 without a request."""
    found = []
    for w, workflow in enumerate(workload.workflows):
        rows = trace.offset[:-1][trace.workflow == w]
        nodes = len(workflow.nodes)
        if not len(rows):
            found.append(np.zeros(nodes))
            continue
        # One node at a time keeps the temporary at one number a request.
        found.append(np.array([value[rows + v].mean() for v in range(nodes)]))
    return tuple(found)
