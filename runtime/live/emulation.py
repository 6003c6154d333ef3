"""Replicas that only take their time: the simulator's law of service, kept by a real clock.

The rules are those of docs/simulator.md. The replicas on a GPU share it as `Sharing` says; a
replica serves first come first served, up to `max_concurrency` calls at once, each slowed down by
how many there are at that moment.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Sharing = Literal["serial", "time-sliced"]

DUST_S = 1e-9
"""Seconds of work that rounding may leave of a call that is done."""


@dataclass(frozen=True)
class EmulatedReplica:
    """What one replica is made of.

    Parameters
    ----------
    gpus : tuple of int
        Its GPUs, numbered through the cluster.
    speed : float
        Of its server.
    slots : int
        Most calls in service at once.
    slowdown : tuple of float, length `slots`
        By the number in service, less one.
    """

    gpus: tuple[int, ...]
    speed: float = 1.0
    slots: int = 1
    slowdown: tuple[float, ...] = (1.0,)


@dataclass(eq=False)
class _Call:
    left_s: float
    order: int
    done: asyncio.Future[None]


@dataclass
class _State:
    queue: deque[_Call] = field(default_factory=deque)
    in_service: list[_Call] = field(default_factory=list)
    pace: float = 0.0


class Emulator:
    """The replicas of a cluster, in one event loop because they share its GPUs.

    Parameters
    ----------
    replicas : sequence of EmulatedReplica
    sharing : {"serial", "time-sliced"}
        One replica's calls on a GPU at a time, in order of arrival; or all replicas with calls
        in service share it evenly.
    efficiency : float
        With n > 1 replicas in service on a GPU, each gets this share over n of it.
    time_scale : float
        Seconds that a second of work takes.
    """

    def __init__(
        self,
        replicas: Sequence[EmulatedReplica],
        *,
        sharing: Sharing = "serial",
        efficiency: float = 1.0,
        time_scale: float = 1.0,
    ) -> None:
        self._replicas = replicas
        self._sharing = sharing
        self._efficiency = efficiency
        self._time_scale = time_scale
        self._state = [_State() for _ in replicas]
        self._arrivals = 0
        self._timer: asyncio.TimerHandle | None = None
        self._then_s = 0.0

    async def serve(self, replica: int, service_s: float) -> None:
        """Take the time of one call.

        Parameters
        ----------
        service_s : float
            Seconds at speed 1, alone.
        """
        loop = asyncio.get_running_loop()
        self._advance(loop.time())
        self._arrivals += 1
        work_s = service_s / self._replicas[replica].speed * self._time_scale
        call = _Call(work_s, self._arrivals, loop.create_future())
        self._state[replica].queue.append(call)
        self._settle()
        try:
            await call.done
        except asyncio.CancelledError:
            self._advance(loop.time())
            state = self._state[replica]
            if call in state.in_service:
                state.in_service.remove(call)
            elif call in state.queue:
                state.queue.remove(call)
            self._settle()
            raise

    def _advance(self, now_s: float) -> None:
        """Let the calls in service proceed to an instant."""
        passed_s, self._then_s = now_s - self._then_s, now_s
        for state in self._state:
            for call in state.in_service:
                call.left_s -= passed_s * state.pace

    def _settle(self) -> None:
        """End what is done, begin what can begin, and find out when that is so next."""
        for state in self._state:
            for call in [c for c in state.in_service if c.left_s <= DUST_S]:
                state.in_service.remove(call)
                if not call.done.done():
                    call.done.set_result(None)
        self._begin()
        self._set_paces()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        next_s = min(
            (
                call.left_s / state.pace
                for state in self._state
                if state.pace
                for call in state.in_service
            ),
            default=None,
        )
        if next_s is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._then_s + next_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._advance(asyncio.get_running_loop().time())
        self._settle()

    def _begin(self) -> None:
        if self._sharing == "time-sliced":
            for replica, state in zip(self._replicas, self._state, strict=True):
                while state.queue and len(state.in_service) < replica.slots:
                    state.in_service.append(state.queue.popleft())
            return
        # In order of arrival; who waits for a GPU keeps all who came later from it.
        holder: dict[int, int] = {}
        for p, state in enumerate(self._state):
            if state.in_service:
                holder |= dict.fromkeys(self._replicas[p].gpus, p)
        waiting = sorted((call.order, p) for p, s in enumerate(self._state) for call in s.queue)
        for _, p in waiting:
            replica, state = self._replicas[p], self._state[p]
            free = all(holder.get(gpu, p) == p for gpu in replica.gpus)
            if free and len(state.in_service) < replica.slots:
                state.in_service.append(state.queue.popleft())
            for gpu in replica.gpus:
                holder.setdefault(gpu, p)
                if not free:
                    holder[gpu] = -1

    def _set_paces(self) -> None:
        busy: dict[int, int] = {}
        for replica, state in zip(self._replicas, self._state, strict=True):
            if state.in_service:
                for gpu in replica.gpus:
                    busy[gpu] = busy.get(gpu, 0) + 1
        for replica, state in zip(self._replicas, self._state, strict=True):
            n = len(state.in_service)
            if not n:
                state.pace = 0.0
                continue
            most = max(busy[gpu] for gpu in replica.gpus)
            share = 1.0 if self._sharing == "serial" or most == 1 else self._efficiency / most
            state.pace = share / replica.slowdown[min(n, len(replica.slowdown)) - 1]
