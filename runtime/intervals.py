"""What the metrics of several replications say: means with their Student-t intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import stdtrit

from placement.trace import Trace
from runtime.metrics import summarize
from runtime.resample import block_length, resample
from runtime.result import RunResult

CONFIDENCE = 0.95
SETTINGS = ("gpus_per_server", "simulate")
"""Numbers of a summary that are no metrics."""
PERCENTAGES = ("server_efficiency", "average_utilization", "switch_overhead")


@dataclass(frozen=True, slots=True)
class Interval:
    """One metric over n replications; all but the mean need two of them.

    Parameters
    ----------
    mean : float
    half_width : float or None
        t s / sqrt(n): the expected value over resampled traces lies within mean +- half_width.
    sd : float or None
        Standard deviation s between replications.
    low, high : float or None
        mean -+ t s sqrt(1 + 1/n). One more trace of this kind falls between them; and, as s
        estimates how far the trace at hand may be off by chance, they are the bootstrap's
        confidence interval for the traffic that the trace is a sample of.
    """

    mean: float
    half_width: float | None
    sd: float | None
    low: float | None
    high: float | None


def interval(
    values: Sequence[float],
    confidence: float = CONFIDENCE,
    *,
    least: float = -np.inf,
    most: float = np.inf,
) -> Interval:
    """Student-t interval of a sample; `least` and `most` are what the metric can attain."""
    sample = np.asarray(values, dtype=np.float64)
    n, mean = len(sample), float(sample.mean())
    if n < 2:
        return Interval(mean, None, None, None, None)
    s = float(sample.std(ddof=1))
    t = float(stdtrit(n - 1, 0.5 + confidence / 2))
    reach = t * s * np.sqrt(1 + 1 / n)
    low, high = max(least, mean - reach), min(most, mean + reach)
    return Interval(mean, t * s / float(np.sqrt(n)), s, float(low), float(high))


def intervals(
    summaries: Sequence[Mapping[str, object]], confidence: float = CONFIDENCE
) -> dict[str, object]:
    """Interval of every metric of `summarize` as a JSON-ready object of the same shape."""
    found: dict[str, object] = {}
    for name, first in summaries[0].items():
        column = [s[name] for s in summaries]
        if isinstance(first, Mapping):
            found[name] = intervals([c for c in column if isinstance(c, Mapping)], confidence)
        elif isinstance(first, int | float) and name not in SETTINGS:
            numbers = [float(c) for c in column if isinstance(c, int | float)]
            most = 100.0 if name in PERCENTAGES else np.inf
            found[name] = asdict(interval(numbers, confidence, least=0.0, most=most))
    return found


def replicate(
    run: Callable[[Trace], RunResult], trace: Trace, repeat: int, seed: int
) -> list[dict[str, object]]:
    """Run `repeat` resampled traces; the summary of each.

    Replications of equal seeds see equal traces, so that schedulers can be compared in pairs.
    """
    block = block_length(trace)
    return [summarize(run(resample(trace, seed, i, block))) for i in range(repeat)]
