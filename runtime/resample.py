"""Other traces of the same kind: the stationary block bootstrap of a trace.

Politis and Romano, The stationary bootstrap, JASA 89 (1994): a resampled trace is made of blocks
of consecutive requests of the original, each begun at a random request and of geometric length.
A request travels whole: the gap before it, its workflow and its service times. So the rate, the
mix and the service times stay as they are on average, and inside a block burstiness and the
succession of workflows stay as they were; a trend over the whole trace (a rush hour) does not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from placement.problem.cluster import FloatArray, IntArray
from placement.problem.trace import Trace


def resample(trace: Trace, seed: int, replication: int, block: float | None = None) -> Trace:
    """Draw one trace of as many requests as `trace` has.

    Parameters
    ----------
    seed, replication : int
        Replication i of a seed is the same however many replications are drawn.
    block : float, optional
        Mean length of a block in requests, at least 1; `block_length` of the trace by default.
    """
    rng = np.random.default_rng([seed, replication])
    mean = block_length(trace) if block is None else block
    drawn = draw_positions(trace.n_requests, mean, rng)
    arrival = np.concatenate(([0.0], np.cumsum(gaps_before(trace)[drawn[1:]])))
    return take(trace, drawn, arrival[: len(drawn)])


def take(trace: Trace, drawn: IntArray, arrival_s: FloatArray) -> Trace:
    """Give a trace of some requests of another, in an order and at times of their own.

    Parameters
    ----------
    drawn : int64, shape (R,)
        Positions of the requests in `trace`; they get new ids.
    arrival_s : float64, shape (R,)
        Never decreasing.
    """
    sizes = np.diff(trace.offset)[drawn]
    offset = np.concatenate(([0], np.cumsum(sizes)))
    execution = np.arange(offset[-1]) + np.repeat(trace.offset[drawn] - offset[:-1], sizes)
    stated = trace.stated_prefill_s
    return replace(
        trace,
        request_ids=[str(r) for r in range(len(drawn))],
        arrival_s=arrival_s,
        workflow=trace.workflow[drawn],
        service_s=trace.service_s[execution],
        offset=offset,
        stated_prefill_s=None if stated is None else stated[execution],
        sessions=None if trace.sessions is None else trace.sessions[drawn],
    )


def draw_positions(n: int, block: float, rng: np.random.Generator) -> IntArray:
    """Positions of the original that a resampled series of length n takes, shape (n,).

    A block goes on with probability 1 - 1/`block`; behind the end of the series follows its
    beginning, so that every position is as likely as any other.

    Parameters
    ----------
    n : int
        Length of the series.
    block : float
        Mean length of a block, at least 1.
    rng : numpy.random.Generator
        Source of chance.

    Notes
    -----
    The stationary bootstrap of Politis and Romano (1994).
    """
    begins = rng.random(n) < 1.0 / block
    begins[:1] = True
    start = rng.integers(0, max(n, 1), n)
    index = np.arange(n)
    begin = np.maximum.accumulate(np.where(begins, index, 0))
    return np.asarray((start[begin] + index - begin) % max(n, 1), dtype=np.int64)


def gaps_before(trace: Trace) -> FloatArray:
    """Seconds between each request and the one before it, shape (R,).

    The first has none; it gets the mean, so that the mean gap, and with it the rate, is kept.
    """
    n = trace.n_requests
    return np.diff(trace.arrival_s, prepend=-trace.span_s / max(1, n - 1))


def block_length(trace: Trace) -> float:
    """Mean block length that a trace's memory asks for: the longer of its gaps' and its work's."""
    work = np.add.reduceat(trace.service_s, trace.offset[:-1])
    return max(optimal_block(gaps_before(trace)), optimal_block(work))


def optimal_block(series: FloatArray) -> float:
    """Mean block length of least error in the variance of the mean, in [1, min(3 sqrt(n), n/3)].

    Politis and White, Econometric Reviews 23 (2004), with the correction of Patton, Politis and
    White, ibid. 28 (2009), for the stationary bootstrap.
    """
    n = len(series)
    if not n:
        return 1.0
    centred = series - series.mean()
    spectrum = np.fft.rfft(centred, 2 * n)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2)[:n] / n
    if covariance[0] <= 1e-12 * float(np.abs(series).max()) ** 2:
        return 1.0
    run = max(5, int(np.ceil(np.sqrt(np.log10(n)))))
    last = int(np.ceil(np.sqrt(n))) + run
    if last >= n:
        return 1.0
    significant = np.abs(covariance[1 : last + 1]) > covariance[0] * 2 * np.sqrt(np.log10(n) / n)
    # The memory ends before the first `run` insignificant lags in a row.
    quiet = np.convolve(~significant, np.ones(run), "valid") > run - 0.5
    reach = int(quiet.argmax()) if quiet.any() else int(np.flatnonzero(significant)[-1]) + 1
    width = min(2 * max(reach, 1), last)
    lag = np.arange(1, width + 1)
    window = np.minimum(1.0, 2.0 * (1.0 - lag / width))
    near = covariance[1 : width + 1]
    slope = 2.0 * float((window * lag * near).sum())
    level = float(covariance[0]) + 2.0 * float((window * near).sum())
    block = np.cbrt(slope**2 / level**2 * n) if level else 1.0
    return float(np.clip(block, 1.0, max(1.0, min(3.0 * np.sqrt(n), n / 3.0))))
