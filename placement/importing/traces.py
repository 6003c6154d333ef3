"""OpenTelemetry traces as workflows, rates, service times and payloads."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from statistics import fmean, pstdev
from typing import Any

from placement.importing.imported import Imported
from placement.importing.otlp import Span, read_spans
from placement.importing.span_calls import BYTES_PER_TOKEN, Call
from placement.importing.trace_shapes import Shape, TraceRun, trace_run


def import_traces(files: Sequence[tuple[str | os.PathLike[str], list[Any]]]) -> Imported:
    """Take workflows and requests from spans.

    Parameters
    ----------
    files : sequence of (path, list)
        Traces in OTLP's JSON encoding; the spans of one trace may lie in several files.

    Returns
    -------
    Imported
        A trace is a request. Traces of one name whose calls wait for each other in the same way
        are one workflow; the most frequent has the name, the others a number behind it.

    Raises
    ------
    InputError
        Where a file holds no trace.
    """
    notes: Counter[str] = Counter()
    traces: dict[str, dict[str, Span]] = defaultdict(dict)
    for path, values in files:
        for span in read_spans(path, values, notes):
            traces[span.trace].setdefault(span.id, span)
    runs = []
    for spans in traces.values():
        run = trace_run(spans.values(), notes)
        if run is None:
            notes["traces without a call of a model are left out"] += 1
        else:
            runs.append(run)
    if runs and not any(call.waited_s for run in runs for call in run.calls):
        notes["no span tells how long its call waited in a queue: times have that in them"] += 1
    runs.sort(key=lambda run: (run.start_ns, run.trace))
    names = _names(runs, notes)
    groups: dict[Shape, list[TraceRun]] = defaultdict(list)
    for run in runs:
        groups[run.shape].append(run)
    return Imported(
        models=_models([call for run in runs for call in run.calls], _seconds(runs)),
        workflows={names[shape]: _workflow(shape, groups[shape], notes) for shape in names},
        requests=[_request(run, names[run.shape]) for run in runs],
        notes=notes,
    )


def _names(runs: Iterable[TraceRun], notes: Counter[str]) -> dict[Shape, str]:
    counts = Counter(run.shape for run in runs)
    of_name: dict[str, list[Shape]] = defaultdict(list)
    for shape in sorted(counts, key=lambda s: (s.name, -counts[s], s.nodes, s.edges)):
        of_name[shape.name].append(shape)
    found: dict[Shape, str] = {}
    for name, shapes in of_name.items():
        if len(shapes) > 1:
            notes[
                f"{name!r} runs in {len(shapes)} shapes (branches, repeated calls), each a "
                "workflow of its own"
            ] += 1
        for i, shape in enumerate(shapes, start=1):
            own = name if i == 1 else f"{name} {i}"
            while own in found.values():
                own = f"{own}'"
            found[shape] = own
    return found


def _workflow(shape: Shape, runs: list[TraceRun], notes: Counter[str]) -> dict[str, Any]:
    edges = []
    for a, b in shape.edges:
        sizes = [size for run in runs if (size := run.calls[a].output_bytes) is not None]
        if not sizes:
            notes["edges whose payload no span tells have none"] += 1
        elif all(_counted(run.calls[a]) for run in runs):
            notes[f"payloads known by tokens alone are taken at {BYTES_PER_TOKEN} bytes each"] += 1
        payload = {"payload_mb": fmean(sizes) / 1e6} if sizes else {}
        edges.append({"from": shape.nodes[a][0], "to": shape.nodes[b][0], **payload})
    nodes = [{"id": own, "model": model} for own, model in shape.nodes]
    return {"name": shape.name, "nodes": nodes, "edges": edges}


def _counted(call: Call) -> bool:
    """Whether the size of its output is but its number of tokens."""
    tokens = call.output_tokens
    return tokens is not None and call.output_bytes == BYTES_PER_TOKEN * tokens


def _seconds(runs: Iterable[TraceRun]) -> list[float]:
    return [s for run in runs for s in run.service_s]


def _models(calls: Sequence[Call], seconds: Sequence[float]) -> dict[str, dict[str, Any]]:
    """Entries of the models, with the mean and spread of their times and tokens."""
    of_model: dict[str, list[tuple[Call, float]]] = defaultdict(list)
    for call, s in zip(calls, seconds, strict=True):
        of_model[call.model].append((call, s))
    found = {}
    for name in sorted(of_model):
        pairs = of_model[name]
        times = [s for _, s in pairs]
        tokens = [c.output_tokens for c, _ in pairs if c.output_tokens is not None]
        entry: dict[str, Any] = {"name": name}
        kinds = Counter(c.type for c, _ in pairs if c.type)
        if kinds:
            entry["type"] = kinds.most_common(1)[0][0]
        mean_s, mean_tokens = fmean(times), fmean(tokens) if tokens else 0.0
        if len(tokens) == len(pairs) and mean_s > 0 and mean_tokens > 0:
            entry["tokens_per_second"] = mean_tokens / mean_s
            entry["token_mean"] = mean_tokens
            entry["token_std"] = pstdev(tokens)
        else:
            entry["inference_time_mean"] = mean_s
            entry["inference_time_std"] = pstdev(times)
        prefills = [c.prefill_s for c, _ in pairs if c.prefill_s is not None]
        if prefills:
            entry["prefill_time_seconds"] = min(fmean(prefills), mean_s)
        found[name] = entry
    return found


def _request(run: TraceRun, workflow: str) -> dict[str, Any]:
    ids = [own for own, _ in run.shape.nodes]
    seconds, nanos = divmod(run.start_ns, 10**9)
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanos // 1000)
    request: dict[str, Any] = {
        "request_id": run.trace,
        "timestamp": at.isoformat(timespec="microseconds"),
        "workflow_id": workflow,
        "node_execution_times": dict(zip(ids, run.service_s, strict=True)),
    }
    prefill = {
        own: min(call.prefill_s, s)
        for own, call, s in zip(ids, run.calls, run.service_s, strict=True)
        if call.prefill_s is not None
    }
    if prefill:
        request["node_prefill_times"] = prefill
    if run.session is not None:
        request["metadata"] = {"session_id": run.session}
    return request
