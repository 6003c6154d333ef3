"""Placements, routers and schedulers side by side on one workload: the rows of `compare`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from placement.problem.cluster import Cluster
from placement.problem.instance import Instance
from placement.problem.names import Mode, SwitchingScheduler
from placement.problem.outcome import SolveResult
from placement.problem.plan import route
from placement.problem.trace import Trace
from placement.problem.verdict import Remark, Verdict
from placement.problem.workload import Workload
from placement.support.described import percent
from runtime.engines.events import ProgressCallback
from runtime.intervals import intervals, replicate
from runtime.metrics import summarize
from runtime.result import RunResult
from runtime.simulate import simulate_placement
from runtime.switching import simulate_switching

ROUNDED_POINTS = 0.05
"""Points of server efficiency that tables round away."""

ROUNDING = 1e-6
"""Locality that solvers round away."""

SAME_CAP = 1e-6
"""Relative difference of caps on GPU loads that counts as none."""

Row = dict[str, Any]
Runner = Callable[[Trace], RunResult]


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

    def static_row(
        self, result: SolveResult, routing: str, progress: ProgressCallback | None = None
    ) -> Row:
        """Run the trace over a solved placement under one routing policy.

        Parameters
        ----------
        result : SolveResult
            The placement, and what is proven of it.
        routing : str
            Name of the policy.
        progress : callable, optional
            Called with executions done and their total over all traces.
        """
        shares = route(result.instance, result.solution.flows)
        certificate = result.certificate
        proven = certificate.status != "heuristic"

        def run(trace: Trace) -> RunResult:
            return simulate_placement(
                self.workload,
                trace,
                self.cluster,
                result.solution.placement,
                shares,
                mode=self.mode,
                policy=routing,
            )

        return {
            "scheduler": "static",
            "method": certificate.method,
            "routing": routing,
            **self._measured(run, progress),
            "objective": result.evaluation.objective,
            "best_bound": certificate.best_bound if proven else None,
            "gap": certificate.gap if proven else None,
            "status": certificate.status,
            "load_cap": certificate.load_cap,
            "max_utilization": result.evaluation.max_utilization,
            "solve_seconds": certificate.seconds,
        }

    def switching_row(
        self, scheduler: SwitchingScheduler, progress: ProgressCallback | None = None
    ) -> Row:
        """Run the trace on GPUs that switch models."""

        def run(trace: Trace) -> RunResult:
            return simulate_switching(
                self.workload,
                trace,
                self.cluster,
                scheduler,
                mode=self.mode,
                models_per_gpu=1 if self.instance.exclusive else self.instance.max_models_per_gpu,
            )

        solved = ("objective", "best_bound", "gap", "status", "load_cap", "max_utilization")
        return {
            "scheduler": scheduler,
            "method": None,
            "routing": None,
            **self._measured(run, progress),
            **dict.fromkeys((*solved, "solve_seconds")),
        }

    def _measured(self, run: Runner, progress: ProgressCallback | None) -> Row:
        done, runs = 0, 1 + self.repeat

        def counted(trace: Trace) -> RunResult:
            nonlocal done
            result = run(trace)
            done += 1
            if progress is not None:
                progress(done * trace.n_executions, runs * trace.n_executions)
            return result

        found = _metrics(summarize(counted(self.trace)))
        if self.repeat:
            summaries = replicate(counted, self.trace, self.repeat, self.seed)
            found["intervals"] = _metrics(intervals(summaries))
        return found


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
    if ahead["objective"] is not None and ahead["objective"] <= behind["objective"] + ROUNDING:
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
