"""Traces whose workload is known, as spans and back."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from itertools import count
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.files.config_file import build_workload
from placement.files.input_schema import ConfigFile
from placement.generate.arrivals import arrival_times
from placement.generate.synthetic import synthetic_config, synthetic_trace
from placement.importing.imported import Imported
from placement.importing.traces import import_traces
from tests.placement.importing.spans import START_NS, call, document, run_spans, shuffled, span


def imported(*spans: dict[str, Any]) -> Imported:
    return import_traces([("traces.json", [document(list(spans))])])


@pytest.mark.parametrize("seed", range(3))
def test_a_generated_workload_comes_back_from_its_spans(seed: int) -> None:
    """The same workflows, payloads, rates and service times, whatever the order of the spans."""
    config = synthetic_config(6, 5, seed=seed)
    for flow in config["workflows"].values():
        sizes: dict[str, float] = {}
        for edge in flow["edges"]:  # a span tells one size, whoever reads it
            edge["payload_mb"] = sizes.setdefault(edge["from"], edge["payload_mb"])
    workload = build_workload(ConfigFile.model_validate(config))
    arrivals = arrival_times("poisson", 200, 2.0, seed=seed)
    trace = synthetic_trace(workload, arrivals, seed=seed)
    names = list(config["workflows"])
    seen: Counter[int] = Counter()
    requests, spans = [], []
    for r, (at, w) in enumerate(zip(arrivals.tolist(), trace.workflow.tolist(), strict=True)):
        flow = config["workflows"][names[w]]
        times = trace.service_s[w][seen[w]].tolist()
        seen[w] += 1
        request = {
            "request_id": f"{r:032x}",
            "node_execution_times": {n["id"]: t for n, t in zip(flow["nodes"], times, strict=True)},
        }
        requests.append((names[w], at, request))
        spans += run_spans(request, flow, names[w], START_NS + round(at * 1e9))
    mixed = shuffled(spans, seed)
    files = [("a.json", [document(mixed[::2])]), ("b.json", [document(mixed[1::2])])]
    back = import_traces(files)
    called = {names[w] for w in seen}
    assert set(back.workflows) == called
    for name in called:
        given, found = config["workflows"][name], back.workflows[name]
        assert pairs(found) == pairs(given)
        assert {(e["from"], e["to"]): e["payload_mb"] for e in found["edges"]} == pytest.approx(
            {(e["from"], e["to"]): e["payload_mb"] for e in given["edges"]}, abs=1e-6
        )
    assert len(back.requests) == len(requests)
    start = datetime.fromisoformat(back.requests[0]["timestamp"])
    for (name, at, request), found in zip(requests, back.requests, strict=True):
        assert found["request_id"] == request["request_id"]
        assert found["workflow_id"] == name
        passed = (datetime.fromisoformat(found["timestamp"]) - start).total_seconds()
        assert passed == pytest.approx(at, abs=2e-6)
        assert found["node_execution_times"] == pytest.approx(
            request["node_execution_times"], abs=1e-8
        )
    for name, model in back.models.items():
        times = [
            r["node_execution_times"][n["id"]]
            for w, _, r in requests
            for n in config["workflows"][w]["nodes"]
            if n["model"] == name
        ]
        assert model["inference_time_mean"] == pytest.approx(np.mean(times))
        assert model["inference_time_std"] == pytest.approx(np.std(times))
    assert list(back.notes) == [
        "no span tells how long its call waited in a queue: times have that in them"
    ]


def pairs(flow: dict[str, Any]) -> set[tuple[str, str]]:
    return {(n["id"], n["model"]) for n in flow["nodes"]}


steps = st.recursive(
    st.just("call"),
    lambda inner: st.tuples(
        st.sampled_from(["one by one", "at once"]), st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(0, 2**32 - 1))
def test_what_waits_for_what_is_read_off_spans_without_links(step: Any, seed: int) -> None:
    """Steps one by one and at once, inside each other: a call waits for all of the step before."""
    rng = np.random.default_rng(seed)
    numbers = count()
    spans: list[dict[str, Any]] = []
    order = nx.DiGraph()

    def lay(part: Any, start: int, parent: str) -> tuple[int, set[str]]:
        own = f"{next(numbers):04x}"
        if part == "call":
            end = start + int(rng.integers(1, 10**9))
            spans.append(call("t", own, f"call {own}", "m", start, end, parent=parent))
            order.add_node(f"call {own}")
            return end, {f"call {own}"}
        how, inner = part
        names: set[str] = set()
        end = start
        for each in inner:
            begin = end + int(rng.integers(0, 10**6)) if how == "one by one" else start
            done, found = lay(each, begin, own)
            if how == "one by one":
                order.add_edges_from((a, b) for a in names for b in found)
            names |= found
            end = max(end, done)
        spans.append(span("t", own, how, start, end, parent=parent))
        return end, names

    lay(step, START_NS, "")
    (flow,) = imported(*shuffled(spans, seed)).workflows.values()
    expected = nx.transitive_reduction(order)
    assert {n["id"] for n in flow["nodes"]} == set(expected.nodes)
    assert {(e["from"], e["to"]) for e in flow["edges"]} == set(expected.edges)


def agent(trace: str, turns: int, at: int = START_NS) -> list[dict[str, Any]]:
    """An agent that looks up and answers in turns."""
    root = f"{trace}-root"
    spans = [
        span(trace, root, "run", at, at + 10**10, gen_ai__operation__name="invoke_agent",
             gen_ai__agent__name="helper", gen_ai__conversation__id="c1"),
    ]  # fmt: skip
    for turn in range(turns):
        begin = at + turn * 10**9
        spans.append(
            call(trace, f"{trace}-{turn}", "chat m", "m", begin, begin + 5 * 10**8, parent=root,
                 gen_ai__usage__output_tokens=50)
        )  # fmt: skip
        spans.append(
            span(trace, f"{trace}-{turn}-tool", "execute_tool find", begin + 6 * 10**8,
                 begin + 9 * 10**8, parent=root, gen_ai__operation__name="execute_tool",
                 gen_ai__tool__name="find")
        )  # fmt: skip
    return spans


def test_repeated_calls_are_workflows_by_their_number() -> None:
    """The most frequent number has the name; what has no model is named, not dropped in silence."""
    turns = [2, 2, 1, 3, 2]
    spans = [s for i, n in enumerate(turns) for s in agent(f"{i}", n, START_NS + i * 10**11)]
    found = imported(*spans)
    assert {len(f["nodes"]) for f in found.workflows.values()} == {1, 2, 3}
    assert [r["workflow_id"] for r in found.requests] == [
        "helper", "helper", "helper 2", "helper 3", "helper",
    ]  # fmt: skip
    flow = found.workflows["helper"]
    assert [n["id"] for n in flow["nodes"]] == ["chat m", "chat m 2"]
    assert [(e["from"], e["to"]) for e in flow["edges"]] == [("chat m", "chat m 2")]
    assert flow["edges"][0]["payload_mb"] == pytest.approx(50 * 4 / 1e6)
    model = found.models["m"]
    assert model["token_mean"] / model["tokens_per_second"] == pytest.approx(0.5)
    assert found.requests[0]["metadata"] == {"session_id": "c1"}
    assert any("3 shapes" in note for note in found.notes)
    assert found.notes["execute_tool 'find': a step without a model, left out with its time"] == 10


def test_calls_that_were_seen_twice_failed_or_waited() -> None:
    """One call for a client's span around its proxy's; none for a failure; no time in a queue."""
    at = START_NS
    outer = call("t", "a", "chat", "m", at, at + 4 * 10**9)
    inner = call("t", "b", "proxy", "m", at + 10**8, at + 3 * 10**9, parent="a")
    failed = call("t", "c", "chat", "m", at + 5 * 10**9, at + 6 * 10**9)
    failed["status"] = {"code": 2}
    waited = call(
        "t", "d", "serve", "n", at + 7 * 10**9, at + 9 * 10**9,
        gen_ai__latency__time_in_queue=0.5, gen_ai__latency__time_in_model_prefill=0.25,
    )  # fmt: skip
    helped = call("t", "e", "judge", "o", at + 10 * 10**9, at + 14 * 10**9)
    within = call("t", "f", "check", "p", at + 11 * 10**9, at + 12 * 10**9, parent="e")
    open_ended = {**waited, "spanId": "g", "endTimeUnixNano": "0"}
    found = imported(outer, inner, failed, waited, helped, within, open_ended)
    (request,) = found.requests
    assert request["node_execution_times"] == pytest.approx(
        {"chat": 4.0, "serve": 1.5, "judge": 3.0, "check": 1.0}
    )
    assert request["node_prefill_times"] == pytest.approx({"serve": 0.25})
    (flow,) = found.workflows.values()
    edges = {(e["from"], e["to"]) for e in flow["edges"]}
    assert edges == {("chat", "serve"), ("serve", "check"), ("check", "judge")}
    assert {note.split(":")[0] for note in found.notes} >= {
        "calls inside a call of the same model are taken for one call, seen twice",
        "model 'm'",
        "spans without ids, a start or an end are left out",
    }


@pytest.mark.parametrize(("start", "end", "kept"), [(0, 9, 0), (1, 9, 1), (5, 5, 1), (6, 5, 0)])
def test_a_span_begins_at_some_time_and_ends_no_sooner(start: int, end: int, kept: int) -> None:
    """Nanosecond 0 is how the encoding writes that nobody knows."""
    after = call("t", "b", "b", "n", 10, 20)
    found = imported(call("t", "a", "a", "m", start, end), after)
    (flow,) = found.workflows.values()
    assert len(flow["nodes"]) == 1 + kept
    left = "spans without ids, a start or an end are left out"
    assert [note.split(":")[0] for note in found.notes].count(left) == 1 - kept


def test_links_in_a_circle_and_spans_inside_each_other_do_no_harm() -> None:
    a = call("t", "a", "a", "m", START_NS, START_NS + 10, links=("b",), parent="b")
    b = call("t", "b", "b", "m", START_NS + 20, START_NS + 30, links=("a",), parent="a")
    (flow,) = imported(a, b).workflows.values()
    assert {n["id"] for n in flow["nodes"]} == {"a", "b"}
    assert [(e["from"], e["to"]) for e in flow["edges"]] == [("a", "b")]
