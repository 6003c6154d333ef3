"""Replicas that only take their time: the simulator's own replicas, kept by a real clock.

Whatever the simulator does with a call that is committed to a replica (queues, batches, prefill,
shared GPUs) happens here too, because it is done by the same code; only that calls come when they
come, and ends are waited for.
"""

from __future__ import annotations

import asyncio

from runtime.arrays import NOWHERE, Problem
from runtime.engines.serial import SerialReplicas
from runtime.engines.sliced import SlicedReplicas
from runtime.policies import PlanShares, RoutingPolicy

NAN = float("nan")


class _Sliced(SlicedReplicas):
    def __init__(self, problem: Problem, policy: RoutingPolicy) -> None:
        super().__init__(problem, policy)
        self._prefill += [0.0] * (len(self.replica) - len(self._prefill))

    def add(self, replica: int, service_s: float, prefill_s: float) -> int:
        """Make room for a call that nobody knew of; return its number."""
        self._service.append(service_s)
        self._prefill.append(min(prefill_s, service_s))
        return _append(self, replica)


class _Serial(SerialReplicas):
    def add(self, replica: int, service_s: float, prefill_s: float) -> int:
        """Make room for a call that nobody knew of; return its number."""
        self._service.append(service_s)
        self._travels.append(False)
        return _append(self, replica)


def _append(station: SlicedReplicas | SerialReplicas, replica: int) -> int:
    for times in (station.ready, station.start, station.end_s):
        times.append(NAN)
    station.replica.append(replica)
    return len(station.replica) - 1


class Emulator:
    """The replicas of a cluster, in one event loop because they share its GPUs.

    To be made inside a running event loop.

    Parameters
    ----------
    problem : Problem
        Of which only the replicas matter.
    time_scale : float
        Seconds that a second of work takes.
    """

    def __init__(self, problem: Problem, *, time_scale: float = 1.0) -> None:
        kind = _Sliced if problem.sliced else _Serial
        self._station: _Sliced | _Serial = kind(problem, PlanShares())
        self._time_scale = time_scale
        self._zero_s = asyncio.get_running_loop().time()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def serve(self, replica: int, service_s: float, prefill_s: float = 0.0) -> None:
        """Take the time of one call; a call that is given up takes it all the same.

        Parameters
        ----------
        replica : int
            Who serves.
        service_s : float
            Seconds at speed 1, alone.
        prefill_s : float
            Part of them in which the replica's other calls stand still.
        """
        loop = asyncio.get_running_loop()
        now_s = (loop.time() - self._zero_s) / self._time_scale
        self._end_until(now_s)
        station = self._station
        call = station.add(replica, service_s, prefill_s)
        done = self._waiting[call] = loop.create_future()
        station.view.unfinished[replica] += 1
        station.routed(call, replica, now_s, travels=False)
        station.commit(call, now_s)
        self._set_timer()
        await done

    def _end_until(self, now_s: float) -> None:
        """End what has come to its end, in order."""
        station = self._station
        while (next_s := station.next_s()) <= now_s:
            call = station.end(next_s)
            if call != NOWHERE:
                done = self._waiting.pop(call)
                if not done.done():
                    done.set_result(None)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        next_s = self._station.next_s()
        if next_s < float("inf"):
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._zero_s + next_s * self._time_scale, self._wake, next_s)

    def _wake(self, next_s: float) -> None:
        self._timer = None
        now_s = (asyncio.get_running_loop().time() - self._zero_s) / self._time_scale
        self._end_until(max(now_s, next_s))  # however the clock was rounded
        self._set_timer()
