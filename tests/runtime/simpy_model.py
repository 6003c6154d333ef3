"""An independent model of the runtime's semantics (docs/simulator.md, "What happens"), on SimPy.

It shares no code and no data structure with the engines: GPUs are lists of commitments or sets of
calls whose work is counted down, times to come are worked out from the definition each time they
are needed, and SimPy's own clock and events decide when things happen. `simpy_sliced` holds the
GPUs that are shared at the same time.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

from tests.runtime.cases import Case, speed_on

COMPLETIONS_FIRST = 10
"""SimPy priorities at one instant: ends are 10, then executions by number from 11."""


@dataclass(eq=False)
class Replica:
    """A block of GPUs, and what was committed to it in that order."""

    number: int
    model: int
    server: int
    gpus: range
    speed: float
    changed: float
    committed: list[Execution] = field(default_factory=list)


@dataclass(eq=False)
class Execution:
    """One call of a model."""

    number: int
    node: int
    request: int
    service: float
    prefill: float
    target: int
    patience: float
    parents: list[tuple[Execution, float | None]] = field(default_factory=list)
    prefixes: list[tuple[Execution, float]] = field(default_factory=list)
    children: list[Execution] = field(default_factory=list)
    missing: int = 0
    replica: Replica | None = None
    ready: float = float("nan")
    start: float = float("nan")
    end: float = float("nan")
    done: bool = False


class Model(ABC):
    """The servers of a case, its requests, and one routing policy.

    Estimates that agree in as many `digits` are one to its router.
    """

    digits = 12

    def __init__(self, case: Case, policy: str, targets: list[int], patience: list[list[float]]):
        self.case, self.policy = case, policy
        self.env = simpy.Environment()
        self.order: list[Execution] = []  # everything committed, in that order
        cluster, placement = case.cluster, case.placement
        self.replicas: list[Replica] = []
        rows = list(zip(placement.model, placement.server, placement.start, strict=True))
        for p, (m, s, i) in enumerate(rows):
            first = int(cluster.first_gpu[s] + i)
            block = range(first, first + case.workload.models[m].gpus_required)
            speed = speed_on(cluster, block)
            self.replicas.append(Replica(p, int(m), int(s), block, speed, float(p - len(rows))))
        self.no_gpu = Replica(len(rows), -1, -1, range(0), 1.0, 0.0)
        self.session_server: dict[int, int] = {}
        self.executions: list[Execution] = []
        for r, w in enumerate(case.trace.workflow.tolist()):
            self._request(r, w, targets, patience[w])

    def _request(self, r: int, w: int, targets: list[int], patience: list[float]) -> None:
        workflow = self.case.workload.workflows[w]
        first = len(self.executions)
        trace = self.case.trace
        mine = []
        for v, node in enumerate(workflow.nodes):
            service = float(trace.service_s[first + v])
            prefill = self.case.workload.models[node.model].prefill_time_s
            stated = trace.stated_prefill_s
            if stated is not None and stated[first + v] == stated[first + v]:
                prefill = float(stated[first + v])
            mine.append(
                Execution(
                    first + v, v, r, service, min(prefill, service), targets[first + v], patience[v]
                )
            )
        for edge in sorted(workflow.edges, key=lambda e: (e.source, e.target)):
            moved = edge.payload_mb if edge.carries else None
            mine[edge.target].parents.append((mine[edge.source], moved))
            if edge.carries and edge.shared_prefix:
                mine[edge.target].prefixes.append((mine[edge.source], edge.shared_prefix))
            mine[edge.source].children.append(mine[edge.target])
        self.executions += mine
        held = {replica.model for replica in self.replicas}
        called = {n.model for n in workflow.nodes if self.case.workload.models[n.model].on_gpus}
        if called - held:
            return
        arrival = 0.0 if self.case.mode == "offline" else float(self.case.trace.arrival_s[r])
        for e in mine:
            e.missing = len(e.parents)
            if not e.missing:
                self.env.process(self._life(e, arrival))

    def at(self, when: float, priority: int) -> simpy.Event:
        """Trigger an event at an absolute time, in a stated order at that instant."""
        event = simpy.Event(self.env)
        event._ok, event._value = True, None
        # As env.schedule does, but for a time: now + (when - now) may miss it by the last bit.
        heapq.heappush(self.env._queue, (when, priority, next(self.env._eid), event))
        return event

    def _life(self, e: Execution, arrival: float) -> Generator[Any, Any, None]:
        turn = COMPLETIONS_FIRST + 1 + e.number
        yield self.at(arrival, turn)
        if not self.case.workload.models[self._model(e)].on_gpus:
            e.replica, e.ready, e.start = self.no_gpu, self.env.now, self.env.now
            e.end = self.env.now + e.service
            if e.service > 0:
                yield self.at(e.end, turn)
            self._finish(e)
            return
        e.replica = self._route(e)
        if (session := self._session(e)) >= 0:
            self.session_server.setdefault(session, e.replica.server)
        data = self._data(e, e.replica.server)
        saved = self._saved(e, e.replica)
        e.service, e.prefill = e.service - saved, max(0.0, e.prefill - saved)
        self.coming(e, data > self.env.now)
        if data > self.env.now:
            yield self.at(data, turn)
        e.ready = self.env.now
        self.order.append(e)
        yield self.commit(e)
        self._finish(e)

    def _session(self, e: Execution) -> int:
        sessions = self.case.trace.sessions
        return -1 if sessions is None else int(sessions[e.request])

    def _finish(self, e: Execution) -> None:
        e.done = True
        for child in e.children:
            child.missing -= 1
            if not child.missing:
                self.env.process(self._life(child, self.env.now))

    @abstractmethod
    def commit(self, e: Execution) -> simpy.Event:
        """Queue an execution; return the event of its end."""

    @abstractmethod
    def free(self, p: Replica) -> float:
        """When a replica could begin one more execution, as a router is told."""

    def share(self, p: Replica) -> float:
        """What a replica would get of its GPUs, as a router is told."""
        return 1.0

    @abstractmethod
    def coming(self, e: Execution, travels: bool) -> None:
        """Take note that an execution has been routed."""

    def touch(self, e: Execution) -> None:
        """What is said of a replica and its neighbours is as of now."""
        assert e.replica is not None
        for p in self.replicas:
            if set(p.gpus) & set(e.replica.gpus):
                p.changed = self.env.now

    def slots(self, p: Replica) -> int:
        """Most calls in service at once."""
        return self.case.workload.models[p.model].max_concurrency

    def unfinished(self, p: Replica) -> int:
        """Calls routed to a replica and not finished."""
        return sum(x.replica is p and not x.done for x in self.executions)

    def _data(self, e: Execution, server: int) -> float:
        """When all data would be on a server; latency + payload / bandwidth over every edge."""
        network = self.case.cluster.network
        arrivals = [self.env.now]
        for parent, payload_mb in e.parents:
            assert parent.replica is not None
            if payload_mb is None or parent.replica is self.no_gpu:
                arrivals.append(parent.end)
                continue
            near = parent.replica.server == server
            latency = network.intra_latency_s if near else network.inter_latency_s
            width = network.intra_bandwidth_gb_per_s if near else network.inter_bandwidth_gb_per_s
            arrivals.append(parent.end + (latency + payload_mb / 1000.0 / width))
        return max(arrivals)

    def _start_on(self, e: Execution, p: Replica) -> float:
        return max(self._data(e, p.server), self.free(p))

    def _saved(self, e: Execution, p: Replica) -> float:
        """Prefill of what one of its parents read there before, the longest such."""
        parts = [part for parent, part in e.prefixes if parent.replica is p]
        return max(parts, default=0.0) * e.prefill

    def _finish_on(self, e: Execution, p: Replica) -> float:
        slowdown = self.case.workload.models[p.model].slowdown
        company = min(self.unfinished(p), self.slots(p) - 1)
        service = e.service - self._saved(e, p)
        return self._start_on(e, p) + service * (slowdown[company] / (self.share(p) * p.speed))

    def _model(self, e: Execution) -> int:
        w = int(self.case.trace.workflow[e.request])
        return self.case.workload.workflows[w].nodes[e.node].model

    def _route(self, e: Execution) -> Replica:
        model = self._model(e)
        able = [p for p in self.replicas if p.model == model]
        if self.policy == "least-loaded":
            full = self.case.workload.models[model].slowdown[-1]

            def load(p: Replica) -> float:
                calls = self.unfinished(p) + 1
                return calls * full / self.slots(p) / p.speed / self.share(p)

            return self._first(able, load)

        def finish(p: Replica) -> float:
            return self._finish_on(e, p)

        first = self._first(able, finish)
        if self.policy == "earliest":
            return first
        if self.policy == "sticky" and (session := self._session(e)) >= 0:
            kept = [p for p in able if p.server == self.session_server.get(session, -1)]
            if kept:
                return self._first(kept, finish)
        home = e.target
        if self.policy in ("locality", "sticky") and e.parents:
            parent = e.parents[0][0]
            assert parent.replica is not None
            at = parent.replica.server
            if parent.target not in (-1, at) and any(p.server == at for p in able):
                home = at
        near = [p for p in able if p.server == home]
        if not near:
            return first
        stay = self._first(near, finish)
        patience = e.patience + (self._start_on(e, first) - self.env.now)
        later = finish(stay) - finish(first)
        return stay if self.policy == "plan" or later <= patience else first

    def _first(self, able: list[Replica], value: Any) -> Replica:
        """The least; ties: the longest idle, then the lowest."""
        digits = self.digits
        return min(
            able, key=lambda p: (round(value(p), digits), round(self.free(p), digits), p.number)
        )

    def run(self) -> list[Execution]:
        """Run to the end; executions of requests that cannot be served have no replica."""
        self.env.run()
        return self.executions


class SerialModel(Model):
    """One execution on a GPU at a time, but for the batches of one replica."""

    digits = 17  # all: the engines work out the same sums
    travelling: list[Execution]

    def __init__(self, *arguments: Any) -> None:
        self.travelling = []
        super().__init__(*arguments)

    def commit(self, e: Execution) -> simpy.Event:
        """Work out its start and end behind all that is committed."""
        assert e.replica is not None
        p = e.replica
        models = self.case.workload.models
        own = sorted((x.end for x in p.committed), reverse=True)
        e.start = max(e.ready, self._begin(p))
        together = sum(end > e.start for end in own)
        e.end = e.start + e.service / p.speed * models[p.model].slowdown[together]
        p.committed.append(e)
        if e in self.travelling:
            self.travelling.remove(e)
        self.touch(e)
        return self.at(e.end, COMPLETIONS_FIRST)

    def coming(self, e: Execution, travels: bool) -> None:
        """Remember what is on its way."""
        if travels:
            self.travelling.append(e)
            self.touch(e)

    def free(self, p: Replica) -> float:
        """When all that is committed beside it has ended, and a place of its own is free."""
        free = self._begin(p)
        on_way = [
            x.service / x.replica.speed
            for x in self.travelling
            if x.replica and set(x.replica.gpus) & set(p.gpus)
        ]
        return max(free, p.changed) + sum(on_way) if on_way else free

    def _begin(self, p: Replica) -> float:
        slots = self.slots(p)
        never = float(p.number - len(self.replicas))
        own = sorted((x.end for x in p.committed), reverse=True)
        slot_free = own[slots - 1] if len(own) >= slots else never
        rivals = [
            x.end
            for x in self.order
            if x.replica and x.replica is not p and set(x.replica.gpus) & set(p.gpus)
            if x.end == x.end
        ]
        return max([slot_free, *rivals])
