"""Whether the shipped examples repeat themselves to the byte, alone and beside busy processes.

    python -m benchmarks.repeatability [--runs 10] [--out FOLDER]

Runs each solve so often, every other time beside two busy processes, and compares the plan files.
Writes repeatability.md.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

from benchmarks.commands import busy, run
from benchmarks.kept import keep
from benchmarks.limits import MULTIMODAL, SMALL, servers

EXAMPLES = {
    "make run": (
        "--config", "configs/studio.yaml", "--requests", "configs/studio_requests.jsonl",
        "--cluster", "configs/studio_cluster.yaml", "--max-models-per-gpu", "2",
        "--max-utilization", "0.73", "--gap", "0.1",
    ),
    "small.yaml, 8 GPUs": (*SMALL, "--gpus", "8"),
    "multimodal.yaml, 32 GPUs": (*MULTIMODAL, *servers(32)),
    "heterogeneous_cluster.yaml": (
        *MULTIMODAL, "--cluster", "configs/heterogeneous_cluster.yaml",
        "--gap", "0.01", "--time-limit", "120",
    ),
}  # fmt: skip
OTHERS = 2
PATIENCE_S = 600.0


def main() -> None:
    """Run, compare, and exit with 1 where the files differ or do not say deterministic."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    lines = [
        "# Repeatability",
        "",
        f"Each shipped example solved {arguments.runs} times, every other time beside {OTHERS} "
        "busy processes; made by `python -m benchmarks.repeatability`. Equal digests: equal bytes.",
        "",
        "| example | run | beside | wall s | CPU s | says deterministic | SHA-256 of the plan |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    failed = False
    for name, options in EXAMPLES.items():
        seen, said = set(), set()
        for i in range(arguments.runs):
            others = OTHERS if i % 2 else 0
            with tempfile.TemporaryDirectory() as folder, busy(others):
                plan = Path(folder) / "plan.yaml"
                done = run(["solve", *options, "-q", "-o", str(plan)], timeout_s=PATIENCE_S)
                text = plan.read_bytes() if plan.exists() else b""
            digest, sure = hashlib.sha256(text).hexdigest(), b"deterministic: true" in text
            seen.add(digest)
            said.add(sure)
            lines.append(
                f"| {name} | {i + 1} | {others or 'nothing'} | {done.wall_s:.1f} | "
                f"{done.cpu_s:.1f} | {'yes' if sure else 'no'} | `{digest[:16]}` |"
            )
            print(lines[-1], flush=True)
        failed |= len(seen) > 1 or said != {True}
    keep(arguments.out, "repeatability", "\n".join([*lines, ""]))
    sys.exit(failed)


if __name__ == "__main__":
    main()
