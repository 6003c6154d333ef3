"""The work that a log's executions got, by laws of sharing and batching that are to be tried.

Between two events on its GPUs (a call begins or ends) a replica runs at one pace: its share of the
GPUs, and where calls are batched that over slowdown(n), n being those in service. While a prefill
is served the others of the replica stand still. So the clock of a replica

    V(t) = integral to t of  share / slowdown(n)  while no prefill is served

is known from the log and the laws, without simulating who waits for whom, and a call that is in
service from s to e has been served  prefill + V(e) - V(s)  seconds of its time alone. The laws are
right where that is the time alone of every call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from placement.problem.cluster import FloatArray, GpuSharing, IntArray
from placement.problem.gpu_sharing import paces
from placement.support.equality import ByContent
from runtime.calibration.observed import Observed


@dataclass(frozen=True)
class Laws:
    """What one tries, model by model.

    Parameters
    ----------
    efficiency : tuple of float
        eta(2), eta(3), ...; the last holds for all that are more.
    slowdown : tuple of tuples
        By model, for n = 1, 2, ...; the last holds for all that are more.
    prefill_s : tuple of (float or None)
        By model; None where the trace's own holds.
    fraction : tuple of float
        ``gpu_fraction`` by model.
    """

    efficiency: tuple[float, ...]
    slowdown: tuple[tuple[float, ...], ...]
    prefill_s: tuple[float | None, ...]
    fraction: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Course(ByContent):
    """What happened on the GPUs of one replica, between I + 1 events.

    Parameters
    ----------
    calls : int64, shape (C,)
        Positions of its executions in `Observed`.
    length_s : float64, shape (I,)
    in_service : int64, shape (I,)
        Calls of the replica that are in service.
    company : int64, shape (I,)
        Index into `companies`.
    companies : tuple
        The sets of models with work in service that were seen, GPU by GPU; the replica's own is
        first in each.
    begins, ends : int64, shape (C,)
        Event at which each call begins and ends.
    """

    calls: IntArray
    length_s: FloatArray
    in_service: IntArray
    company: IntArray
    companies: tuple[tuple[tuple[int, ...], ...], ...]
    begins: IntArray
    ends: IntArray


def courses(observed: Observed) -> list[Course]:
    """Lay out what happened around every replica."""
    calls = [np.flatnonzero(observed.replica == p) for p in range(len(observed.model))]
    return [_course(observed, calls, p) for p in range(len(calls))]


def _course(observed: Observed, calls: Sequence[IntArray], p: int) -> Course:
    first, last = observed.first_gpu, observed.first_gpu + observed.gpus
    near = np.flatnonzero((first < last[p]) & (first[p] < last))
    near = near[near != p]
    mine = calls[p]
    rows = np.concatenate([mine, *(calls[q] for q in near)])
    # What neighbours do while the replica is idle is of no interest, but costs nothing.
    edges = np.unique(np.concatenate([observed.start_s[rows], observed.end_s[rows]]))
    count = np.zeros((len(near) + 1, len(edges)), dtype=np.int64)
    for i, q in enumerate([p, *near.tolist()]):
        begin = np.searchsorted(edges, observed.start_s[calls[q]])
        end = np.searchsorted(edges, observed.end_s[calls[q]])
        change = np.bincount(begin, minlength=len(edges)) - np.bincount(end, minlength=len(edges))
        count[i] = np.cumsum(change)
    busy = count[:, :-1] > 0
    seen, company = np.unique(busy, axis=1, return_inverse=True)
    gpus = range(int(first[p]), int(last[p]))
    holds = [[bool(first[q] <= g < last[q]) for q in near] for g in gpus]
    companies = tuple(
        tuple(
            sorted({
                (int(observed.model[p]), *(
                    int(observed.model[q])
                    for i, q in enumerate(near) if here[i] and seen[i + 1, c]
                ))
                for here in holds
            })
        )
        for c in range(seen.shape[1])
    )  # fmt: skip
    return Course(
        calls=mine,
        length_s=np.diff(edges),
        in_service=count[0, :-1],
        company=company.ravel().astype(np.int64),
        companies=companies,
        begins=np.searchsorted(edges, observed.start_s[mine]),
        ends=np.searchsorted(edges, observed.end_s[mine]),
    )


def work_done(observed: Observed, layout: Sequence[Course], laws: Laws) -> FloatArray:
    """Seconds of its time alone that every execution was served, shape (E,).

    Parameters
    ----------
    observed : Observed
        E executions of the log.
    layout : sequence of Course
        Of each replica: who was in service, and which neighbours were busy, interval by interval.
    laws : Laws
        Slowdown, prefill, GPU fraction and sharing efficiency.
    """
    done = np.zeros(len(observed.replica))
    sharing = GpuSharing(efficiency=laws.efficiency)
    kept = [1.0, *(sharing.kept(n) for n in range(1, len(observed.model) + 1))]
    for p, course in enumerate(layout):
        model = int(observed.model[p])
        own = laws.prefill_s[model]
        if own is None:
            prefill = observed.prefill_s[course.calls]
        else:
            prefill = own * observed.prefill_part[course.calls]
        share = np.array([
            min(paces([laws.fraction[m] for m in gpu], kept)[0] for gpu in company)
            for company in course.companies
        ])[course.company]  # fmt: skip
        factors = np.array(laws.slowdown[model])
        n = course.in_service
        slowdown = factors[np.clip(n, 1, len(factors)) - 1]
        rate = np.where(n > 0, share / slowdown, 0.0)
        if prefill.any():
            rate *= 1.0 - _held_up(course, share, prefill)
        clock = np.concatenate(([0.0], np.cumsum(rate * course.length_s)))
        done[course.calls] = prefill + clock[course.ends] - clock[course.begins]
    return done


def _held_up(course: Course, share: FloatArray, prefill: FloatArray) -> FloatArray:
    """Part of every interval in which prefills are served: what came and is not done yet."""
    arriving = np.bincount(course.begins, prefill, minlength=len(share) + 1).tolist()
    given = (share * course.length_s).tolist()
    part, left = np.zeros(len(share)), 0.0
    for i, capacity in enumerate(given):
        left += arriving[i]
        if left > 0 and capacity > 0:
            part[i] = min(1.0, left / capacity)
            left = max(0.0, left - capacity)
    return part
