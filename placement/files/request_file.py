"""The request trace in YAML, JSON, JSONL, CSV or Parquet: the front door."""

from __future__ import annotations

import os

from placement.files.requests.assembly import TraceBuilder
from placement.files.requests.records import read_document_batch, read_jsonl_batches
from placement.files.syntax.document import DOCUMENT_FORMATS, load_document
from placement.files.syntax.source import TRACE_LIMIT_BYTES, find_format
from placement.problem.trace import Trace
from placement.problem.workload import Workload
from placement.support.garbage import uncollected

TRACE_FORMATS = {
    **DOCUMENT_FORMATS,
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}


def read_requests(path: str | os.PathLike[str], workload: Workload) -> Trace:
    """Read a trace of requests to the workflows of `workload`, or draw one from rates.

    The service time of a node is the trace's; else token_mean / tokens_per_second of its model;
    else its inference_time_mean (docs/configuration.md, "Requests").

    Raises
    ------
    InputError
        With the faults of the file: unknown workflows and nodes, repeated ids, bad numbers, time
        stamps out of order or of several zones, service times that nobody states.
    """
    form = find_format(path, TRACE_FORMATS)
    builder = TraceBuilder(path, workload)
    nodes = list(dict.fromkeys(n.id for w in workload.workflows for n in w.nodes))
    if form == "jsonl":
        batches = read_jsonl_batches(path, nodes)
    elif form in ("csv", "parquet"):
        # With them polars, a fifth of a second that only tables need.
        from placement.files.requests.tables import read_csv_batches, read_parquet_batches

        batches = (
            read_csv_batches(path, nodes) if form == "csv" else read_parquet_batches(path, nodes)
        )
    else:
        document = load_document(path, TRACE_LIMIT_BYTES)
        if isinstance(document.data, dict) and {"rates"} <= document.data.keys() - {"requests"}:
            from placement.files.requests.rates import read_rates  # as few files have them

            return read_rates(document, workload)
        batches = iter([read_document_batch(path, document)])
    with uncollected():
        for batch in batches:
            builder.add(batch)
            if builder.faults.full:
                break
        return builder.build()
