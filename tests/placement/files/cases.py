"""A small valid config and trace as plain data, written in every format."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from placement.files.config_file import read_config
from placement.problem.workload import Workload
from placement.support.faults import InputError

CONFIG: dict[str, Any] = {
    "models": {
        "writer": {
            "name": "Writer",
            "memory_gb": 60,
            "gpus_required": 2,
            "load_time_seconds": 8.5,
            "tokens_per_second": 50,
            "token_mean": 100,
        },
        "painter": {
            "name": "Painter",
            "memory_gb": 20.5,
            "gpus_required": 1,
            "load_time_seconds": 4,
            "inference_time_mean": 2.5,
        },
        "silent": {"name": "Silent", "memory_gb": 1, "gpus_required": 1, "load_time_seconds": 1},
    },
    "workflows": {
        "story": {
            "name": "Story",
            "nodes": [
                {"id": "plan", "model": "writer"},
                {"id": "draw", "model": "painter"},
                {"id": "performance_analysis", "model": "writer"},
            ],
            "edges": [
                {"from": "plan", "to": "draw", "payload_mb": 1.5},
                {"from": "draw", "to": "performance_analysis"},
            ],
        },
        "sketch": {"nodes": [{"id": "draw", "model": "painter"}]},
        "quiet": {"nodes": [{"id": "hush", "model": "silent"}]},
    },
}

REQUESTS: list[dict[str, Any]] = [
    {
        "request_id": f"r{i}",
        "timestamp": f"2026-01-01T00:00:{i:02d}.25",
        "workflow_id": "story" if i % 2 == 0 else "sketch",
        "node_execution_times": (
            {"plan": 1.5, "draw": 2.0, "performance_analysis": 0.5} if i % 2 == 0 else {"draw": 3.0}
        ),
    }
    for i in range(6)
]

FORMATS = ("json", "yaml", "jsonl", "csv", "parquet")

Change = Callable[[Any], object]


def changed(data: Any, change: Change) -> Any:
    """A deep copy of the data after a change in place."""
    data = copy.deepcopy(data)
    change(data)
    return data


def write_document(path: Path, data: Any) -> Path:
    """Write data as JSON (indented, so that lines differ) or YAML, by the suffix."""
    if path.suffix == ".json":
        path.write_text(json.dumps(data, indent=1))
    else:
        path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def write_requests(folder: Path, form: str, requests: list[dict[str, Any]]) -> Path:
    """Write requests in one of `FORMATS`; tables hold the node times as JSON text."""
    path = folder / f"requests.{form}"
    if form in ("json", "yaml"):
        return write_document(path, {"requests": requests})
    if form == "jsonl":
        path.write_text("".join(json.dumps(r) + "\n" for r in requests))
        return path
    names = list(dict.fromkeys(name for r in requests for name in r))
    rows = [
        [json.dumps(v) if isinstance(v := r.get(n), dict) else v for n in names] for r in requests
    ]
    if form == "csv":
        text = io.StringIO()
        csv.writer(text).writerows([names, *rows])
        path.write_text(text.getvalue())
    else:
        columns = {n: pl.Series([r[i] for r in rows], dtype=pl.String) for i, n in enumerate(names)}
        pl.DataFrame(columns).write_parquet(path)
    return path


def workload(folder: Path) -> Workload:
    """The valid config as it is read."""
    return read_config(write_document(folder / "config.json", CONFIG))


def line_of(path: Path, key: str) -> int:
    """Line of a dotted key such as ``a.b[2].c`` by PyYAML's own composer: JSON is YAML too."""
    node = yaml.compose(path.read_text())
    line = node.start_mark.line
    for part in re.findall(r"[^.\[\]]+", key):
        if isinstance(node, yaml.SequenceNode):
            node = node.value[int(part)]
            line = node.start_mark.line
        else:
            name, node = next(pair for pair in node.value if pair[0].value == part)
            line = name.start_mark.line
    return line + 1


def fault_of_config(path: Path, key: str) -> str:
    """The one fault of a config: it names file, dotted key and line, and says what to do."""
    with pytest.raises(InputError) as caught:
        read_config(path)
    assert len(caught.value.faults) == 1
    text = str(caught.value)
    assert text.startswith(f"{path}: {key} (line {line_of(path, key)}): "), text
    assert "; " in text
    return text


CLUSTER: dict[str, Any] = {
    "server_types": {
        "new": {"count": 2, "gpus": 8, "gpu_memory_gb": 80, "speed": 1.5},
        "old": {"count": 3, "gpus": 4, "gpu_memory_gb": 40.0},
    },
    "network": {
        "intra_server": {"bandwidth_gb_per_s": 300},
        "inter_server": {"latency_s": 0.0001, "bandwidth_gb_per_s": 25},
    },
}
