"""How far a simulation is from the log of the real thing, figure by figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from placement.problem.cluster import FloatArray
from placement.problem.trace import Trace
from placement.support.equality import ByContent
from runtime.calibration.observed import Observed
from runtime.result import RunResult


@dataclass(frozen=True)
class MetricError:
    """One figure: measured, simulated, and how far off relative to what was measured."""

    name: str
    unit: str
    real: float
    simulated: float

    @property
    def error(self) -> float:
        """Relative error of the simulated figure."""
        if self.real == 0:
            return 0.0 if self.simulated == 0 else float("inf")
        return self.simulated / self.real - 1.0


@dataclass(frozen=True, eq=False)
class Comparison(ByContent):
    """A log beside the simulation of the same trace.

    Parameters
    ----------
    metrics : tuple of MetricError
    per_request : float
        Mean over requests of |simulated / real latency - 1|.
    per_call : float
        The same of the time that a call is in service.
    real_s, simulated_s : float64, shape (R,)
        Latency of every request that both have completed.
    """

    metrics: tuple[MetricError, ...]
    per_request: float
    per_call: float
    real_s: FloatArray
    simulated_s: FloatArray


def compare(observed: Observed, trace: Trace, run: RunResult) -> Comparison:
    """Hold a run against the log; requests that either has not completed do not count.

    Parameters
    ----------
    observed : Observed
        Executions of the log.
    trace : Trace
        That both ran.
    run : RunResult
        The simulation.

    Raises
    ------
    ValueError
        No request is complete in both.
    """
    real_end = np.full(trace.n_executions, np.nan)
    real_end[observed.execution] = observed.end_s
    real_end[observed.step] = observed.step_end_s
    last = _last(real_end, trace)
    arrival = np.zeros(trace.n_requests) if run.problem.mode == "offline" else trace.arrival_s
    real = last - arrival
    simulated = _last(np.where(run.ran, run.end_s, np.nan), trace) - arrival
    both = ~np.isnan(real) & ~np.isnan(simulated)
    if not both.any():
        raise ValueError("no request is complete in both the log and the simulation")
    real, simulated = real[both], simulated[both]
    took = observed.end_s - observed.start_s
    there = run.ran[observed.execution] & (took > 0)
    rows = observed.execution[there]
    per_call = np.abs((run.end_s[rows] - run.start_s[rows]) / took[there] - 1.0)
    span = float(np.nanmax(last)), float(np.nanmax(run.end_s[run.ran]))
    done = int(both.sum())
    metrics = (
        MetricError("mean latency", "s", float(real.mean()), float(simulated.mean())),
        MetricError("median latency", "s", float(np.median(real)), float(np.median(simulated))),
        MetricError("P99 latency", "s", _p99(real), _p99(simulated)),
        MetricError("longest latency", "s", float(real.max()), float(simulated.max())),
        MetricError("makespan", "s", *span),
        MetricError("throughput", "requests/s", done / span[0], done / span[1]),
    )
    return Comparison(
        metrics=metrics,
        per_request=float(np.mean(np.abs(simulated / np.maximum(real, 1e-12) - 1.0))),
        per_call=float(per_call.mean()) if len(per_call) else 0.0,
        real_s=real,
        simulated_s=simulated,
    )


def _last(end: FloatArray, trace: Trace) -> FloatArray:
    """End of every request: nan where one of its executions has none."""
    return np.maximum.reduceat(end, trace.offset[:-1]) if trace.n_requests else np.zeros(0)


def _p99(latency: FloatArray) -> float:
    return float(np.quantile(latency, 0.99))
