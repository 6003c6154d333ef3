"""Measure the result that the README states, and write it there.

python -m docs.figures            # solves, simulates, writes; `make figures` draws as well
python -m docs.figures --check    # exit code 1 where the README says something else
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
CASE = (
    "--config", "configs/studio.yaml", "--requests", "configs/studio_requests.jsonl",
    "--cluster", "configs/studio_cluster.yaml", "--max-models-per-gpu", "2",
    "--max-utilization", "0.73", "--gap", "0.1",
)  # fmt: skip
METHODS = "ilp,local-search,greedy"
ROUTING = "plan"
BLOCK = re.compile(r"(<!-- result -->\n).*?(\n<!-- end -->)", re.DOTALL)

Row = dict[str, Any]


def measured_rows() -> list[Row]:
    """Run every placement of the README's table under its router; rows of ``compare --json``."""
    command = [sys.executable, "-m", "cli", "compare", *CASE, "--methods", METHODS]
    command += ["--routings", ROUTING, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rows: list[Row] = json.loads(done.stdout)["rows"]
    return [r for r in rows if r["scheduler"] == "static"]


def result_table(rows: list[Row]) -> str:
    """Write rows as the README's table, in the order of `METHODS`."""
    lines = [
        "| placement | server efficiency | crossings (CSC) | utilization variance | P99 latency "
        "| gap to the bound |",
        "|---|---|---|---|---|---|",
    ]
    by_method = {r["method"]: r for r in rows}
    for method in METHODS.split(","):
        row = by_method[method]
        gap = "no bound" if row["gap"] is None else f"{100 * row['gap']:.2f} %"
        name = f"**{method}**" if method == "ilp" else method
        lines.append(
            f"| {name} | {row['server_efficiency']:.1f} % "
            f"| {row['cross_server_communications']:,} | {row['utilization_variance']:,.0f} "
            f"| {row['p99']:.1f} s | {gap} |"
        )
    return "\n".join(lines)


def stated_table(text: str) -> str:
    """Give the table that a README's text holds between its marks."""
    found = BLOCK.search(text)
    assert found is not None, "the README has lost the marks around its result"
    return found[0].removeprefix(found[1]).removesuffix(found[2]).strip("\n")


def main() -> int:
    """Write the table, or say that it is not up to date."""
    text = README.read_text(encoding="utf-8")
    table = result_table(measured_rows())
    if "--check" in sys.argv[1:]:
        if stated_table(text) == table:
            return 0
        print(f"README.md states another result than the run gives; run `make figures`:\n{table}")
        return 1
    README.write_text(BLOCK.sub(lambda b: f"{b[1]}\n{table}\n{b[2]}", text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
