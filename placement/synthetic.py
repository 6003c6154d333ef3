"""Seeded synthetic workloads and traces, for tests, benchmarks and first experiments."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import yaml

from placement.atomic import replacing
from placement.cluster import FloatArray, IntArray
from placement.reading.faults import input_error
from placement.workload import Model, Workload

Arrivals = Literal["poisson", "bursty", "file"]

START = datetime(2025, 1, 1, tzinfo=UTC)
SUFFIXES = (".yaml", ".yml", ".json", ".jsonl", ".csv", ".parquet")

# Sizes as they are served today: GPUs, GB of memory for the whole replica, seconds of one call.
_SIZES = ((1, 6, 0.2), (1, 18, 0.8), (1, 30, 2.0), (2, 80, 2.5), (4, 170, 4.0), (8, 420, 5.0))
_WEIGHTS = (0.25, 0.25, 0.2, 0.15, 0.1, 0.05)


def synthetic_config(
    models: int, workflows: int, *, seed: int = 0, largest_block: int = 8
) -> dict[str, Any]:
    """Draw a config: models of the usual sizes, workflows of two to six nodes.

    Parameters
    ----------
    models, workflows : int
        At least 1 each.
    seed : int
    largest_block : int
        Most GPUs that one model may need.

    Returns
    -------
    dict
        Ready to be written as JSON or YAML.
    """
    rng = np.random.default_rng(seed)
    allowed = [i for i, size in enumerate(_SIZES) if size[0] <= largest_block]
    weight = np.array([_WEIGHTS[i] for i in allowed])
    drawn = rng.choice(allowed, models, p=weight / weight.sum())
    catalogue: dict[str, Any] = {}
    for i, size in enumerate(drawn):
        gpus, memory, seconds = _SIZES[size]
        mean = round(float(seconds * rng.uniform(0.6, 1.6)), 3)
        catalogue[f"model-{i:03d}"] = {
            "name": f"Model {i}",
            "memory_gb": round(float(memory * rng.uniform(0.8, 1.2)), 1),
            "gpus_required": gpus,
            "load_time_seconds": round(memory / 4, 1),
            "inference_time_mean": mean,
            "inference_time_std": round(mean / 4, 3),
        }
    names = list(catalogue)
    # Some models are everybody's: a heavy tail, as in any catalogue.
    weight = 1.0 / (1.0 + rng.permutation(models)) ** 0.7
    popularity: FloatArray = weight / weight.sum()
    return {
        "models": catalogue,
        "workflows": {
            f"workflow-{w:03d}": _workflow(w, names, popularity, rng) for w in range(workflows)
        },
    }


def _workflow(
    w: int, names: list[str], popularity: FloatArray, rng: np.random.Generator
) -> dict[str, Any]:
    nodes = int(rng.integers(2, 7))
    chosen = rng.choice(len(names), nodes, p=popularity)
    edges = []
    for v in range(1, nodes):
        parents = rng.choice(v, min(v, int(rng.integers(1, 3))), replace=False)
        edges += [
            {
                "from": f"n{u}",
                "to": f"n{v}",
                "payload_mb": round(float(rng.lognormal(-1, 1.5)), 3),
            }
            for u in sorted(parents.tolist())
        ]
    return {
        "name": f"Workflow {w}",
        "nodes": [{"id": f"n{v}", "model": names[m]} for v, m in enumerate(chosen)],
        "edges": edges,
    }


def write_config(path: str | os.PathLike[str], config: dict[str, Any]) -> None:
    """Write a config as JSON or YAML, by the suffix of `path`."""
    with replacing(path) as temporary:
        if Path(path).suffix == ".json":
            temporary.write_text(json.dumps(config, indent=2) + "\n")
        else:
            temporary.write_text(yaml.safe_dump(config, sort_keys=False, width=100))


def arrival_times(
    kind: Arrivals,
    requests: int,
    rate: float,
    *,
    seed: int = 0,
    burstiness: float = 3.0,
) -> FloatArray:
    """Draw arrival times in seconds, the first at 0, shape (requests,).

    ``poisson`` has exponential gaps; ``bursty`` gamma gaps with coefficient of variation
    `burstiness` (1 is Poisson again). Both have `rate` requests per second on average.
    """
    rng = np.random.default_rng([seed, 1])
    if kind == "poisson":
        gaps = rng.exponential(1.0 / rate, requests)
    else:
        shape = 1.0 / burstiness**2
        gaps = rng.gamma(shape, 1.0 / (rate * shape), requests)
    gaps[0] = 0.0
    return np.cumsum(gaps)


def read_arrivals(
    path: str | os.PathLike[str], requests: int | None, *, rate: float | None = None
) -> FloatArray:
    """Take real arrival times from the first column of a CSV file that holds time stamps.

    Parameters
    ----------
    requests : int or None
        Take the first so many; None takes all.
    rate : float, optional
        Stretch or squeeze the gaps to so many requests per second; else they stay as they are.

    Raises
    ------
    InputError
        Where there is no such column, or too few rows.
    """
    try:
        table = pl.read_csv(Path(path), infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        text = str(error).splitlines()[0]
        raise input_error(path, "", f"cannot be read ({text})", "give a CSV file") from None
    for name in table.columns:
        stamps = table[name].str.to_datetime(strict=False, time_unit="us")
        if stamps.null_count() < len(stamps):
            break
    else:
        raise input_error(path, "", "has no column of time stamps", "give ISO 8601 times")
    if stamps.null_count():
        row = int(stamps.is_null().arg_max() or 0) + 2
        raise input_error(path, f"line {row}", f"no time in column {name}", "mend or remove it")
    seconds = np.sort(stamps.cast(pl.Int64).to_numpy()) / 1e6
    if requests is not None and len(seconds) < requests:
        raise input_error(
            path, "", f"holds {len(seconds)} arrivals, {requests} are asked for", "ask for fewer"
        )
    seconds = seconds[:requests] - seconds[0]
    if rate is not None and len(seconds) > 1 and seconds[-1] > 0:
        seconds = seconds * (len(seconds) / rate / seconds[-1])
    return np.asarray(seconds)


@dataclass(frozen=True)
class SyntheticTrace:
    """Requests as arrays; `service_s[w]` has shape (requests of w, nodes of w)."""

    workload: Workload
    arrival_s: FloatArray
    workflow: IntArray
    service_s: tuple[FloatArray, ...]


def synthetic_trace(
    workload: Workload, arrival_s: FloatArray, *, seed: int = 0, mix: FloatArray | None = None
) -> SyntheticTrace:
    """Give every arrival a workflow and service times by its models' distributions.

    Parameters
    ----------
    mix : float64, shape (W,), optional
        Share of each workflow; by default a seeded draw with some heavier than others.

    Returns
    -------
    SyntheticTrace
        Service times follow gamma distributions with the models' means and deviations.
    """
    rng = np.random.default_rng([seed, 2])
    n = len(workload.workflows)
    shares = rng.dirichlet(np.full(n, 3.0)) if mix is None else mix / mix.sum()
    workflow = rng.choice(n, len(arrival_s), p=shares)
    counts = np.bincount(workflow, minlength=n)
    service = tuple(
        np.stack([_service(workload.models[v.model], counts[w], rng) for v in flow.nodes], axis=1)
        for w, flow in enumerate(workload.workflows)
    )
    return SyntheticTrace(workload, arrival_s, workflow.astype(np.int64), service)


def _service(model: Model, count: int, rng: np.random.Generator) -> FloatArray:
    mean = model.service_time_s or 0.0
    if model.tokens_per_second is not None and model.token_mean is not None:
        std = (model.token_std or 0.0) / model.tokens_per_second
    else:
        std = model.inference_time_std_s or 0.0
    if mean <= 0 or std <= 0:
        return np.full(count, mean)
    shape = (mean / std) ** 2
    return rng.gamma(shape, mean / shape, count)


def write_requests(path: str | os.PathLike[str], trace: SyntheticTrace) -> None:
    """Write a trace in the format of the suffix: YAML, JSON, JSONL, CSV or Parquet.

    In CSV and Parquet the node execution times are one column of JSON text.

    Raises
    ------
    InputError
        Where the suffix is none of these.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise input_error(path, "", f"no trace format ends in {suffix!r}", f"use {SUFFIXES}")
    times = _times_text(trace)
    stamps = [
        (START + timedelta(microseconds=int(us))).isoformat(timespec="microseconds")
        for us in np.round(trace.arrival_s * 1e6)
    ]
    ids = [f"r{i}" for i in range(len(stamps))]
    names = [trace.workload.workflows[w].id for w in trace.workflow]
    with replacing(path) as temporary:
        if suffix in (".csv", ".parquet"):
            table = pl.DataFrame(
                {
                    "request_id": ids,
                    "timestamp": stamps,
                    "workflow_id": names,
                    "node_execution_times": times,
                }
            )
            if suffix == ".csv":
                table.write_csv(temporary)
            else:
                table.write_parquet(temporary)
            return
        head, tail, join = "", "", "\n"
        if suffix == ".json":
            head, tail, join = '{"requests": [\n', "\n]}", ",\n"
        elif suffix in (".yaml", ".yml"):
            # One request a line, in YAML's flow style.
            head, join = "requests:\n- ", "\n- "
        with temporary.open("w") as file:
            file.write(head)
            for i, row in enumerate(zip(ids, stamps, names, times, strict=True)):
                file.write(join if i else "")
                file.write(
                    f'{{"request_id": "{row[0]}", "timestamp": "{row[1]}", "workflow_id": '
                    f'{json.dumps(row[2])}, "node_execution_times": {row[3]}}}'
                )
            file.write(tail + "\n")


def _times_text(trace: SyntheticTrace) -> list[str]:
    text = [""] * len(trace.workflow)
    for w, flow in enumerate(trace.workload.workflows):
        names = [json.dumps(v.id) for v in flow.nodes]
        rows = np.flatnonzero(trace.workflow == w)
        for r, seconds in zip(rows.tolist(), trace.service_s[w].tolist(), strict=True):
            inner = ", ".join(f"{n}: {s:.4f}" for n, s in zip(names, seconds, strict=True))
            text[r] = "{" + inner + "}"
    return text


def rate_for_load(workload: Workload, load: float, gpus: int, mix: FloatArray) -> float:
    """Requests per second whose offered load is the fraction `load` of so many GPUs."""
    shares = mix / mix.sum()
    erlangs = 0.0
    for share, flow in zip(shares, workload.workflows, strict=True):
        for v in flow.nodes:
            model = workload.models[v.model]
            erlangs += share * (model.service_time_s or 0.0) * model.gpus_required
    return float(load * gpus / erlangs) if erlangs else 1.0
