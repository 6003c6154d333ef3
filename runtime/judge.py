"""Plans judged by simulation: on the trace itself, and on others of the same traffic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from placement.problem.names import Mode
from placement.problem.outcome import SolveResult
from placement.problem.plan_building import route
from placement.problem.score import SolutionScore
from placement.problem.solution import Solution
from placement.problem.trace import Trace
from placement.problem.workload import Workload
from placement.support.equality import ByContent
from runtime.intervals import TrafficRange, traffic_range
from runtime.metrics import Metrics, measure
from runtime.resample import block_length, resample
from runtime.result import RunResult
from runtime.simulate import Dispatch, simulate_placement

METRICS: dict[str, tuple[Callable[[Metrics], float], int]] = {
    "p99": (lambda m: m.request_latency.p99, 1),
    "mean-latency": (lambda m: m.request_latency.mean, 1),
    "makespan": (lambda m: m.makespan_s, 1),
    "se": (lambda m: m.server_efficiency, -1),
    "csc": (lambda m: float(m.cross_server_communications), 1),
    "variance": (lambda m: m.utilization_variance, 1),
}
"""Name -> its value, and 1 where less is better, -1 where more is."""

FIRST_SAMPLE = 1_000_000
"""Number of the first resampled trace, beyond any that `simulate --repeat` shows."""


@dataclass(frozen=True, eq=False)
class Judgement(ByContent):
    """Two solutions by their simulated metrics.

    Parameters
    ----------
    on_trace : tuple of Metrics
        Of the first and of the second, on the trace itself.
    unseen : tuple of pairs of Metrics
        The same on each resampled trace that no score has used.
    gained : TrafficRange
        By how much the second is better in the judge's metric, over the unseen traces.
    """

    on_trace: tuple[Metrics, Metrics]
    unseen: tuple[tuple[Metrics, Metrics], ...]
    gained: TrafficRange


@dataclass(frozen=True, eq=False)
class Judge(ByContent):
    """Simulates solutions on a trace and on resampled ones, for one metric.

    Parameters
    ----------
    workload, trace, mode, routing
        What is simulated, and by which policy.
    metric : str
        One of `METRICS`.
    seed : int
        Of the resampling.
    training, unseen : int
        Resampled traces that score a solution beside the trace itself, and that judge in the end.
    """

    workload: Workload
    trace: Trace
    mode: Mode
    routing: str
    metric: str
    seed: int
    training: int
    unseen: int

    def value(self, metrics: Metrics) -> float:
        """The chosen metric, the less the better."""
        read, sign = METRICS[self.metric]
        return sign * read(metrics)

    def scorer(self, result: SolveResult) -> Callable[[Solution], SolutionScore]:
        """Mean over the trace and the training traces; infinite where the trace alone is worse.

        Parameters
        ----------
        result : SolveResult
            What the trace alone compares with; its instance holds the cluster and the rates.
        """
        training = self._resampled(0, self.training)
        models = len(self.workload.models)
        plain = self.value(measure(self._run(result, result.solution, self.trace)))

        def score(solution: Solution) -> SolutionScore:
            run = self._run(result, solution, self.trace)
            waited = (run.start_s - run.ready_s)[run.served]
            model = solution.placement.model[run.replica[run.served]]
            pressure = np.bincount(model, waited, models).astype(np.float64)
            own = self.value(measure(run))
            if own > plain:
                return SolutionScore(float("inf"), pressure)
            others = [self.value(measure(self._run(result, solution, t))) for t in training]
            return SolutionScore(float(np.mean([own, *others])), pressure)

        return score

    def compare(self, first: SolveResult, second: SolveResult) -> Judgement:
        """Simulate two solutions on the trace, and on traces that no score has used."""
        unseen = tuple(
            (self._measured(first, trace), self._measured(second, trace))
            for trace in self._resampled(self.training, self.unseen)
        )
        return Judgement(
            (self._measured(first, self.trace), self._measured(second, self.trace)),
            unseen,
            traffic_range([self.value(a) - self.value(b) for a, b in unseen]),
        )

    def _measured(self, result: SolveResult, trace: Trace) -> Metrics:
        return measure(self._run(result, result.solution, trace))

    def _run(self, result: SolveResult, solution: Solution, trace: Trace) -> RunResult:
        return simulate_placement(
            self.workload,
            trace,
            result.instance.cluster,
            solution.placement,
            route(result.instance, solution.flows),
            dispatch=Dispatch(mode=self.mode, policy=self.routing),
            engine="compiled",
        )

    def _resampled(self, first: int, count: int) -> list[Trace]:
        block = block_length(self.trace)
        return [
            resample(self.trace, self.seed, FIRST_SAMPLE + i, block)
            for i in range(first, first + count)
        ]
