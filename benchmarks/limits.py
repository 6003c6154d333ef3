"""When `solve --time-limit T` ends, over inputs of every kind that takes long.

    python -m benchmarks.limits [--case NAME] [--out FOLDER]

Start-up and reading do not count: `analyze` reads the same files and does little else, so its time
is taken off. A command has T + 2 s + 5 %. Writes limits.md after every case.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.commands import busy, run
from benchmarks.kept import keep

Row = dict[str, Any]

CONFIGS = Path("configs")
SMALL = ("--config", f"{CONFIGS}/small.yaml", "--requests", f"{CONFIGS}/small_requests.yaml")
MULTIMODAL = (
    "--config", f"{CONFIGS}/multimodal.yaml",
    "--requests", f"{CONFIGS}/multimodal_requests.jsonl",
)  # fmt: skip

ALLOWED_S, ALLOWED_PART = 2.0, 0.05
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Case:
    """One command.

    Parameters
    ----------
    made : tuple of str
        Arguments of `generate` that make the inputs; `inputs` where they are there.
    first : bool
        As on a machine that has compiled nothing yet.
    others : int
        Busy processes beside it.
    """

    name: str
    limit_s: float
    cluster: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    first: bool = False
    others: int = 0


def servers(gpus: int, per_server: int = 8) -> tuple[str, ...]:
    """Options that ask for identical servers."""
    return "--gpus", str(gpus), "--gpus-per-server", str(per_server)


def trace(models: int, workflows: int, requests: int, load: float, gpus: int) -> tuple[str, ...]:
    """Options that make a config and its trace."""
    numbers = {"models": models, "workflows": workflows, "requests": requests, "gpus": gpus}
    options = [text for name, n in numbers.items() for text in (f"--{name}", str(n))]
    return *options, "--load", str(load)


CASES = (
    Case("small.yaml, 8 GPUs", 5, servers(8), SMALL),
    Case("multimodal.yaml, beside two busy processes", 20, servers(32), MULTIMODAL, others=2),
    Case("the first run on a machine", 10, servers(32), MULTIMODAL, first=True),
    Case("3 servers of 256 GPUs", 5, servers(768, 256), SMALL),
    Case("4 servers of 1,024 GPUs", 5, servers(4096, 1024), SMALL),
    Case("10,000,000 servers", 5, servers(10_000_000, 1), SMALL),
    Case("24 models, 20 workflows, 8 servers, exclusive", 20, (*servers(64), "--exclusive"),
         made=trace(24, 20, 5_000, 0.6, 64)),
    Case("60 models, 300 workflows, 128 servers", 5, servers(1024),
         made=trace(60, 300, 20_000, 0.6, 1024)),
    Case("60 models, 1,000 workflows, 32 servers", 10, servers(256),
         made=trace(60, 1_000, 20_000, 0.6, 256)),
    Case("12 models, 1,200 workflows, 4 servers", 20, servers(32),
         made=trace(12, 1_200, 20_000, 0.6, 32)),
    Case("50 models, 60 workflows, 1,280 servers, 90 %", 20, servers(10_240),
         made=trace(50, 60, 20_000, 0.9, 10_240)),
)  # fmt: skip


def measure(case: Case, folder: Path) -> Row:
    """Run one case: make its inputs, read them, solve."""
    inputs = case.inputs
    if case.made:
        config, requests = folder / "config.yaml", folder / "requests.jsonl"
        made = ["generate", *case.made, "--config-out", str(config)]
        run([*made, "--requests-out", str(requests), "--quiet"], timeout_s=PATIENCE_S)
        inputs = "--config", str(config), "--requests", str(requests)
    environment = {"NUMBA_CACHE_DIR": str(folder / "compiled")} if case.first else {}
    output, history = folder / "plan.yaml", folder / "history.json"
    solve = ["solve", *inputs, *case.cluster, "--time-limit", str(case.limit_s), "--json"]
    with busy(case.others):
        reading = run(["analyze", *inputs, "--json"], timeout_s=PATIENCE_S)
        found = run(
            [*solve, "-o", str(output), "--history", str(history)],
            timeout_s=case.limit_s + PATIENCE_S,
            environment=environment,
        )
    plan = json.loads(found.stdout) if found.code == 0 else {}
    late = []
    if history.exists():
        late = [f"{e['phase']}: {e['detail']}" for e in json.loads(history.read_text())
                if e.get("detail", "").endswith("over its time")]  # fmt: skip
    return {
        "name": case.name,
        "limit_s": case.limit_s,
        "wall_s": found.wall_s,
        "reading_s": reading.wall_s,
        "cpu_s": found.cpu_s,
        "over_s": found.wall_s - reading.wall_s - case.limit_s,
        "allowed_s": ALLOWED_S + ALLOWED_PART * case.limit_s,
        "code": found.code,
        "late": late,
    } | {key: plan.get(key) for key in ("status", "objective", "best_bound", "seconds")}


def page(rows: list[Row]) -> str:
    """The table."""
    lines = [
        "# Time limits",
        "",
        "When `gswarm-place solve --time-limit T` ends, on 2 cores; made by `python -m "
        "benchmarks.limits`. *Over* is the command's wall clock beyond T and beyond what `analyze` "
        "takes to start and to read the same files; *allowed* is 2 s and 5 % of T. The plan is "
        "written by then.",
        "",
        "| case | T s | wall s | start and reading s | over s | allowed s | CPU s | status | "
        "objective | best bound |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        values = [f"{r[k]:.4f}" if r[k] is not None else "" for k in ("objective", "best_bound")]
        over = f"{r['over_s']:.1f}"
        lines.append(
            f"| {r['name']} | {r['limit_s']:g} | {r['wall_s']:.1f} | {r['reading_s']:.1f} | "
            f"{over if r['over_s'] <= r['allowed_s'] else f'**{over}**'} | {r['allowed_s']:.2f} | "
            f"{r['cpu_s']:.1f} | {r['status'] or r['code']} | {' | '.join(values)} |"
        )
    late = [f"- {r['name']}: {'; '.join(r['late'])}" for r in rows if r["late"]]
    if late:
        lines += ["", "Phases that ended more than half a second after their own part of it:", ""]
    return "\n".join([*lines, *late, ""])


def main() -> None:
    """Measure every case, or the one named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", help="part of a case's name")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    rows: list[Row] = []
    for case in CASES:
        if arguments.case and arguments.case not in case.name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(case, Path(folder)))
        print(page(rows).splitlines()[5 + len(rows)], flush=True)
        if not arguments.case:
            keep(arguments.out, "limits", page(rows))


if __name__ == "__main__":
    main()
