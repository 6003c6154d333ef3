"""The rows of the scaling study: which problem, by which method, and how one row is measured."""

from __future__ import annotations

import re
import resource
import time
from dataclasses import asdict, dataclass
from typing import Any, Literal

from benchmarks.instances import cluster_of, mixed_cluster, problem
from placement.problem.outcome import Infeasible, SolveOptions
from placement.solve import solve_instance

COMPACT_SERVERS = 16
"""Largest cluster on which the compact form is given a chance."""


@dataclass(frozen=True)
class Row:
    """One solve.

    Parameters
    ----------
    servers, models, workflows : int
    exclusive : bool
    method : str
        ``patterns``, ``compact``, ``local-search`` or ``greedy``.
    solver : str
    mixed : bool
        Three server types in place of one.
    load : float
        Offered load over all GPU speeds.
    """

    servers: int
    models: int
    workflows: int
    exclusive: bool
    method: Literal["patterns", "compact", "local-search", "greedy"]
    solver: str = "HiGHS"
    mixed: bool = False
    load: float = 0.6
    seed: int = 0

    @property
    def case(self) -> str:
        """What the rows of one problem share."""
        kind = "mixed" if self.mixed else "exclusive" if self.exclusive else "sharing"
        return f"{self.servers} x {self.models}m {self.workflows}w {kind} {self.load:.0%}"

    @property
    def name(self) -> str:
        """Case and method, as `--only` matches it."""
        return f"{self.case} {self.method} {self.solver}"


QUICK = ((2, 9, 3), (8, 9, 3), (128, 24, 20))
SIZES = (
    (1, 9, 3), (2, 9, 3), (4, 9, 3), (8, 9, 3), (16, 24, 20), (32, 24, 20), (128, 50, 40),
    (1280, 24, 20), (1280, 100, 100), (12_800, 24, 20),
)  # fmt: skip


def rows(*, quick: bool) -> list[Row]:
    """Every row of the study, small problems first."""
    found: list[Row] = []
    for servers, models, workflows in QUICK if quick else SIZES:
        for exclusive in (True, False):
            methods: list[Any] = ["patterns", "local-search", "greedy"]
            if servers <= COMPACT_SERVERS:
                methods.insert(0, "compact")
            found += [Row(servers, models, workflows, exclusive, m) for m in methods]
            if servers in (4, 1280) and models <= 24:
                method: Any = "compact" if servers == 4 else "patterns"
                found.append(Row(servers, models, workflows, exclusive, method, "CBC"))
    if not quick:
        found += [
            Row(1000, 24, 20, False, m, mixed=True) for m in ("patterns", "local-search", "greedy")
        ]
        # Under a tight load capacity decides, not only which models fit together.
        found += [Row(1280, 24, 20, e, "patterns", load=0.75) for e in (True, False)]
    return found


def chosen(every: list[Row], only: str | None) -> list[Row]:
    """Rows whose name matches a regular expression."""
    return [row for row in every if only is None or re.search(only, row.name)]


def measure(row: Row, time_limit_s: float) -> dict[str, Any]:
    """Solve one row in this process: call it in a fresh one, for the memory is the process's."""
    cluster = mixed_cluster(row.servers) if row.mixed else cluster_of(row.servers)
    instance, _ = problem(
        row.models,
        row.workflows,
        cluster,
        load=row.load,
        exclusive=row.exclusive,
        seed=row.seed,
    )
    heuristic = row.method in ("local-search", "greedy")
    options = SolveOptions(
        method=row.method if heuristic else "ilp",  # type: ignore[arg-type]
        form="auto" if heuristic else row.method,  # type: ignore[arg-type]
        solver=row.solver,
        time_limit_s=time_limit_s,
    )
    data = {**asdict(row), "case": row.case, "gpus": cluster.n_gpus}
    begin, cpu = time.monotonic(), time.process_time()
    try:
        result = solve_instance(instance, options)
    except Infeasible as error:
        return {**data, "status": "infeasible", "reason": str(error)}
    certificate, evaluation = result.certificate, result.evaluation
    return {
        **data,
        "status": certificate.status,
        "objective": evaluation.objective,
        "best_bound": certificate.best_bound,
        "gap": certificate.gap,
        "seconds": time.monotonic() - begin,
        "cpu_seconds": time.process_time() - cpu,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "load_cap": certificate.load_cap,
        "bottleneck": [certificate.bottleneck_lower, certificate.bottleneck_upper],
        "max_utilization": evaluation.max_utilization,
        "load_variance": float(evaluation.gpu_load.var()),
        "deterministic": certificate.deterministic,
        "versions": certificate.versions,
    }
