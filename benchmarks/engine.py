"""The compiled engine beside the plain one: speed, cost and memory of a node, start-up.

    python -m benchmarks.engine [--out FOLDER] [--quick]

Prints Markdown; ``--out`` also writes engine.md there. Both engines run in one
process, one after the other, so that their ratio holds on any machine; sizes are measured in a
process each, so that the peak of memory is that of one run. Seconds are those of the processor.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.engine_cases import Features, make_case
from benchmarks.kept import keep
from runtime.engines.compiled import run_compiled
from runtime.engines.reference import run_reference
from runtime.metrics import measure
from runtime.policies import BUILT_IN
from runtime.simulate import Dispatch, simulate_placement

Row = dict[str, Any]

CLUSTERS = ((32, 8, 8), (256, 8, 16), (256, 64, 16), (1024, 8, 16), (1024, 256, 16))
"""GPUs, GPUs per server, models."""
FEATURES = (
    Features(),
    Features(network=True),
    Features(shared=2),
    Features(shared=5),
    Features(concurrency=8),
    Features(shared=5, concurrency=8),
)
REQUESTS, REFERENCE_REQUESTS = 200_000, 4_000
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
REPEATS = 3
IMPORTS = """
import runtime.engines.compiled
from runtime.simulate import simulate_placement
from benchmarks.engine_cases import make_case
from numba.core.registry import cpu_target
cpu_target.target_context.refresh()
case = make_case(32, 8, 100)
"""
"""A process that has loaded all that numba loads before its first call, and has a case."""
FIRST_RUN = """
simulate_placement(
    case.workload, case.trace, case.cluster, case.placement, engine="compiled"
)
"""


def speed_rows(*, quick: bool) -> list[Row]:
    """Node executions per second of both engines: every cluster, feature and policy."""
    rows = []
    for gpus, per_server, models in CLUSTERS[::3] if quick else CLUSTERS:
        for features in FEATURES:
            small = make_case(gpus, per_server, REFERENCE_REQUESTS, features, models=models)
            large = make_case(gpus, per_server, REQUESTS, features, models=models)
            for policy in BUILT_IN:
                problems = [
                    simulate_placement(
                        c.workload,
                        c.trace,
                        c.cluster,
                        c.placement,
                        dispatch=Dispatch(policy=policy),
                        engine="compiled",
                    ).problem
                    for c in (small, large)
                ]
                begin = time.process_time()
                run_reference(problems[0], BUILT_IN[policy])
                plain = small.trace.n_executions / (time.process_time() - begin)
                seconds = []
                for _ in range(REPEATS):
                    begin = time.process_time()
                    run_compiled(problems[1], policy)
                    seconds.append(time.process_time() - begin)
                fast = large.trace.n_executions / min(seconds)
                rows.append(
                    {
                        "case": large.name,
                        "gpus": gpus,
                        "replicas_per_model": len(large.placement.model)
                        / len(large.workload.models),
                        "policy": policy,
                        "compiled_per_s": fast,
                        "reference_per_s": plain,
                        "ratio": fast / plain,
                    }
                )
    return rows


def size_row(requests: int) -> Row:
    """Time and memory of one run of the whole of `simulate` and `measure`."""
    warm = make_case(32, 8, 100)
    run = simulate_placement(
        warm.workload, warm.trace, warm.cluster, warm.placement, engine="compiled"
    )
    measure(run)
    before = _peak_bytes()
    case = make_case(32, 8, requests, models=8)
    inputs = _peak_bytes()
    begin = time.process_time()
    run = simulate_placement(
        case.workload, case.trace, case.cluster, case.placement, engine="compiled"
    )
    simulated = time.process_time()
    measure(run)
    measured = time.process_time()
    # Before the loop alone is run again: two results at once are not what a run needs.
    peak = _peak_bytes() - before
    begin_loop = time.process_time()
    run_compiled(run.problem, run.routing)
    loop_s = time.process_time() - begin_loop
    nodes = case.trace.n_executions
    return {
        "requests": requests,
        "nodes": nodes,
        "simulate_s": simulated - begin,
        "measure_s": measured - simulated,
        "loop_s": loop_s,
        "loop_ns_per_node": 1e9 * loop_s / nodes,
        "inputs_bytes_per_node": (inputs - before) / nodes,
        "bytes_per_node": peak / nodes,
    }


def _peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def start_up_row() -> Row:
    """Seconds that a second process needs for its first run, beyond loading numba."""
    seconds: dict[str, list[float]] = {"imports": [], "first run": []}
    for _ in range(5):
        for name, script in (("imports", IMPORTS), ("first run", IMPORTS + FIRST_RUN)):
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-c", script], check=True)
            seconds[name].append(time.perf_counter() - begin)
    imports, whole = (min(seconds[name]) for name in ("imports", "first run"))
    return {"imports_s": imports, "with_first_run_s": whole, "first_run_s": whole - imports}


def markdown(speed: list[Row], sizes: list[Row], start: Row) -> str:
    """Lay the measurements out as tables."""
    lines = [
        "# The compiled engine beside the plain one",
        "",
        "Million node executions per second; ratio to the plain Python engine on the same machine.",
        "",
        "| case | replicas per model | " + " | ".join(BUILT_IN) + " |",
        "|---|---|" + "---|" * len(BUILT_IN),
    ]
    for first in range(0, len(speed), len(BUILT_IN)):
        some = speed[first : first + len(BUILT_IN)]
        cells = [f"{r['compiled_per_s'] / 1e6:.1f} ({r['ratio']:.0f}x)" for r in some]
        lines.append(
            f"| {some[0]['case']} | {some[0]['replicas_per_model']:.0f} | {' | '.join(cells)} |"
        )
    lines += [
        "",
        "One run of 32 GPUs, a process each: the loop alone, all of `simulate`, the metrics; the",
        "peak of memory of everything, trace included.",
        "",
        "| requests | nodes | loop, ns a node | simulate s | metrics s | bytes a node, peak |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['requests']:,} | {r['nodes']:,} | {r['loop_ns_per_node']:.0f} "
        f"| {r['simulate_s']:.2f} | {r['measure_s']:.2f} | {r['bytes_per_node']:.0f} |"
        for r in sizes
    ]
    lines += [
        "",
        f"A second process: {start['with_first_run_s']:.2f} s with its first run, of which "
        f"{start['imports_s']:.2f} s load Python, numpy and numba; the engine itself takes "
        f"{max(0.0, start['first_run_s']):.2f} s.",
        "",
    ]
    return "\n".join(lines)


def _in_child(requests: int) -> Row:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.engine", "--size", str(requests)],
        check=True,
        stdout=subprocess.PIPE,
    )
    row: Row = json.loads(done.stdout)
    return row


def main() -> None:
    """Print tables, and write them with ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for engine.md")
    parser.add_argument("--quick", action="store_true", help="fewer clusters, up to 1 M requests")
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.size is not None:
        print(json.dumps(size_row(arguments.size)))
        return
    start = start_up_row()
    sizes = [_in_child(n) for n in (SIZES[:-1] if arguments.quick else SIZES)]
    speed = speed_rows(quick=arguments.quick)
    text = markdown(speed, sizes, start)
    print(text)
    if arguments.out:
        keep(arguments.out, "engine", text)


if __name__ == "__main__":
    main()
