"""Placements, routers and schedulers side by side on one workload: the rows of `compare`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from placement.problem.cluster import Cluster
from placement.problem.instance import Instance
from placement.problem.names import Mode, SwitchingScheduler
from placement.problem.outcome import SolveResult
from placement.problem.plan_building import route
from placement.problem.trace import Trace
from placement.problem.verdict import Remark, Verdict
from placement.problem.workload import Workload
from placement.support.described import percent
from runtime.engines.events import ProgressCallback
from runtime.intervals import intervals
from runtime.metrics import summarize
from runtime.ray.spread import Spread, serially
from runtime.resample import block_length, resample
from runtime.result import RunResult
from runtime.simulate import Dispatch, simulate_placement
from runtime.switching import simulate_switching

ROUNDED_POINTS = 0.05
"""Points of server efficiency that tables round away."""

SAME_OBJECTIVE = 1e-6
"""Locality that solvers round away."""

SAME_CAP = 1e-6
"""Relative difference of caps on GPU loads that counts as none."""

Row = dict[str, Any]
Runner = Callable[[Trace], RunResult]
Entrant = tuple[SolveResult, str] | SwitchingScheduler
"""What a row is of: a solved placement under a routing policy, or a scheduler without a plan."""


@dataclass(frozen=True)
class Comparison:
    """What every row has in common.

    Parameters
    ----------
    workload, trace, cluster, instance
        What all placements are run on.
    mode : {"online", "offline"}
        Of every run.
    seed : int
        Of the resampled traces.
    repeat : int
        Resampled traces beside the trace itself, for ranges; all rows see the same ones.
    """

    workload: Workload
    trace: Trace
    cluster: Cluster
    instance: Instance
    mode: Mode
    seed: int = 0
    repeat: int = 0

    def rows(
        self,
        entrants: Sequence[Entrant],
        progress: ProgressCallback | None = None,
        spread: Spread = serially,
    ) -> Iterator[Row]:
        """Run the trace, and the resampled ones, over every entrant; a row as soon as it is known.

        Parameters
        ----------
        entrants : sequence of Entrant
        progress : callable, optional
            Called with executions done and their total over all traces.
        spread : Spread
            Maps over the runs: here, or over a cluster.
        """
        block = block_length(self.trace) if self.repeat else None
        runners = [self._runner(entrant) for entrant in entrants]

        def summary(item: tuple[int, int]) -> dict[str, Any]:
            e, i = item
            trace = self.trace if i < 0 else resample(self.trace, self.seed, i, block)
            return summarize(runners[e](trace))

        runs = [(e, i) for e in range(len(entrants)) for i in range(-1, self.repeat)]
        found: list[dict[str, Any]] = []
        for done, ((e, i), one) in enumerate(zip(runs, spread(summary, runs), strict=True), 1):
            found.append(one)
            if progress is not None:
                progress(done * self.trace.n_executions, len(runs) * self.trace.n_executions)
            if i == self.repeat - 1:
                yield self._row(entrants[e], found)
                found = []

    def _runner(self, entrant: Entrant) -> Runner:
        if isinstance(entrant, tuple):
            result, routing = entrant
            return partial(
                simulate_placement,
                self.workload,
                cluster=self.cluster,
                placement=result.solution.placement,
                routing=route(result.instance, result.solution.flows),
                dispatch=Dispatch(mode=self.mode, policy=routing),
            )
        return partial(
            simulate_switching,
            self.workload,
            cluster=self.cluster,
            scheduler=entrant,
            mode=self.mode,
            models_per_gpu=1 if self.instance.exclusive else self.instance.max_models_per_gpu,
        )

    def _row(self, entrant: Entrant, summaries: Sequence[dict[str, Any]]) -> Row:
        """Lay out an entrant's summaries: of the trace, and of the resampled ones."""
        measured = _metrics(summaries[0])
        if self.repeat:
            measured["intervals"] = _metrics(intervals(summaries[1:]))
        if not isinstance(entrant, tuple):
            solved = ("objective", "best_bound", "gap", "status", "load_cap", "max_utilization")
            return {
                "scheduler": entrant,
                "method": None,
                "routing": None,
                "gpu_sharing": "serial",
                **measured,
                **dict.fromkeys((*solved, "solve_seconds")),
            }
        result, routing = entrant
        certificate = result.certificate
        proven = certificate.status != "heuristic"
        return {
            "scheduler": "static",
            "method": certificate.method,
            "routing": routing,
            "gpu_sharing": self.cluster.sharing.mode,
            **measured,
            "objective": result.evaluation.objective,
            "best_bound": certificate.best_bound if proven else None,
            "gap": certificate.gap if proven else None,
            "status": certificate.status,
            "load_cap": certificate.load_cap,
            "max_utilization": result.evaluation.max_utilization,
            "solve_seconds": certificate.seconds,
        }


def ranked(rows: Sequence[Row]) -> list[Row]:
    """Best first: by server efficiency, crossings, then tail latency."""
    return sorted(
        rows,
        key=lambda r: (-r["server_efficiency"], r["cross_server_communications"], r["p99"]),
    )


def comparison_verdict(rows: Sequence[Row]) -> Verdict:
    """Say who keeps most requests on one server, whether that is the integer program, and why not.

    Parameters
    ----------
    rows : sequence of dict
        At least one, of `Comparison`.
    """
    order = ranked(rows)
    best, fastest = order[0], min(rows, key=lambda r: float(r["p99"]))
    mine = next((r for r in order if r["method"] == "ilp"), None)
    remarks = [
        Remark(
            f"shortest tail: {_who(fastest)}, P99 {fastest['p99']:,.1f} s at "
            f"{fastest['server_efficiency']:.1f}% on one server",
            "simulated",
        )
    ]
    if mine is not None and mine["server_efficiency"] < best["server_efficiency"] - ROUNDED_POINTS:
        return Verdict(
            "fair", f"{_who(best)} keeps {_lead(best, mine)}{_why(best, mine)}", tuple(remarks)
        )
    leader = mine or best
    next_best = next((r for r in order if r["method"] != leader["method"]), None)
    if next_best is None:
        text = f"{_who(leader)} keeps {leader['server_efficiency']:.1f}% of requests on one server"
    else:
        text = f"{_who(leader)} keeps {_lead(leader, next_best)}"
    return Verdict("good", text, tuple(remarks))


def _lead(ahead: Row, behind: Row) -> str:
    points = ahead["server_efficiency"] - behind["server_efficiency"]
    kept = f"{ahead['server_efficiency']:.1f}% of requests on one server"
    if points < ROUNDED_POINTS:
        return f"{kept}, as many as {_who(behind)}"
    return f"{kept}, {points:.1f} points more than {_who(behind)}"


def _why(ahead: Row, behind: Row) -> str:
    """Why a rival's row stands above the integer program's."""
    cap, own = ahead["load_cap"], behind["load_cap"]
    if cap is not None and cap > own * (1 + SAME_CAP):
        return (
            f": its busiest GPU may be busy {percent(cap)} of the time, the program's "
            f"{percent(own)}; --equal-headroom gives both the same"
        )
    if (
        ahead["objective"] is not None
        and ahead["objective"] <= behind["objective"] + SAME_OBJECTIVE
    ):
        return ": at mean rates the program's plan is no worse; the queues of this trace decide"
    return ""


def _who(row: Row) -> str:
    if row["scheduler"] != "static":
        return str(row["scheduler"])
    return f"{row['method']} under {row['routing']}"


def _metrics(summary: dict[str, Any]) -> Row:
    """Metrics of a row: from a summary, or from the ranges that have its shape."""
    latency = summary["request_latency"]
    return {
        "server_efficiency": summary["server_efficiency"],
        "cross_server_communications": summary["cross_server_communications"],
        "utilization_variance": summary["utilization_variance"],
        "makespan": summary["makespan"],
        "p99": latency["p99"],
        "mean_latency": latency["mean"],
        "throughput": summary["throughput"],
        "completed_requests": summary["completed_requests"],
        "switches": summary["total_model_switches"],
        "switch_seconds": summary["total_switch_time"],
        "switch_overhead": summary["switch_overhead"],
    }
