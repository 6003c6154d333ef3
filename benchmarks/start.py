"""How long commands take to start: processor seconds, as multiples of what Python itself takes.

    python -m benchmarks.start [--out FOLDER] [--repeats N]

Prints Markdown; ``--out`` also writes start.md there. Every run is a process of its own, and the
least of several counts: the work is the same, and whatever else runs only adds to it.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.kept import keep

ROOT = Path(__file__).parent.parent
REPEATS = 7
CLI = ("-m", "cli")
INPUTS = ("--config", "configs/small.yaml", "--requests", "configs/small_requests.yaml")


def runs(plan: str) -> dict[str, tuple[str, ...]]:
    """What is measured, by what it is called on the page; a bare Python comes first."""
    simulate = (*CLI, "simulate", "--plan", plan, *INPUTS)
    return {
        "`python -c pass`": ("-c", "pass"),
        "`import numpy`": ("-c", "import numpy"),
        "`import placement, runtime`": ("-c", "import placement, runtime"),
        "`gswarm-place --help`": (*CLI, "--help"),
        "`gswarm-place solve --help`": (*CLI, "solve", "--help"),
        "`gswarm-place simulate --json`, 500 requests": (*simulate, "--json"),
        "`gswarm-place simulate`, 500 requests": simulate,
    }


def cpu_seconds(arguments: tuple[str, ...], repeats: int) -> float:
    """Processor seconds of a Python process, the least of several runs."""
    least = float("inf")
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, *arguments], check=True, cwd=ROOT, stdout=subprocess.DEVNULL
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        least = min(least, used)
    return least


def measure(repeats: int) -> dict[str, float]:
    """Processor seconds of every run."""
    with TemporaryDirectory() as folder:
        plan = str(Path(folder) / "plan.yaml")
        solve = ("solve", *INPUTS, "--gpus", "8", "--method", "greedy", "-o", plan, "--quiet")
        subprocess.run([sys.executable, *CLI, *solve], check=True, cwd=ROOT)
        return {name: cpu_seconds(arguments, repeats) for name, arguments in runs(plan).items()}


def markdown(seconds: dict[str, float]) -> str:
    """Lay the measurements out as a table."""
    bare = next(iter(seconds.values()))
    lines = [
        "# Start",
        "",
        "Processor time from start to end, and how many times that of a bare Python it is.",
        "",
        "| run | seconds | times Python |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {s:.2f} | {s / bare:.0f} |" for name, s in seconds.items()]
    return "\n".join([*lines, ""])


def main() -> None:
    """Print the table, and write it with ``--out``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder for start.md")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    given = parser.parse_args()
    text = markdown(measure(given.repeats))
    print(text)
    if given.out:
        keep(given.out, "start", text)


if __name__ == "__main__":
    main()
