"""The simulator against one real GPU that four models shared: error of every run and figure.

    python -m benchmarks.hardware [--out FOLDER]

The sharing efficiency is fitted on the run `load40 free` alone; how decoding slows down with the
batch, and the prefill, were measured on the idle GPU (`calibration` in `benchmarks/data`). Every
other run is simulated without any of what it showed itself. The second part does the same with
what this project's own servers did on a GPU (`benchmarks.gpu_run`). Writes hardware.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.gpu_run import DATA as OWN_DATA
from benchmarks.kept import keep
from placement.files.config_file import build_workload
from placement.files.input_schema import ConfigFile
from placement.problem.cluster import Cluster, GpuSharing, ServerType
from placement.problem.names import Mode, SharingMode
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from runtime.calibration.errors import Comparison, compare
from runtime.calibration.fit import Calibration, calibrate, calibrated
from runtime.calibration.observed import Observed, observe
from runtime.result import RunResult
from runtime.simulate import Dispatch, simulate_placement

DATA = Path(__file__).parent / "data" / "one_gpu.json"
BATCH = 16
"""Most sequences in a batch of `chat`, in the runs that batch."""

START = datetime(2026, 1, 1, tzinfo=UTC)
FITTED = ("load40", "free")
OWN_FITTED = "load40"
TABLE = (
    "| run | variant | requests | error a request | (serial) | error a call | mean | P99 "
    "| makespan |",
    "|---|---|---|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Measured:
    """One run of the file: what to simulate, and what was seen."""

    label: str
    variant: str
    workload: Workload
    trace: Trace
    cluster: Cluster
    placement: Placement
    observed: Observed

    @property
    def mode(self) -> Mode:
        """How the requests came."""
        return "offline" if self.label == "offline" else "online"

    def simulate(self) -> RunResult:
        """The run as the simulator has it."""
        return simulate_placement(
            self.workload,
            self.trace,
            self.cluster,
            self.placement,
            dispatch=Dispatch(mode=self.mode),
        )


def read(path: Path = DATA) -> list[Measured]:
    """Read every run of the file, with the laws measured on the idle GPU."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return [_measured(data, run) for run in data["runs"]]


def _measured(data: dict[str, Any], run: dict[str, Any]) -> Measured:
    workload = _workload(data, batches=run["variant"] == "batch")
    index = {w.id: i for i, w in enumerate(workload.workflows)}
    rows = sorted(run["rows"], key=lambda r: r["arrival"])
    begin = rows[0]["arrival"]
    sizes = [len(workload.workflows[index[r["workflow_id"]]].nodes) for r in rows]
    nodes = [(r, n) for r in rows for n in workload.workflows[index[r["workflow_id"]]].nodes]
    alone = np.array([r["alone"][n.id] for r, n in nodes])
    trace = Trace(
        request_ids=[r["request_id"] for r in rows],
        arrival_s=np.array([r["arrival"] - begin for r in rows]),
        workflow=np.array([index[r["workflow_id"]] for r in rows], dtype=np.int64),
        service_s=alone,
        offset=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        start=START,
    )
    models = np.array([n.model for _, n in nodes], dtype=np.int64)
    prefill = np.array([m.prefill_time_s for m in workload.models])
    zero = np.zeros(len(workload.models), dtype=np.int64)
    mode: SharingMode = "serial" if run["variant"] == "fifo" else "time-sliced"
    return Measured(
        label=run["label"],
        variant=run["variant"],
        workload=workload,
        trace=trace,
        cluster=Cluster((ServerType("h100", 1, 1, 80.0),), sharing=GpuSharing(mode)),
        placement=Placement(np.arange(len(workload.models)), zero, zero),
        observed=Observed(
            execution=np.arange(len(nodes)),
            replica=models,
            start_s=np.array([r["real"][n.id][0] - begin for r, n in nodes]),
            end_s=np.array([r["real"][n.id][1] - begin for r, n in nodes]),
            alone_s=alone,
            prefill_s=prefill[models],
            prefill_part=np.ones(len(nodes)),
            model=np.arange(len(workload.models)),
            first_gpu=zero,
            gpus=zero + 1,
        ),
    )


def _workload(data: dict[str, Any], *, batches: bool) -> Workload:
    names = list(data["calibration"])
    chat = data["calibration"]["chat"]
    sizes = sorted(int(k[4:]) for k in chat if k.startswith("step"))
    factors = [chat[f"step{n}"] / chat["step1"] for n in sizes]
    slowdown = np.maximum.accumulate(np.interp(np.arange(1, BATCH + 1), sizes, factors))
    models = [Model(name, name, 20.0, 1, 0.0) for name in names]
    if batches:
        i = names.index("chat")
        models[i] = replace(
            models[i],
            max_concurrency=BATCH,
            slowdown=tuple(slowdown.tolist()),
            prefill_time_s=chat["prefill"],
        )
    workflows = []
    for id_, nodes in data["workflows"].items():
        at = {n: i for i, n in enumerate(nodes)}
        workflows.append(
            Workflow(
                id_,
                id_,
                tuple(Node(n, names.index(model)) for n, (model, _) in nodes.items()),
                tuple(Edge(at[p], at[n]) for n, (_, parents) in nodes.items() for p in parents),
            )
        )
    return Workload(tuple(models), tuple(workflows))


def read_own(path: Path = OWN_DATA) -> tuple[str, list[Measured]]:
    """Read the runs of this project's own servers: name of the GPU, and the runs under load."""
    data = json.loads(path.read_text(encoding="utf-8"))
    workload = build_workload(ConfigFile.model_validate(data["config"]))
    runs = [_own(workload, run) for run in data["runs"] if run["label"] != "alone"]
    return data["gpu"], runs


def _own(workload: Workload, run: dict[str, Any]) -> Measured:
    index = {w.id: i for i, w in enumerate(workload.workflows)}
    rows = run["requests"]
    moments = [datetime.fromisoformat(r["timestamp"]) for r in rows]
    flows = [workload.workflows[index[r["workflow_id"]]] for r in rows]
    alone = [workload.models[n.model].service_time_s for flow in flows for n in flow.nodes]
    sizes = [len(flow.nodes) for flow in flows]
    trace = Trace(
        request_ids=[r["request_id"] for r in rows],
        arrival_s=np.array([(at - moments[0]).total_seconds() for at in moments]),
        workflow=np.array([index[r["workflow_id"]] for r in rows], dtype=np.int64),
        service_s=np.array(alone, dtype=float),
        offset=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        start=moments[0],
    )
    cluster = Cluster((ServerType("gpu", 1, 1, 80.0),))
    zero = np.zeros(len(workload.models), dtype=np.int64)
    return Measured(
        label=run["label"],
        variant="own servers",
        workload=workload,
        trace=trace,
        cluster=cluster,
        placement=Placement(np.arange(len(workload.models)), zero, zero),
        observed=observe(pl.DataFrame(run["executions"]), workload, trace, cluster),
    )


def fitted_own(runs: Sequence[Measured]) -> Calibration:
    """What the own servers' run of the least load shows."""
    run = next(r for r in runs if r.label == OWN_FITTED)
    return calibrate(run.observed, run.workload, run.cluster)


def with_all(run: Measured, found: Calibration) -> Measured:
    """A run under all that was found: sharing efficiency, and how long calls take."""
    workload, cluster = calibrated(run.workload, run.cluster, found)
    factor = np.array(
        [
            after.service_time_s / before.service_time_s  # type: ignore[operator]
            for before, after in zip(run.workload.models, workload.models, strict=True)
        ]
    )
    model = [n.model for w in run.trace.workflow for n in workload.workflows[w].nodes]
    trace = replace(run.trace, service_s=run.trace.service_s * factor[model])
    return replace(run, workload=workload, cluster=cluster, trace=trace)


def fitted(runs: Sequence[Measured]) -> Calibration:
    """The laws that the one run for it shows."""
    run = next(r for r in runs if (r.label, r.variant) == FITTED)
    return calibrate(run.observed, run.workload, run.cluster)


def with_laws(run: Measured, found: Calibration) -> Measured:
    """A run under the sharing efficiency found."""
    sharing = replace(run.cluster.sharing, efficiency=found.laws.efficiency)
    return replace(run, cluster=replace(run.cluster, sharing=sharing))


def as_before(run: Measured) -> Measured:
    """A run by the rules that knew one execution on a GPU at a time."""
    return replace(run, cluster=replace(run.cluster, sharing=GpuSharing("serial")))


def judge(run: Measured) -> Comparison:
    """Simulate a run and hold it against what was seen."""
    return compare(run.observed, run.trace, run.simulate())


def page(runs: Sequence[Measured], found: Calibration) -> str:
    """Lay out the errors."""
    eta = next(e for e in found.estimates if e.name == "sharing_efficiency")
    lines = [
        "# The simulator against one GPU",
        "",
        "Four models on one NVIDIA H100, `benchmarks/data/one_gpu.json`; written by `python -m "
        f"benchmarks.hardware`. On the run `{' '.join(FITTED)}` alone the sharing efficiency was "
        f"fitted: {eta.after[0]:.3f} ± {eta.error[0]:.3f} ({eta.calls} calls that shared; the "
        f"default is {eta.before[0]:g}). The slowdown of a batch and the prefill were measured on "
        "the idle GPU. No other run showed the simulator anything before it was judged on it.",
        "",
        "Error a request: mean over requests of |simulated / real latency − 1|. In brackets the "
        "same where the simulator serves one execution on a GPU at a time (`--gpu-sharing "
        "serial`), which is how `fifo` was run.",
        "",
        *TABLE,
    ]
    lines += [
        _line(run, with_laws(run, found), fitted=(run.label, run.variant) == FITTED) for run in runs
    ]
    return "\n".join(lines) + "\n"


def _line(run: Measured, with_found: Measured, *, fitted: bool) -> str:
    """The errors of a run, as a row of the table."""
    seen, before = judge(with_found), judge(as_before(run))
    by_name = {m.name: m.error for m in seen.metrics}
    mark = " (fitted on)" if fitted else ""
    return (
        f"| {run.label}{mark} | {run.variant} | {run.trace.n_requests} "
        f"| {seen.per_request:.1%} | ({before.per_request:.1%}) | {seen.per_call:.1%} "
        f"| {by_name['mean latency']:+.1%} | {by_name['P99 latency']:+.1%} "
        f"| {by_name['makespan']:+.1%} |"
    )


def own_page(gpu: str, runs: Sequence[Measured], found: Calibration) -> str:
    """Lay out the errors against this project's own servers.

    Parameters
    ----------
    gpu : str
        Its name.
    runs : sequence of Measured
        Under load.
    found : Calibration
        What one of them shows.
    """
    eta = next(e for e in found.estimates if e.name == "sharing_efficiency")
    scale = ", ".join(
        f"{e.model} {e.after[0]:.3f}" for e in found.estimates if e.name == "service_time"
    )
    lines = [
        "",
        f"## The whole chain on one {gpu}",
        "",
        "`solve`, `serve-local --real gpu` (a process a replica, transformers with random weights, "
        "decoding in CUDA graphs), `execute --log` over HTTP, `calibrate`: `python -m "
        "benchmarks.gpu_run` on a machine with a GPU wrote `benchmarks/data/gpu_run.json`. How "
        "long a call takes alone is the median of a run of its own, one call after the other. On "
        f"`{OWN_FITTED}` alone were fitted the sharing efficiency, {eta.after[0]:.3f} ± "
        f"{eta.error[0]:.3f} (above 1: a process that waits for its own Python leaves the GPU to "
        f"the others), and the factors of times alone: {scale}.",
        "",
        *TABLE,
    ]
    lines += [_line(run, with_all(run, found), fitted=run.label == OWN_FITTED) for run in runs]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Fit on one run, judge on all, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for hardware.md")
    arguments = parser.parse_args()
    runs = read()
    gpu, own = read_own()
    text = page(runs, fitted(runs)) + own_page(gpu, own, fitted_own(own))
    print(text, end="")
    if arguments.out:
        keep(arguments.out, "hardware", text)


if __name__ == "__main__":
    main()
