"""Laws by which a log's executions were served, by least squares.

For the true laws the work that a call was given is its time alone (`runtime.calibration.service`),
so the residuals are  work done / scale - time alone,  over the root of the model's mean time alone:
what disturbs a call adds up over its time. They are smooth in all that is fitted, and no queue has
to be simulated: who was in service when is in the log. Residuals beyond `outlier` count for less
(soft L1): a log of real calls has a few that something else held up. What the log cannot tell stays
as it is (`runtime.calibration.parameters`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from placement.params.simulation_params import CALIBRATION, CalibrationParams
from placement.problem.cluster import Cluster, FloatArray
from placement.problem.workload import Model, Workload
from runtime.calibration.observed import Observed
from runtime.calibration.parameters import (
    BoolArray,
    Parameter,
    knots,
    laws_by,
    seen_parameters,
    slowdown_at,
    stretches,
)
from runtime.calibration.service import Laws, courses, work_done


@dataclass(frozen=True)
class Estimate:
    """One figure before and after.

    Parameters
    ----------
    name : str
        ``sharing_efficiency``, or a field of a model.
    model : str or None
        Id of the model; None for what all share.
    before, after : tuple of float
        One number, or one for each n = 2, 3, ...
    error : tuple of float
        Standard error of each number of `after`; nan where it was not fitted.
    calls : int
        Calls that it rests on.
    note : str
        Why it stayed as it is; empty where it was fitted.
    """

    name: str
    model: str | None
    before: tuple[float, ...]
    after: tuple[float, ...]
    error: tuple[float, ...]
    calls: int
    note: str = ""


@dataclass(frozen=True)
class Calibration:
    """The laws that fit a log best.

    Parameters
    ----------
    estimates : tuple of Estimate
    laws : Laws
    scale : tuple of float
        By model: its times alone over those that the trace states.
    spread_before, spread_after : float
        Root mean square of (work done / time alone - 1) over all calls, by the laws given and by
        those found.
    """

    estimates: tuple[Estimate, ...]
    laws: Laws
    scale: tuple[float, ...]
    spread_before: float
    spread_after: float


def stated_laws(workload: Workload, cluster: Cluster) -> Laws:
    """The laws as config and cluster state them."""
    models = workload.models
    return Laws(
        efficiency=cluster.sharing.efficiency,
        slowdown=tuple(m.slowdown for m in models),
        prefill_s=(None,) * len(models),
        fraction=tuple(m.gpu_fraction for m in models),
    )


def calibrate(
    observed: Observed,
    workload: Workload,
    cluster: Cluster,
    *,
    gpu_fraction: bool = False,
    params: CalibrationParams = CALIBRATION,
) -> Calibration:
    """Fit what the log can tell; see the module.

    Parameters
    ----------
    gpu_fraction : bool
        Fit ``gpu_fraction`` of every model that shared a GPU, and leave the sharing efficiency as
        it is: the two explain the same losses, and one run cannot tell them apart.
    params : CalibrationParams
        What a log must hold, and from where on a residual counts for less.
    """
    layout = courses(observed)
    given = stated_laws(workload, cluster)
    parameters = seen_parameters(
        observed, layout, workload, given, gpu_fraction=gpu_fraction, params=params
    )
    model = observed.model[observed.replica]
    calls = np.bincount(model, minlength=len(workload.models))
    total = np.bincount(model, observed.alone_s, minlength=len(workload.models))
    mean = total / np.maximum(1, calls)
    unit = np.sqrt(np.maximum(mean[model], 1e-12) * max(float(observed.alone_s.mean()), 1e-12))

    def residuals(x: FloatArray) -> FloatArray:
        laws, scale = laws_by(x, parameters, given)
        # Over the scale: else no work at all, by a scale of nothing, would fit.
        over = work_done(observed, layout, laws) / scale[model] - observed.alone_s
        return np.asarray(over / unit)

    x = np.concatenate([p.start for p in parameters]) if parameters else np.zeros(0)
    error = np.full(len(x), np.nan)
    # Without prefills first: a long one explains any time a little, and the fit would end there.
    held = [p.name == "prefill_time_seconds" for p in parameters for _ in p.start]
    for free in (~np.array(held, dtype=bool), np.ones(len(x), dtype=bool)):
        if free.any():
            x[free], error[free] = _fitted(residuals, x, free, _bounds(parameters), params.outlier)
    laws, scale = laws_by(x, parameters, given)
    start = np.ones(len(workload.models))
    return Calibration(
        estimates=(
            *_estimates(parameters, workload, given, laws, scale, error),
            *_unfitted(parameters, observed, workload, params.least_calls),
        ),
        laws=laws,
        scale=tuple(scale.tolist()),
        spread_before=_spread(work_done(observed, layout, given), observed, start[model]),
        spread_after=_spread(work_done(observed, layout, laws), observed, scale[model]),
    )


def _bounds(parameters: Sequence[Parameter]) -> tuple[FloatArray, FloatArray]:
    size = [len(p.start) for p in parameters]
    lower = np.repeat([p.lower for p in parameters], size)
    return lower, np.repeat([p.upper for p in parameters], size)


def _fitted(
    residuals: Callable[[FloatArray], FloatArray],
    x: FloatArray,
    free: BoolArray,
    bounds: tuple[FloatArray, FloatArray],
    outlier: float,
) -> tuple[FloatArray, FloatArray]:
    """The free ones of x where the squares are least, and their standard errors."""
    lower, upper = (bound[free] for bound in bounds)

    def of_free(part: FloatArray) -> FloatArray:
        whole = x.copy()
        whole[free] = part
        return residuals(whole)

    start = np.clip(x[free], lower + 1e-9, upper - 1e-9)
    found = least_squares(of_free, start, bounds=(lower, upper), loss="soft_l1", f_scale=outlier)
    return found.x, _errors(np.asarray(found.jac), found.fun)


def calibrated(
    workload: Workload, cluster: Cluster, found: Calibration
) -> tuple[Workload, Cluster]:
    """Config and cluster with the laws found; the trace's own service times stay as they are.

    Parameters
    ----------
    workload : Workload
        As it was read.
    cluster : Cluster
        As it was read.
    found : Calibration
        Laws of the models and of shared GPUs.
    """
    models = tuple(_model(m, i, found) for i, m in enumerate(workload.models))
    sharing = replace(cluster.sharing, efficiency=found.laws.efficiency)
    return replace(workload, models=models), replace(cluster, sharing=sharing)


def _model(model: Model, index: int, found: Calibration) -> Model:
    laws, scale = found.laws, found.scale[index]
    slowdown, prefill = laws.slowdown[index], laws.prefill_s[index]
    most = len(slowdown) - 1
    speed, mean = model.tokens_per_second, model.inference_time_mean_s
    return replace(
        model,
        slowdown=tuple(slowdown[min(n, most)] for n in range(model.max_concurrency)),
        gpu_fraction=laws.fraction[index],
        prefill_time_s=model.prefill_time_s if prefill is None else prefill,
        tokens_per_second=None if speed is None else speed / scale,
        inference_time_mean_s=None if mean is None else mean * scale,
    )


def _errors(jacobian: FloatArray, residual: FloatArray) -> FloatArray:
    """Standard errors by the Gauss-Newton covariance."""
    free = max(1, len(residual) - jacobian.shape[1])
    variance = float(residual @ residual) / free
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * variance
    return np.asarray(np.sqrt(np.maximum(0.0, np.diag(covariance))))


def _spread(done: FloatArray, observed: Observed, scale: FloatArray) -> float:
    expected = np.maximum(scale * observed.alone_s, 1e-12)
    return float(np.sqrt(np.mean((done / expected - 1.0) ** 2)))


def _estimates(
    parameters: Sequence[Parameter],
    workload: Workload,
    given: Laws,
    laws: Laws,
    scale: FloatArray,
    error: FloatArray,
) -> tuple[Estimate, ...]:
    found = []
    for p, own in stretches(error, parameters):
        name = None if p.model is None else workload.models[p.model].id
        if p.name == "sharing_efficiency":
            before, after = given.efficiency, laws.efficiency
        elif p.name == "service_time":
            assert p.model is not None
            before, after = (1.0,), (float(scale[p.model]),)
        elif p.name == "slowdown":
            assert p.model is not None
            fitted_at = knots(len(p.start))
            before = tuple(slowdown_at(given.slowdown[p.model], n) for n in fitted_at)
            after = tuple(slowdown_at(laws.slowdown[p.model], n) for n in fitted_at)
            own = np.sqrt(np.cumsum(own**2))
        elif p.name == "prefill_time_seconds":
            assert p.model is not None
            before, after = (float(p.start[0]),), (laws.prefill_s[p.model] or 0.0,)
        else:
            assert p.model is not None
            before, after = (given.fraction[p.model],), (laws.fraction[p.model],)
        found.append(Estimate(p.name, name, before, after, tuple(own.tolist()), p.calls))
    return tuple(found)


def _unfitted(
    parameters: Sequence[Parameter], observed: Observed, workload: Workload, least_calls: int
) -> tuple[Estimate, ...]:
    """Service times that stay, of models in the log that hardly ran alone."""
    fitted = {p.model for p in parameters if p.name == "service_time"}
    note = f"fewer than {least_calls} calls ran alone: the times of the trace are kept"
    return tuple(
        Estimate("service_time", workload.models[m].id, (1.0,), (1.0,), (np.nan,), 0, note)
        for m in sorted(set(observed.model.tolist()) - fitted)
    )


def gpu_fraction_of_two(throughput: float) -> float:
    """``gpu_fraction`` from the throughput X of two equal replicas that share a GPU, against one.

    Two customers of the machine repairman (`placement.problem.gpu_sharing`) with eta = 1 give
    X = 2 / (1 + u^2), so u = sqrt(2 / X - 1).

    Raises
    ------
    ValueError
        X is not above 1 and at most 2.
    """
    if not 1.0 <= throughput <= 2.0:
        raise ValueError(
            f"two replicas side by side do from 1 to 2 times the work of one, not {throughput:g}"
        )
    return float(np.sqrt(2.0 / throughput - 1.0))
