"""Large traces and logs: time, memory and size of every format, on the same rows.

    python -m benchmarks.traces [--out FOLDER] [--requests N]

Prints Markdown; ``--out`` also writes traces.md there. Every measurement is a
process of its own, and so is the making of the files: a process starts with its parent's peak.
Seconds are those of the processor; memory is the peak beyond what the process held before.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from benchmarks.engine_cases import make_case
from benchmarks.kept import keep
from placement.files.config_file import read_config
from placement.files.request_file import TRACE_FORMATS, read_requests
from placement.files.requests.batch import TIMES
from placement.generate.arrivals import arrival_times
from placement.generate.synthetic import (
    rate_for_load,
    synthetic_config,
    synthetic_trace,
    write_config,
)
from placement.generate.trace_writer import write_requests
from placement.problem.workload import Workload
from runtime.log import write_log
from runtime.metrics import measure
from runtime.simulate import simulate_placement

Row = dict[str, Any]

TRACES = ("yaml", "json", "jsonl", "csv", "columns.csv", "text.parquet", "parquet")
"""Names of the files: node times are JSON text, or a column each in columns.csv and parquet."""
LOGS = ("json", "parquet")
GPUS = 32


def write_inputs(folder: Path, requests: int) -> None:
    """Write a config and one trace in all formats."""
    write_config(folder / "config.yaml", synthetic_config(16, 8, largest_block=4))
    workload = read_config(folder / "config.yaml")
    shares = pl.Series([1.0] * len(workload.workflows)).to_numpy()
    rate = rate_for_load(workload, 0.6, GPUS, shares)
    trace = synthetic_trace(workload, arrival_times("poisson", requests, rate), mix=shares)
    for name in TRACES:
        if name in TRACE_FORMATS.values():
            write_requests(folder / f"trace.{name}", trace)
    text = pl.read_csv(folder / "trace.csv", infer_schema=False)
    text.write_parquet(folder / "trace.text.parquet")
    pl.read_parquet(folder / "trace.parquet").write_csv(folder / "trace.columns.csv")


def trace_row(folder: Path, name: str) -> Row:
    """Read one trace."""
    workload = read_config(folder / "config.yaml")
    path = folder / f"trace.{name}"
    before, begin = _peak_mb(), time.process_time()
    trace = read_requests(path, workload)
    seconds, peak_mb = time.process_time() - begin, _peak_mb() - before
    return {
        "format": name,
        "seconds": seconds,
        "library_s": library_seconds(path, workload),
        "peak_mb": peak_mb,
        "file_mb": path.stat().st_size / 1e6,
        "requests": trace.n_requests,
        "nodes": trace.n_executions,
    }


def library_seconds(path: Path, workload: Workload) -> float | None:
    """Processor seconds in which polars alone reads the same values, unchecked; None if it cannot.

    Node times that stand in a cell as JSON text are decoded too, and time stamps in a text: there
    they are no values yet.
    """
    begin = time.process_time()
    match path.suffix:
        case ".jsonl":
            table = pl.read_ndjson(path)
        case ".csv":
            table = pl.read_csv(path)
        case ".parquet":
            table = pl.read_parquet(path)
        case _:
            return None
    if path.suffix != ".jsonl" and TIMES in table.columns and table[TIMES].dtype == pl.String:
        nodes = {n.id: pl.Float64() for w in workload.workflows for n in w.nodes}
        table[TIMES].str.json_decode(pl.Struct(nodes))
    if table["timestamp"].dtype == pl.String:
        table["timestamp"].str.to_datetime()
    return time.process_time() - begin


def log_row(folder: Path, name: str, requests: int) -> Row:
    """Write the log of one run."""
    case = make_case(GPUS, 8, requests, models=8)
    run = simulate_placement(
        case.workload, case.trace, case.cluster, case.placement, engine="compiled"
    )
    metrics = measure(run)
    path = folder / f"log.{name}"
    before, begin = _peak_mb(), time.process_time()
    write_log(path, run, metrics)
    return {
        "format": name,
        "seconds": time.process_time() - begin,
        "peak_mb": _peak_mb() - before,
        "file_mb": path.stat().st_size / 1e6,
        "nodes": case.trace.n_executions,
    }


def command_row(folder: Path) -> Row:
    """Run `gswarm-place simulate` as a whole on the Parquet trace."""
    inputs = ["--config", "config.yaml", "--requests", "trace.parquet"]
    place = [*inputs, "--gpus", str(GPUS), "--gpus-per-server", "8", "--method", "greedy"]
    _command(folder, "solve", *place, "-o", "plan.yaml", "--quiet")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _command(folder, "simulate", "--plan", "plan.yaml", *inputs, "--json")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"seconds": after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime}


def _command(folder: Path, *arguments: str) -> None:
    whole = [sys.executable, "-m", "cli", *arguments]
    subprocess.run(whole, check=True, cwd=folder, stdout=subprocess.DEVNULL)


def _peak_mb() -> float:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def markdown(traces: list[Row], logs: list[Row], command: Row) -> str:
    """Lay the measurements out as tables."""
    yaml = traces[0]
    lines = [
        "# Large traces and logs",
        "",
        f"Reading {yaml['requests']:,} requests of {yaml['nodes']:,} node executions; in brackets",
        "how many times faster than YAML. Beside them, how many times longer that is than polars",
        "alone takes for the same values, unchecked: cells of JSON and time stamps decoded.",
        "",
        "| trace | seconds | microseconds a request | times polars | peak MB | file MB |",
        "|---|---|---|---|---|---|",
    ]
    for r in traces:
        seconds = f"{r['seconds']:.1f} ({yaml['seconds'] / r['seconds']:.0f}x)"
        each = 1e6 * r["seconds"] / r["requests"]
        library = f"{r['seconds'] / r['library_s']:.1f}" if r["library_s"] else ""
        lines.append(
            f"| {r['format']} | {seconds} | {each:.1f} | {library} | {r['peak_mb']:.0f} "
            f"| {r['file_mb']:.0f} |"
        )
    lines += [
        "",
        f"`gswarm-place simulate` on `parquet`, from start to end: {command['seconds']:.1f} s.",
        "",
        f"Writing the log of {logs[0]['nodes']:,} node executions:",
        "",
        "| log | seconds | microseconds a row | peak MB beyond the run | file MB |",
        "|---|---|---|---|---|",
    ]
    for r in logs:
        each = 1e6 * r["seconds"] / r["nodes"]
        lines.append(
            f"| {r['format']} | {r['seconds']:.1f} | {each:.2f} | {r['peak_mb']:.0f} "
            f"| {r['file_mb']:.0f} |"
        )
    return "\n".join([*lines, ""])


def _in_child(folder: Path, *arguments: str) -> Row:
    whole = [sys.executable, "-m", "benchmarks.traces", "--folder", str(folder), *arguments]
    row: Row = json.loads(subprocess.run(whole, check=True, stdout=subprocess.PIPE).stdout or "{}")
    return row


def main() -> None:
    """Print tables, and write them with ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for traces.md")
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true", help=argparse.SUPPRESS)
    for hidden in ("--folder", "--trace", "--log"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        write_inputs(Path(given.folder), given.requests)
        return
    if given.trace is not None:
        print(json.dumps(trace_row(Path(given.folder), given.trace)))
        return
    if given.log is not None:
        print(json.dumps(log_row(Path(given.folder), given.log, given.requests)))
        return
    with TemporaryDirectory() as name:
        folder = Path(name)
        size = ("--requests", str(given.requests))
        _in_child(folder, "--write", *size)
        traces = [_in_child(folder, "--trace", form) for form in TRACES]
        logs = [_in_child(folder, "--log", form, *size) for form in LOGS]
        command = command_row(folder)
    text = markdown(traces, logs, command)
    print(text)
    if given.out:
        keep(given.out, "traces", text)


if __name__ == "__main__":
    main()
