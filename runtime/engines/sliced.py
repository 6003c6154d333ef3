"""GPUs that replicas share at the same time, in plain Python: the oracle of the compiled loop.

Semantics of ``gpu_sharing: time-sliced``:

- **A GPU** serves all replicas on it that have a call in service, each at the pace that
  `placement.problem.gpu_sharing` gives it: eta(n) / n with n of them that occupy the GPU all the
  time. A replica on several GPUs proceeds at the least of their paces.
- **A replica** serves first come, first served, up to `max_concurrency` calls at once. While n are
  in service each proceeds at the replica's pace / slowdown(n), n being who is there at that moment.
- **Prefill.** While a call's prefill is served the others of the replica stand still, and no
  slowdown counts; prefills that wait are served in order.

So all calls in service of a replica proceed alike, and the order in which they end is known when
they enter: each has a *tag*, the reading of the replica's own clock (seconds of work served to each
call) at which it ends. The clock stands still during prefills, and begins anew at 0 when nobody is
in service. An event changes the pace of the replicas on the same GPUs, and of no others; only
those whose pace did change are brought up to date.

What a router is told of a replica with n unfinished calls, those whose data still travels among
them, and c places: its GPUs are shared by it and all neighbours that have an unfinished call
(`View.share`). With n < c, a call would begin at once, in the company of n others; the replica is
free since its last call came or ended. Else one begins when the next thing in service ends and
what waits before it has been served, as a full batch would serve it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence

from placement.problem.gpu_sharing import paces
from runtime.arrays import NOWHERE, Problem
from runtime.engines.replicas import Replicas
from runtime.policies import RoutingPolicy

NEVER = float("inf")


class SlicedReplicas(Replicas):
    """A station whose ends move with every call that begins or ends beside them."""

    def __init__(self, problem: Problem, policy: RoutingPolicy) -> None:
        super().__init__(problem, policy)
        replicas = range(problem.n_replicas)
        self._fraction: list[float] = problem.replica_fraction.tolist()
        self._kept: list[float] = problem.kept.tolist()
        first = problem.replica_first_gpu.tolist()
        self._gpus = [
            range(g, g + k) for g, k in zip(first, problem.replica_gpus.tolist(), strict=True)
        ]
        self._waiting: list[deque[int]] = [deque() for _ in replicas]
        self._prefilling: list[deque[int]] = [deque() for _ in replicas]
        self._serving: list[list[tuple[float, int]]] = [[] for _ in replicas]
        self._clock = [0.0 for _ in replicas]
        self._left = [0.0 for _ in replicas]  # of the prefill that is being served
        self._since = [0.0 for _ in replicas]  # when clock and prefill were brought up to date
        self._pace = [0.0 for _ in replicas]  # of the clock, or of the prefill
        self._share = [0.0 for _ in replicas]  # of the replica, while it has a call in service
        self._next = [NEVER for _ in replicas]
        self._events: list[tuple[float, int]] = []  # holds what is out of date, too
        n_gpus = problem.cluster.n_gpus
        self._busy: list[set[int]] = [set() for _ in range(n_gpus)]  # has a call in service
        self._active: list[set[int]] = [set() for _ in range(n_gpus)]  # has an unfinished call
        self._changed = list(self.view.free_s)  # when a call last came or ended
        self._ahead = [0.0 for _ in replicas]  # work of the calls that are not yet in service
        for p in replicas:
            self._estimate(p)

    def routed(self, execution: int, replica: int, now_s: float, *, travels: bool) -> None:
        """Count a call at once, although its data may still travel.

        Parameters
        ----------
        execution, replica : int
            The call, and where it goes.
        now_s : float
            Simulated time.
        travels : bool
            Its data is still on the way.
        """
        self._ahead[replica] += self._full_work(execution)
        self._changed[replica] = now_s
        if self.view.unfinished[replica] == 1:
            self._notice(replica)
        self._estimate(replica)

    def commit(self, execution: int, now_s: float) -> None:
        """Let an execution join the queue of its replica."""
        replica = self.replica[execution]
        self.ready[execution] = now_s
        self._waiting[replica].append(execution)
        if self._in_service(replica) < self._slots[replica]:
            self._settle(replica, now_s)
            self._admit(replica, now_s)
        self._estimate(replica)

    def next_s(self) -> float:
        """Return when the next prefill or call ends."""
        events = self._events
        while events and events[0][0] != self._next[events[0][1]]:
            heapq.heappop(events)
        return events[0][0] if events else NEVER

    def end(self, now_s: float) -> int:
        """Take the first prefill or call that ends now, on the lowest replica."""
        _, p = heapq.heappop(self._events)
        self._settle(p, now_s)
        self._next[p] = NEVER
        done = NOWHERE
        if self._prefilling[p]:
            execution = self._prefilling[p].popleft()
            decode = self._work(execution)[1]
            if decode > 0.0:
                heapq.heappush(self._serving[p], (self._clock[p] + decode, execution))
            else:
                done = execution
            if self._prefilling[p]:
                self._left[p] = self._work(self._prefilling[p][0])[0]
        else:
            self._clock[p], done = heapq.heappop(self._serving[p])
        if done != NOWHERE:
            self.end_s[done] = now_s
            self.view.unfinished[p] -= 1
            self._changed[p] = now_s
            if not self._in_service(p):
                self._clock[p] = 0.0
        self._admit(p, now_s)
        if done != NOWHERE and not self.view.unfinished[p]:
            self._notice(p)
        self._estimate(p)
        return done

    def take_away(self, replicas: Sequence[int], cut: Sequence[int], now_s: float) -> None:
        """Empty queues, prefills and batches, and give the neighbours what is free now.

        Parameters
        ----------
        replicas : sequence of int
            Those that go.
        cut : sequence of int
            Executions routed to them that have not ended, ascending.
        now_s : float
            Simulated time.
        """
        for p in replicas:
            self._waiting[p].clear()
            self._prefilling[p].clear()
            self._serving[p].clear()
            self._clock[p] = 0.0
            self._changed[p] = now_s
            worked = self.view.unfinished[p] > 0
            self.view.unfinished[p] = 0
            self._admit(p, now_s)
            if worked:
                self._notice(p)
            self._estimate(p)

    def give_back(self, replicas: Sequence[int], now_s: float) -> None:
        """Let replicas be idle from now on."""
        for p in replicas:
            self._changed[p] = now_s
            self._estimate(p)

    def _work(self, execution: int) -> tuple[float, float]:
        """Seconds of prefill, and of what follows it, on the replica of an execution."""
        p = self.replica[execution]
        speed, whole = self._speed[p], self._service[execution]
        if self._slots[p] == 1 or not self._prefill:
            return 0.0, whole / speed
        prefill = self._prefill[execution]
        return prefill / speed, (whole - prefill) / speed

    def _full_work(self, execution: int) -> float:
        """Seconds of a replica that an execution takes where its places are all filled."""
        p = self.replica[execution]
        prefill, decode = self._work(execution)
        return prefill + decode * (self._slowdown[p][self._slots[p] - 1] / self._slots[p])

    def _in_service(self, p: int) -> int:
        return len(self._serving[p]) + len(self._prefilling[p])

    def _settle(self, p: int, now_s: float) -> None:
        """Bring a replica up to date: it has proceeded at its pace since it last was."""
        served = (now_s - self._since[p]) * self._pace[p]
        if self._prefilling[p]:
            self._left[p] -= served
        elif self._serving[p]:
            self._clock[p] += served
        self._since[p] = now_s

    def _admit(self, p: int, now_s: float) -> None:
        """Fill the places of a replica from its queue, and let its neighbours feel it."""
        while self._waiting[p] and self._in_service(p) < self._slots[p]:
            execution = self._waiting[p].popleft()
            self.start[execution] = now_s
            self._ahead[p] -= self._full_work(execution)
            prefill, decode = self._work(execution)
            if prefill > 0.0 or self._prefilling[p]:
                if not self._prefilling[p]:
                    self._left[p] = prefill
                self._prefilling[p].append(execution)
            else:
                heapq.heappush(self._serving[p], (self._clock[p] + decode, execution))
        if self.view.unfinished[p] == self._in_service(p):
            self._ahead[p] = 0.0  # exactly, whatever was rounded on the way
        busy = self._in_service(p) > 0
        if busy != (p in self._busy[self._gpus[p][0]]):
            for gpu in self._gpus[p]:
                (self._busy[gpu].add if busy else self._busy[gpu].discard)(p)
            self._share[p] = self._least(p, self._busy) if busy else 0.0
            for rival in self._rivals[p]:
                if self._in_service(rival):
                    share = self._least(rival, self._busy)
                    if share != self._share[rival]:
                        self._settle(rival, now_s)
                        self._share[rival] = share
                        self._foresee(rival, now_s)
                        self._estimate(rival)
        self._foresee(p, now_s)

    def _foresee(self, p: int, now_s: float) -> None:
        """Set the pace of a replica that is up to date, and say what ends on it next."""
        if not self._in_service(p):
            self._next[p] = NEVER
            return
        if self._prefilling[p]:
            self._pace[p] = self._share[p]
            left = self._left[p]
        else:
            self._pace[p] = self._share[p] / self._slowdown[p][len(self._serving[p]) - 1]
            left = self._serving[p][0][0] - self._clock[p]
        self._next[p] = now_s + max(0.0, left) / self._pace[p]
        heapq.heappush(self._events, (self._next[p], p))

    def _least(self, p: int, present: list[set[int]]) -> float:
        """Pace of a replica among those present on its GPUs: the least of theirs."""
        least = NEVER
        for gpu in self._gpus[p]:
            # In an order by which equal company gives equal paces to the last bit: ties are ties.
            members = sorted(present[gpu] | {p}, key=lambda q: (self._fraction[q], q))
            fractions = [self._fraction[q] for q in members]
            least = min(least, paces(fractions, self._kept)[members.index(p)])
        return least

    def _notice(self, p: int) -> None:
        """Let the estimates of a replica's neighbours feel that it has work now, or none."""
        active = self.view.unfinished[p] > 0
        for gpu in self._gpus[p]:
            (self._active[gpu].add if active else self._active[gpu].discard)(p)
        for rival in self._rivals[p]:
            self.view.share[rival] = self._least(rival, self._active)
            self._estimate(rival)

    def _estimate(self, p: int) -> None:
        """Tell routers when a call would begin on a replica, and how long it would take there."""
        self._stretch(p)
        free = self._changed[p]
        if self.view.unfinished[p] >= self._slots[p]:
            if self._in_service(p):
                free = self._next[p]
            free += self._ahead[p] / self.view.share[p]
        self.view.free_s[p] = free
