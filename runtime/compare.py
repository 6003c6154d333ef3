"""Placements, routers and schedulers side by side on one workload: the rows of `compare`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from placement.problem.cluster import Cluster
from placement.problem.instance import Instance
from placement.problem.names import Mode, SwitchingScheduler
from placement.problem.outcome import SolveResult
from placement.problem.plan import route
from placement.problem.trace import Trace
from placement.problem.workload import Workload
from runtime.engines.events import ProgressCallback
from runtime.intervals import intervals, replicate
from runtime.metrics import summarize
from runtime.result import RunResult
from runtime.simulate import simulate_placement
from runtime.switching import simulate_switching

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
