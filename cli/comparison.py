"""Placements, routers and schedulers side by side on one workload: the rows of `compare`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from placement.problem.cluster import Cluster
from placement.problem.instance import Instance
from placement.problem.outcome import ProgressCallback as SolveCallback
from placement.problem.outcome import SolveOptions, SolveResult, earned_status, relative_gap
from placement.problem.plan import route
from placement.problem.trace import Mode, Trace
from placement.problem.workload import Workload
from placement.solve import solve
from runtime.intervals import intervals, replicate
from runtime.metrics import summarize
from runtime.reference import ProgressCallback
from runtime.result import RunResult
from runtime.scoring import latency_score
from runtime.simulate import simulate
from runtime.switching import SwitchingScheduler, simulate_switching

SAME_CAP = 1e-6
"""Relative difference of caps on GPU loads that counts as none: what solvers' rows hold to."""

Row = dict[str, Any]
Run = Callable[[Trace], RunResult]


@dataclass(frozen=True)
class Comparison:
    """What every row has in common.

    Parameters
    ----------
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

    def solve(
        self,
        options: SolveOptions,
        progress: SolveCallback | None = None,
        *,
        load_cap: float | None = None,
    ) -> SolveResult:
        """Place by one method.

        Parameters
        ----------
        load_cap : float, optional
            Cap on GPU loads in place of the one that the mode and the method's own least
            bottleneck load give.

        Raises
        ------
        Infeasible
        """
        score = latency_score(self.workload, self.trace, self.cluster, mode=self.mode)
        options = replace(options, mode=self.mode, seed=self.seed)
        if load_cap is not None:
            # A target that is known to be attainable is the cap, whatever the mode.
            options = replace(options, mode="online", max_utilization=load_cap)
        return solve(self.instance, options, progress=progress, score=score)

    def solve_at_cap(
        self,
        options: SolveOptions,
        own: SolveResult,
        load_cap: float,
        progress: SolveCallback | None = None,
    ) -> SolveResult:
        """Place once more under a looser cap than the method's own; the better plan counts.

        What the method found under its own cap keeps the looser one too, so more room never
        makes a method worse.
        """
        if own.certificate.load_cap >= load_cap * (1 - SAME_CAP):
            return own
        again = self.solve(options, progress, load_cap=load_cap)
        kept = again.certificate.load_cap <= load_cap * (1 + SAME_CAP)
        if kept and again.evaluation.objective >= own.evaluation.objective:
            return again
        # Where the method missed the cap, its bound is one over more plans than keep it.
        bound, objective = again.certificate.best_bound, own.evaluation.objective
        gap, stopped = relative_gap(objective, bound), again.certificate.status
        return replace(
            own,
            instance=replace(own.instance, load_cap=load_cap),
            options=again.options,
            certificate=replace(
                again.certificate,
                load_cap=load_cap,
                objective=objective,
                best_bound=max(bound, objective),
                gap=gap,
                status=earned_status(options.method, gap, options.gap, stopped),
            ),
        )

    def static_row(
        self, result: SolveResult, routing: str, progress: ProgressCallback | None = None
    ) -> Row:
        """Run the trace over a solved placement under one routing policy."""
        shares = route(result.instance, result.solution.flows)
        certificate = result.certificate
        proven = certificate.status != "heuristic"

        def run(trace: Trace) -> RunResult:
            return simulate(
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

    def _measured(self, run: Run, progress: ProgressCallback | None) -> Row:
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
