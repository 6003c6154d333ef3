"""What is measured of a trace, by loops over its requests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.problem.trace import measure_demand, prefill_times
from tests.runtime.cases import random_case


def test_demand_is_counted_request_by_request() -> None:
    """Requests, rates over the span, and mean seconds of every node."""
    for seed in range(60):
        case = random_case(seed)
        trace, workload = case.trace, case.workload
        found = measure_demand(workload, trace)
        span = trace.arrival_s[-1] - trace.arrival_s[0] or 1.0
        assert found.span_s == span
        assert found.total_rate == pytest.approx(trace.n_requests / span)
        for w, flow in enumerate(workload.workflows):
            mine = [r for r in range(trace.n_requests) if trace.workflow[r] == w]
            assert found.requests[w] == len(mine)
            assert found.rate[w] == pytest.approx(len(mine) / span)
            seconds = [
                [float(trace.service_s[trace.offset[r] + v]) for r in mine]
                for v in range(len(flow.nodes))
            ]
            mean = [sum(s) / len(s) if s else 0.0 for s in seconds]
            assert found.service_s[w] == pytest.approx(mean)


def test_the_span_is_from_the_first_arrival_to_the_last() -> None:
    """And nothing for one request, or for none."""
    trace = random_case(3).trace
    assert trace.span_s == trace.arrival_s[-1] - trace.arrival_s[0] > 0
    none, first = trace.offset[:1], trace.offset[:2]
    assert replace(trace, arrival_s=trace.arrival_s[:1], offset=first).span_s == 0.0
    assert replace(trace, arrival_s=trace.arrival_s[:0], offset=none).span_s == 0.0


def test_prefill_is_what_the_trace_states_else_the_model_and_never_more_than_the_service() -> None:
    """None where the model's prefill is chunked; every kind is among the cases."""
    kinds = {"stated": 0, "model": 0, "cut": 0, "chunked": 0}
    for seed in range(80):
        case = random_case(seed)
        rng = np.random.default_rng(seed)
        models = tuple(
            replace(m, chunked_prefill=bool(rng.random() < 0.3)) for m in case.workload.models
        )
        workload, trace = replace(case.workload, models=models), case.trace
        found = prefill_times(workload, trace)
        for r, w in enumerate(trace.workflow.tolist()):
            for v, node in enumerate(workload.workflows[w].nodes):
                e = int(trace.offset[r]) + v
                model = workload.models[node.model]
                stated = None if trace.stated_prefill_s is None else trace.stated_prefill_s[e]
                known = stated is not None and not np.isnan(stated)
                wanted = float(stated) if known and stated is not None else model.prefill_time_s
                if model.chunked_prefill:
                    assert found[e] == 0.0
                    kinds["chunked"] += 1
                    continue
                assert found[e] == min(wanted, trace.service_s[e])
                kinds["stated" if known else "model"] += wanted > 0
                kinds["cut"] += wanted > trace.service_s[e]
    assert min(kinds.values()) > 20, kinds
