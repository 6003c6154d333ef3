"""What the metrics of several runs say: of independent ones, and of resampled traces.

The runs of a simulation model that is drawn anew each time are independent, and their mean comes
as close to the expected value as there are runs. Traces resampled from one trace are not: they
scatter about that trace, which is itself one of those that the traffic might have been. However
many are run, their mean stays as far from the expected value as chance has put the trace. What
they do show is how far chance puts a trace, and so where the figure falls on another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import stdtrit

from placement.problem.trace import Trace
from runtime.metrics import summarize
from runtime.ray.spread import Spread, serially
from runtime.resample import block_length, resample
from runtime.result import RunResult

CONFIDENCE = 0.95
SETTINGS = ("gpus_per_server", "simulate")
"""Numbers of a summary that are no metrics."""
PERCENTAGES = ("server_efficiency", "average_utilization", "switch_overhead")


@dataclass(frozen=True, slots=True)
class Interval:
    """One metric over n independent runs; all but the mean need two of them.

    Parameters
    ----------
    mean : float
    half_width : float or None
        t s / sqrt(n): the expected value lies within mean +- half_width.
    sd : float or None
        Standard deviation s between runs.
    """

    mean: float
    half_width: float | None
    sd: float | None


@dataclass(frozen=True, slots=True)
class TrafficRange:
    """One metric over traffic, from n resampled traces; all but the mean need two of them.

    Parameters
    ----------
    mean : float
        Over the resampled traces.
    sd : float or None
        Standard deviation s between them: how far chance puts the metric of one trace.
    low, high : float or None
        mean -+ t s sqrt(2 + 1/n). The metric of another trace of the same traffic falls between
        them: it is off by s, and so is the trace that the resampled ones scatter about.
    """

    mean: float
    sd: float | None
    low: float | None
    high: float | None


def interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Student-t interval of the expected value from independent runs."""
    sample = np.asarray(values, dtype=np.float64)
    n, mean = len(sample), float(sample.mean())
    if n < 2:
        return Interval(mean, None, None)
    s = float(sample.std(ddof=1))
    return Interval(mean, _quantile(n, confidence) * s / float(np.sqrt(n)), s)


def traffic_range(
    values: Sequence[float],
    confidence: float = CONFIDENCE,
    *,
    least: float = -np.inf,
    most: float = np.inf,
) -> TrafficRange:
    """Where a metric falls on another trace; `least` and `most` are what it can attain.

    Parameters
    ----------
    values : sequence of float
        The metric on n independent replications.
    confidence : float
        With which another trace falls into the range.
    least, most : float
        What the metric can attain; the range is cut there.

    Returns
    -------
    TrafficRange
        Mean, standard deviation s, and mean ± t sqrt(2 + 1/n) s; a single value has no range.
    """
    sample = np.asarray(values, dtype=np.float64)
    n, mean = len(sample), float(sample.mean())
    if n < 2:
        return TrafficRange(mean, None, None, None)
    s = float(sample.std(ddof=1))
    reach = _quantile(n, confidence) * s * np.sqrt(2 + 1 / n)
    low, high = max(least, mean - reach), min(most, mean + reach)
    return TrafficRange(mean, s, float(low), float(high))


def _quantile(n: int, confidence: float) -> float:
    return float(stdtrit(n - 1, 0.5 + confidence / 2))


def intervals(
    summaries: Sequence[Mapping[str, object]], confidence: float = CONFIDENCE
) -> dict[str, object]:
    """`TrafficRange` of every metric of `summarize`, JSON-ready, in an object of its shape."""
    found: dict[str, object] = {}
    # A rare workflow may stand in few of the resampled traces.
    for name in dict.fromkeys(name for s in summaries for name in s):
        column = [s[name] for s in summaries if name in s]
        first = column[0]
        if isinstance(first, Mapping):
            found[name] = intervals([c for c in column if isinstance(c, Mapping)], confidence)
        elif isinstance(first, int | float) and name not in SETTINGS:
            numbers = [float(c) for c in column if isinstance(c, int | float)]
            most = 100.0 if name in PERCENTAGES else np.inf
            found[name] = asdict(traffic_range(numbers, confidence, least=0.0, most=most))
    return found


def replicate(
    run: Callable[[Trace], RunResult],
    trace: Trace,
    repeat: int,
    seed: int,
    spread: Spread = serially,
) -> Iterator[dict[str, object]]:
    """Run `repeat` resampled traces; the summary of each, as soon as it is known.

    Replications of equal seeds see equal traces, so that schedulers can be compared in pairs.

    Parameters
    ----------
    run : callable
        One simulation.
    trace : Trace
        Resampled in blocks of whole requests.
    repeat : int
        Replications.
    seed : int
        Of the resampling.
    """
    block = block_length(trace)

    def one(i: int) -> dict[str, object]:
        return summarize(run(resample(trace, seed, i, block)))

    return spread(one, range(repeat))
