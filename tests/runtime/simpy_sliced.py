"""GPUs that replicas share at the same time, once more: every call's work counted down by itself.

Where the engines keep one clock a replica and touch only what changes, here all calls are brought
up to date at every event and all paces are worked out anew; and where they use the product form of
a closed network, here its Markov chain is solved.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import cache
from typing import Any

import numpy as np
import simpy

from tests.runtime.simpy_model import COMPLETIONS_FIRST, Execution, Model, Replica

BARELY = 1e-11
"""Seconds of work that are none, after a subtraction of what was rounded."""


@cache
def chain_pace(mine: int, fractions: tuple[float, ...], kept: tuple[float, ...]) -> float:
    """Calls a second that replica `mine` ends, each a second long, by the balance of all states.

    A state says which replicas want the GPU; host times and GPU times are exponential. A replica
    with fraction 1 always wants it.
    """
    n = len(fractions)
    states = [s for s in range(2**n) if all(s >> i & 1 or fractions[i] < 1 for i in range(n))]
    place = {s: i for i, s in enumerate(states)}
    rates = np.zeros((len(states), len(states)))
    ends = np.zeros(len(states))
    for s in states:
        k = s.bit_count()
        for i, u in enumerate(fractions):
            wants = s >> i & 1
            rate = kept[k] / k / u if wants else 1.0 / (1.0 - u)
            if wants and i == mine:
                ends[place[s]] = rate
            if u < 1:
                rates[place[s], place[s ^ (1 << i)]] += rate
    balance = np.vstack([(rates - np.diag(rates.sum(axis=1))).T, np.ones(len(states))])
    right = np.append(np.zeros(len(states)), 1.0)
    return float(ends @ np.linalg.lstsq(balance, right, rcond=None)[0])


class SlicedModel(Model):
    """Replicas in service share their GPUs; within a replica, calls share its pace."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.prefill: dict[Execution, float] = {}  # work left, in order of entry
        self.decode: dict[Execution, float] = {}
        self.finished: dict[Execution, simpy.Event] = {}
        self.now = 0.0
        self.turn = 0
        sharing = self.case.cluster.sharing
        self.kept = (1.0, 1.0, *(sharing.kept(n) for n in range(2, 1 + len(self.replicas))))

    def commit(self, e: Execution) -> simpy.Event:
        """Queue it, and begin what can begin."""
        assert e.replica is not None
        self._count_down()
        e.replica.committed.append(e)
        self.finished[e] = self.env.event()
        self._begin(e.replica)
        self._plan()
        return self.finished[e]

    def coming(self, e: Execution, travels: bool) -> None:
        """Only the replica itself has changed."""
        assert e.replica is not None
        e.replica.changed = self.env.now

    def free(self, p: Replica) -> float:
        """Since its last change while it has a place; else when what waits before has begun."""
        if self.unfinished(p) < self.slots(p):
            return p.changed
        first = p.changed
        if self._serving(p):
            first = min(self._ends(p))
        mine = [x for x in self.executions if x.replica is p and not x.done]
        ahead = sum(self._full(p, x) for x in mine if x not in self.prefill)
        return first + ahead / self.share(p)

    def share(self, p: Replica) -> float:
        """Beside all that have work, on their way too."""
        working = [q for q in self.replicas if self.unfinished(q)]
        return self._pace_among(p, working)

    def _full(self, p: Replica, x: Execution) -> float:
        slowdown, c = self.case.workload.models[p.model].slowdown, self.slots(p)
        prefill = x.prefill if c > 1 else 0.0
        return (prefill + (x.service - prefill) * slowdown[c - 1] / c) / p.speed

    def _pace_among(self, p: Replica, present: list[Replica]) -> float:
        models = self.case.workload.models
        paces = []
        for gpu in p.gpus:
            here = [q for q in self.replicas if gpu in q.gpus and (q in present or q is p)]
            fractions = tuple(models[q.model].gpu_fraction for q in here)
            paces.append(chain_pace(here.index(p), fractions, self.kept))
        return min(paces)

    def _serving(self, p: Replica) -> list[Execution]:
        return [x for x in self.prefill if x.replica is p]

    def _rates(self, p: Replica) -> dict[Execution, tuple[str, float]]:
        """Which calls of a replica proceed now, with what, and how fast."""
        serving = self._serving(p)
        if not serving:
            return {}
        pace = p.speed * self._pace_among(p, [q for q in self.replicas if self._serving(q)])
        # What entered behind a prefill stands still too, whether it has one or not.
        for x in serving:
            if self.prefill[x] > BARELY:
                return {x: ("prefill", pace)}
        slowdown = self.case.workload.models[p.model].slowdown[len(serving) - 1]
        return dict.fromkeys(serving, ("decode", pace / slowdown))

    def _ends(self, p: Replica) -> list[float]:
        """When each thing that proceeds on a replica would end at its pace."""
        return [
            self.now + max(0.0, getattr(self, what)[x]) / rate
            for x, (what, rate) in self._rates(p).items()
        ]

    def _count_down(self) -> None:
        passed = self.env.now - self.now
        if passed:
            for p in self.replicas:
                for x, (what, rate) in self._rates(p).items():
                    getattr(self, what)[x] -= rate * passed
        self.now = self.env.now

    def _begin(self, p: Replica) -> None:
        for x in p.committed:
            serving = self._serving(p)
            if len(serving) < self.slots(p) and x not in self.prefill and not x.done:
                x.start = self.env.now
                prefill = x.prefill if self.slots(p) > 1 else 0.0
                self.prefill[x] = prefill
                self.decode[x] = x.service - prefill

    def _plan(self) -> None:
        """Wake up when something ends next, unless something else happens before."""
        self.turn += 1
        ends = [end for p in self.replicas for end in self._ends(p)]
        if ends:
            self.env.process(self._wake(min(ends), self.turn))

    def _wake(self, when: float, turn: int) -> Generator[Any, Any, None]:
        yield self.at(when, COMPLETIONS_FIRST)
        if turn != self.turn:
            return
        self._count_down()
        for p in self.replicas:
            serving = self._serving(p)
            waits = False
            for x in serving:
                waits = waits or self.prefill[x] > BARELY
                # A call with nothing but a prefill ends with that, whoever waits behind it.
                if not waits and self.decode[x] <= BARELY:
                    x.end, x.done = self.env.now, True
                    p.changed = self.env.now
                    del self.prefill[x], self.decode[x]
                    yield_to = self.finished.pop(x)
                    yield_to.succeed()
            self._begin(p)
        self._plan()
