"""An independent model of the runtime's semantics (docs/simulator.md, "What happens"), on SimPy.

It shares no code and no data structure with the engines: GPUs are lists of commitments, times
to come are worked out from the definition each time they are needed, and SimPy's own clock and
events decide when things happen.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

from tests.runtime.cases import Case

COMPLETIONS_FIRST = 10
"""SimPy priorities at one instant: ends are 10, then executions by number from 11."""


@dataclass
class Replica:
    """A block of GPUs, and what was committed to it in that order."""

    number: int
    model: int
    server: int
    gpus: range
    speed: float
    committed: list[Execution] = field(default_factory=list)


@dataclass(eq=False)
class Execution:
    """One call of a model."""

    number: int
    node: int
    request: int
    service: float
    target: int
    patience: float
    parents: list[tuple[Execution, float]] = field(default_factory=list)
    children: list[Execution] = field(default_factory=list)
    missing: int = 0
    replica: Replica | None = None
    ready: float = float("nan")
    start: float = float("nan")
    end: float = float("nan")
    done: bool = False


class Model:
    """The servers of a case, its requests, and one routing policy."""

    def __init__(self, case: Case, policy: str, targets: list[int], patience: list[list[float]]):
        self.case, self.policy = case, policy
        self.env = simpy.Environment()
        self.order: list[Execution] = []  # everything committed, in that order
        cluster, placement = case.cluster, case.placement
        self.replicas = []
        rows = zip(placement.model, placement.server, placement.start, strict=True)
        for p, (m, s, i) in enumerate(rows):
            first = int(cluster.first_gpu[s] + i)
            block = range(first, first + case.workload.models[m].gpus_required)
            speed = cluster.server_types[cluster.server_type[s]].speed
            self.replicas.append(Replica(p, int(m), int(s), block, float(speed)))
        self.executions: list[Execution] = []
        for r, w in enumerate(case.trace.workflow.tolist()):
            self._request(r, w, targets, patience[w])

    def _request(self, r: int, w: int, targets: list[int], patience: list[float]) -> None:
        workflow = self.case.workload.workflows[w]
        first = len(self.executions)
        service = self.case.trace.service_s
        mine = [
            Execution(first + v, v, r, float(service[first + v]), targets[first + v], patience[v])
            for v in range(len(workflow.nodes))
        ]
        for edge in sorted(workflow.edges, key=lambda e: (e.source, e.target)):
            mine[edge.target].parents.append((mine[edge.source], edge.payload_mb))
            mine[edge.source].children.append(mine[edge.target])
        self.executions += mine
        held = {replica.model for replica in self.replicas}
        if any(node.model not in held for node in workflow.nodes):
            return
        arrival = 0.0 if self.case.mode == "offline" else float(self.case.trace.arrival_s[r])
        for e in mine:
            e.missing = len(e.parents)
            if not e.missing:
                self.env.process(self._life(e, arrival))

    def _at(self, when: float, priority: int) -> simpy.Event:
        """Trigger an event at an absolute time, in a stated order at that instant."""
        event = simpy.Event(self.env)
        event._ok, event._value = True, None
        # As env.schedule does, but for a time: now + (when - now) may miss it by the last bit.
        heapq.heappush(self.env._queue, (when, priority, next(self.env._eid), event))
        return event

    def _life(self, e: Execution, arrival: float) -> Generator[Any, Any, None]:
        turn = COMPLETIONS_FIRST + 1 + e.number
        yield self._at(arrival, turn)
        e.replica = self._route(e)
        data = self._data(e, e.replica.server)
        if data > self.env.now:
            yield self._at(data, turn)
        e.ready = self.env.now
        e.start, e.end = self._times(e.replica, e.ready, e)
        self.order.append(e)
        e.replica.committed.append(e)
        yield self._at(e.end, COMPLETIONS_FIRST)
        e.done = True
        for child in e.children:
            child.missing -= 1
            if not child.missing:
                self.env.process(self._life(child, self.env.now))

    def _times(self, p: Replica, ready: float, e: Execution) -> tuple[float, float]:
        """Start and end of an execution committed now behind all that is committed."""
        slots = self.case.workload.models[p.model].max_concurrency
        own = sorted((x.end for x in p.committed), reverse=True)
        slot_free = own[slots - 1] if len(own) >= slots else 0.0
        rivals = [
            x.end
            for x in self.order
            if x.replica is not p and x.replica and set(x.replica.gpus) & set(p.gpus)
        ]
        start = max([ready, slot_free, *rivals])
        together = sum(end > start for end in own)
        slowdown = self.case.workload.models[p.model].slowdown[together]
        return start, start + e.service / p.speed * slowdown

    def _data(self, e: Execution, server: int) -> float:
        """When all data would be on a server; latency + payload / bandwidth over every edge."""
        network = self.case.cluster.network
        arrivals = [self.env.now]
        for parent, payload_mb in e.parents:
            assert parent.replica is not None
            near = parent.replica.server == server
            latency = network.intra_latency_s if near else network.inter_latency_s
            width = network.intra_bandwidth_gb_per_s if near else network.inter_bandwidth_gb_per_s
            arrivals.append(parent.end + (latency + payload_mb / 1000.0 / width))
        return max(arrivals)

    def _start_on(self, e: Execution, p: Replica) -> float:
        return self._times(p, self._data(e, p.server), e)[0]

    def _model(self, e: Execution) -> int:
        w = int(self.case.trace.workflow[e.request])
        return self.case.workload.workflows[w].nodes[e.node].model

    def _route(self, e: Execution) -> Replica:
        model = self._model(e)
        able = [p for p in self.replicas if p.model == model]
        if self.policy == "least-loaded":

            def queue(p: Replica) -> int:
                return sum(x.replica is p and not x.done for x in self.executions)

            return min(able, key=lambda p: (queue(p), p.number))
        first = min(able, key=lambda p: (self._start_on(e, p), p.number))
        if self.policy == "earliest":
            return first
        home = e.target
        if self.policy == "locality" and e.parents:
            parent = e.parents[0][0]
            assert parent.replica is not None
            at = parent.replica.server
            if parent.target not in (-1, at) and any(p.server == at for p in able):
                home = at
        near = [p for p in able if p.server == home]
        if not near:
            return first
        stay = min(near, key=lambda p: (self._start_on(e, p), p.number))
        other = self._start_on(e, first)
        patience = e.patience + (other - self.env.now)
        waits = self._start_on(e, stay) - other
        return stay if self.policy == "plan" or waits <= patience else first

    def run(self) -> list[Execution]:
        """Run to the end; executions of requests that cannot be served have no replica."""
        self.env.run()
        return self.executions
