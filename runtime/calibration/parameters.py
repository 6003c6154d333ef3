"""What of the laws a log can tell: the numbers that are fitted, and the laws that they make.

What the log cannot tell stays as it is: a law needs `least_calls` that it concerns
(`CalibrationParams`). The numbers of all parameters stand one after the other in one vector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placement.params.simulation_params import CalibrationParams
from placement.problem.cluster import FloatArray, GpuSharing, IntArray
from placement.problem.workload import Workload
from placement.support.equality import ByContent
from runtime.calibration.observed import Observed
from runtime.calibration.service import Course, Laws

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Parameter(ByContent):
    """A stretch of the vector that is fitted, and what it is part of.

    Parameters
    ----------
    name : str
        ``sharing_efficiency``, ``service_time``, or a field of a model.
    model : int or None
        Its number in the workload; None for what all share.
    start : float64, shape (N,)
        Values to begin with: of a slowdown its steps between `knots`, else one.
    lower, upper : float
        Ends of each value.
    calls : int
        That it concerns.
    most : int
        Of a slowdown, the most calls that were seen in service at once.
    """

    name: str
    model: int | None
    start: FloatArray
    lower: float
    upper: float
    calls: int
    most: int = 1


def seen_parameters(
    observed: Observed,
    layout: Sequence[Course],
    workload: Workload,
    given: Laws,
    *,
    gpu_fraction: bool,
    params: CalibrationParams,
) -> list[Parameter]:
    """Choose what to fit: what the log has seen often enough.

    Parameters
    ----------
    observed : Observed
    layout : sequence of Course
        Of every replica.
    workload : Workload
    given : Laws
        As they are stated, where the fit begins.
    gpu_fraction : bool
        Fit it in place of the sharing efficiency.
    params : CalibrationParams
        How often is often enough.
    """
    n_models = len(workload.models)
    enough, seen = params.least_calls, params.seen

    def calls(held: Callable[[Course], BoolArray], least: float) -> IntArray:
        return _calls(observed, layout, held, least, n_models)

    shared = calls(lambda c: _crowd(c)[c.company] > 1, seen)
    alone = calls(lambda c: (_crowd(c)[c.company] == 1) & (c.in_service == 1), params.alone)
    batched = calls(lambda c: c.in_service > 1, seen)
    found = []
    if shared.sum() >= enough:
        if not gpu_fraction:
            start = np.array([GpuSharing(efficiency=given.efficiency).kept(2)])
            found.append(Parameter("sharing_efficiency", None, start, 0.05, 2.0, int(shared.sum())))
        else:
            found += [
                Parameter(
                    "gpu_fraction", m, np.array([min(given.fraction[m], 0.9)]), 0.01, 1.0,
                    int(shared[m]),
                )
                for m in range(n_models) if shared[m] >= enough
            ]  # fmt: skip
    for m, model in enumerate(workload.models):
        if alone[m] >= enough:
            found.append(Parameter("service_time", m, np.ones(1), 0.01, 100.0, int(alone[m])))
        if model.max_concurrency > 1 and batched[m] >= enough:
            most_seen = _most_seen(layout, observed, m)
            fitted_at = knots(int(np.ceil(np.log2(max(2, most_seen)))))
            steps = np.diff([1.0, *(slowdown_at(given.slowdown[m], n) for n in fitted_at)])
            found.append(
                Parameter(
                    "slowdown", m, np.maximum(steps, 0.0), 0.0, 50.0, int(batched[m]), most_seen
                )
            )
            if not model.chunked_prefill:
                mine = observed.model[observed.replica] == m
                mean = float(observed.prefill_s[mine].mean())
                most = float(observed.alone_s[mine].mean())
                found.append(
                    Parameter("prefill_time_seconds", m, np.array([mean]), 0.0, most,
                               int(batched[m]))
                )  # fmt: skip
    return found


def laws_by(x: FloatArray, parameters: Sequence[Parameter], given: Laws) -> tuple[Laws, FloatArray]:
    """Make laws of values: those fitted, the others as given.

    Parameters
    ----------
    x : float64, shape (X,)
        Values of all parameters.
    parameters : sequence of Parameter
    given : Laws

    Returns
    -------
    Laws
    float64, shape (M,)
        By model: its times alone over those that the trace states.
    """
    efficiency, scale = given.efficiency, np.ones(len(given.slowdown))
    slowdown, prefill = list(given.slowdown), list(given.prefill_s)
    fraction = list(given.fraction)
    for p, part in stretches(x, parameters):
        if p.name == "sharing_efficiency":
            efficiency = (float(part[0]),)
            continue
        assert p.model is not None
        if p.name == "service_time":
            scale[p.model] = part[0]
        elif p.name == "slowdown":
            slowdown[p.model] = _as_stated_beyond(p.most, _curve(part), given.slowdown[p.model])
        elif p.name == "prefill_time_seconds":
            prefill[p.model] = float(part[0])
        else:
            fraction[p.model] = float(part[0])
    return Laws(efficiency, tuple(slowdown), tuple(prefill), tuple(fraction)), scale


def stretches(x: FloatArray, parameters: Sequence[Parameter]) -> list[tuple[Parameter, FloatArray]]:
    """Give every parameter with its stretch of a vector."""
    ends = np.cumsum([len(p.start) for p in parameters], dtype=np.int64)
    return [(p, x[end - len(p.start) : end]) for p, end in zip(parameters, ends, strict=True)]


def knots(count: int) -> list[int]:
    """Numbers in service at which a slowdown is fitted: 2, 4, 8, ..."""
    return [2 ** (i + 1) for i in range(count)]


def slowdown_at(slowdown: Sequence[float], n: int) -> float:
    """Slowdown of n calls in service; the last holds for all that are more."""
    return slowdown[min(n, len(slowdown)) - 1]


def _crowd(course: Course) -> IntArray:
    """Most replicas with work in service on any of the GPUs, by company."""
    return np.array([max(len(gpu) for gpu in company) for company in course.companies])


def _calls(
    observed: Observed,
    layout: Sequence[Course],
    held: Callable[[Course], BoolArray],
    least: float,
    n_models: int,
) -> IntArray:
    """Calls of each model for which something held during a part of their time."""
    count = np.zeros(n_models, dtype=np.int64)
    for p, course in enumerate(layout):
        part = np.where(held(course), course.length_s, 0.0)
        clock = np.concatenate(([0.0], np.cumsum(part)))
        took = observed.end_s[course.calls] - observed.start_s[course.calls]
        enough = clock[course.ends] - clock[course.begins] > least * took
        count[observed.model[p]] += int(enough.sum())
    return count


def _most_seen(layout: Sequence[Course], observed: Observed, model: int) -> int:
    return max(
        int(c.in_service.max(initial=1)) for p, c in enumerate(layout) if observed.model[p] == model
    )


def _curve(steps: FloatArray) -> tuple[float, ...]:
    """Slowdown for n = 1, 2, ...: straight between powers of two, never decreasing."""
    at = [1, *knots(len(steps))]
    values = np.concatenate(([1.0], 1.0 + np.cumsum(steps)))
    return tuple(np.interp(np.arange(1, at[-1] + 1), at, values).tolist())


def _as_stated_beyond(
    most: int, fitted: tuple[float, ...], stated: tuple[float, ...]
) -> tuple[float, ...]:
    """The fitted slowdown up to the most seen in service; beyond, the stated, never decreasing.

    Else a log of few calls at once would promise full batches at the pace of small ones.
    """
    return (*fitted[:most], *(max(fitted[most - 1], s) for s in stated[most:]))
