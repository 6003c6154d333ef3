"""Small, tight clusters, where whole servers make the difference: objective, bound, gap, time.

    python -m benchmarks.tight [--quick] [--servers 8 11] [--sharing exclusive] [--loads 0.9]
        [--seeds 0 1] [--shapes plain] [--form patterns] [--time-limit S] [--out FOLDER]
        [--ray ADDRESS]

Every case is drawn from a seed: models of the usual sizes, workflows of two to six nodes, rates
that fill a fraction `load` of the GPUs (above 0.8 the cap is 5 % over the least bottleneck, as it
is everywhere in `offline` mode). CPU seconds are printed beside the clock's, for busy machines.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.kept import keep
from placement.files.config_file import read_config
from placement.generate.synthetic import rate_for_load, synthetic_config
from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance
from placement.problem.instance_building import build_instance
from placement.problem.outcome import Infeasible, SolveOptions
from placement.problem.trace import Demand
from placement.problem.workload import Workload
from placement.programs.capacity import ensure_coverage
from placement.solve import solve_instance
from placement.solver.milp import SolverSettings
from runtime.ray.spread import spread_over

Shape = Literal["plain", "smaller-last", "two-types"]
GPUS = 8
MEMORY_GB = 80.0
SERVERS = (2, 3, 4, 6, 8, 11, 12, 16, 24, 32)
LOADS = (0.5, 0.75, 0.9, 1.2)
ATTEMPTS = 200
"""Draws until the models fit together; seeds are apart by this much."""

COLUMNS = (
    "case", "objective", "best_bound", "gap_percent", "status", "form", "seconds", "cpu_seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One instance of the suite, and how it is asked for."""

    servers: int
    sharing: str
    load: float
    mode: Literal["offline", "online"]
    shape: Shape
    seed: int

    @property
    def name(self) -> str:
        """Say all of it in one word."""
        return (
            f"{self.servers}x{GPUS} {self.shape} {self.sharing} {self.mode} "
            f"load {self.load:g} seed {self.seed}"
        )

    def instance(self) -> Instance:
        """Draw configs until the used models fit the cluster together."""
        exclusive = self.sharing == "exclusive"
        cluster = make_cluster(self.servers, self.shape)
        models = min(24, max(5, cluster.n_gpus // 4 if exclusive else cluster.n_gpus // 2))
        for attempt in range(ATTEMPTS):
            seed = self.seed * ATTEMPTS + attempt
            instance = draw(cluster, models, max(3, models - 4), self.load, seed)
            instance = replace(instance, exclusive=exclusive)
            try:
                ensure_coverage(instance, SolverSettings())
            except Infeasible:
                continue
            return instance
        raise RuntimeError(f"{self.name}: no draw fits")


def make_cluster(servers: int, shape: Shape) -> Cluster:
    """So many servers of 8 GPUs; the last with 4, or half of them with 4 faster GPUs."""
    if shape == "plain":
        return Cluster((ServerType("server", servers, GPUS, MEMORY_GB),))
    if shape == "smaller-last":
        last = ServerType("last-server", 1, GPUS // 2, MEMORY_GB)
        return Cluster((ServerType("server", servers - 1, GPUS, MEMORY_GB), last))
    fast = ServerType("fast", servers // 2, GPUS // 2, MEMORY_GB, 2.0)
    return Cluster((ServerType("server", servers - servers // 2, GPUS, MEMORY_GB), fast))


def draw(cluster: Cluster, models: int, workflows: int, load: float, seed: int) -> Instance:
    """Draw an instance whose offered load is `load` of the cluster's GPUs at their speeds."""
    block = min(t.gpus for t in cluster.server_types)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        config = synthetic_config(models, workflows, seed=seed, largest_block=block)
        path.write_text(json.dumps(config))
        workload = read_config(path)
    mix = np.random.default_rng([seed, 3]).dirichlet(np.full(workflows, 3.0))
    power = sum(t.count * t.gpus * t.speed for t in cluster.server_types)
    # rate_for_load counts whole GPUs of speed 1.
    rate = rate_for_load(workload, load, 1, mix) * power
    return build_instance(workload, _demand(workload, rate * mix), cluster)


def _demand(workload: Workload, rate: np.ndarray) -> Demand:
    service = tuple(
        np.array([workload.models[v.model].service_time_s or 0.0 for v in flow.nodes])
        for flow in workload.workflows
    )
    return Demand(np.round(rate * 1000).astype(np.int64), rate, service, 1000.0)


def suite(arguments: argparse.Namespace) -> Iterator[Case]:
    """Every case asked for, small clusters first."""
    for servers, shape, sharing, load, seed in product(
        arguments.servers, arguments.shapes, arguments.sharing, arguments.loads, arguments.seeds
    ):
        if shape != "plain" and servers < 2:
            continue
        for mode in arguments.modes:
            if mode == "offline" and load != arguments.loads[0]:
                continue  # offline only the mix matters
            yield Case(servers, sharing, load, mode, shape, seed)


def run(case: Case, time_limit_s: float, form: str, threads: int | None) -> dict[str, Any]:
    """Solve one case."""
    instance = case.instance()
    options = SolveOptions(
        mode=case.mode,
        form=form,  # type: ignore[arg-type]
        time_limit_s=time_limit_s,
        threads=threads,
    )
    wall, cpu = time.monotonic(), time.process_time()
    result = solve_instance(instance, options)
    certificate = result.certificate
    return {
        "case": case.name,
        "servers": case.servers,
        "sharing": case.sharing,
        "objective": round(certificate.objective, 6),
        "best_bound": round(certificate.best_bound, 6),
        "gap_percent": round(100 * certificate.gap, 4),
        "status": certificate.status,
        "form": certificate.form,
        "seconds": round(time.monotonic() - wall, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "proof": certificate.proof,
        "course": [
            (e.phase, round(e.seconds, 2), e.incumbent, e.best_bound) for e in result.history
        ],
    }


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """One line per size and sharing: cases, how many are proven optimal, the gaps."""
    lines = [
        "| servers | sharing | cases | proven optimal | median gap % | largest gap % "
        "| median CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    for servers, sharing in sorted({(r["servers"], r["sharing"]) for r in rows}):
        mine = [r for r in rows if (r["servers"], r["sharing"]) == (servers, sharing)]
        gaps = [r["gap_percent"] for r in mine]
        proven = sum(r["status"] == "optimal" for r in mine)
        cpu = float(np.median([r["cpu_seconds"] for r in mine]))
        lines.append(
            f"| {servers} | {sharing} | {len(mine)} | {proven} | {np.median(gaps):.3f} "
            f"| {max(gaps):.3f} | {cpu:.1f} |"
        )
    return lines


def main() -> None:
    """Print a table; with --out write it, and the course of every solve as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few small cases")
    parser.add_argument("--servers", type=int, nargs="+", default=SERVERS)
    parser.add_argument("--sharing", nargs="+", default=("exclusive", "sharing"))
    parser.add_argument("--loads", type=float, nargs="+", default=LOADS)
    parser.add_argument("--modes", nargs="+", default=("online", "offline"))
    parser.add_argument("--shapes", nargs="+", default=("plain", "two-types"))
    parser.add_argument("--seeds", type=int, nargs="+", default=(0,))
    parser.add_argument("--form", default="auto")
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path, help="folder for tight.md")
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="spread the cases over this Ray cluster: HOST:PORT, or auto",
    )
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.servers, arguments.seeds, arguments.loads = (2, 4, 8), (0,), (0.75,)
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    print("\n".join(lines))
    rows = []
    one = partial(
        run, time_limit_s=arguments.time_limit, form=arguments.form, threads=arguments.threads
    )
    with spread_over(arguments.ray) as spread:
        for row in spread(one, suite(arguments)):
            rows.append(row)
            lines.append("| " + " | ".join(str(row[c]) for c in COLUMNS) + " |")
            print(lines[-1], flush=True)
    lines += ["", *summary(rows)]
    print("\n".join(lines[-len(summary(rows)) - 1 :]))
    if arguments.out:
        keep(arguments.out, "tight", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
