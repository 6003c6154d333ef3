"""The schedulers that switch models, against an independent model and by their invariants."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from placement.problem.cluster import Cluster, GpuSharing, ServerType
from placement.problem.names import Mode
from placement.problem.solution import Placement
from placement.problem.workload import Workload
from runtime.metrics import measure
from runtime.result import RunResult
from runtime.simulate import Dispatch, simulate_placement
from runtime.switching import LOAD_PRICES, simulate_switching
from tests.runtime.cases import (
    Case,
    chain,
    crowded_case,
    model,
    random_case,
    speed_on,
    trace_of,
)


@dataclass
class Ledger:
    """Everything ever committed, searched anew for each decision: slow, and hard to get wrong."""

    workload: Workload
    cluster: Cluster
    per_gpu: int
    foresight: bool
    price: float
    ends: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    done: list[tuple[tuple[int, int], range, float]] = field(default_factory=list)

    def block(self, m: int, a: int) -> range:
        return range(a, a + self.workload.models[m].gpus_required)

    def busy_until(self, gpus: range, but: tuple[int, int] | None = None) -> float:
        return max((e for r, b, e in self.done if set(b) & set(gpus) and r != but), default=0.0)

    def fits(self, m: int, g: int) -> bool:
        here = [r for r in self.ends if g in self.block(*r)]
        kind = self.cluster.server_types[self.cluster.server_type[self.cluster.gpu_server[g]]]
        gb = sum(self.workload.models[o].memory_per_gpu_gb for o in [m, *(r[0] for r in here)])
        room = kind.memories_gb[g - self.cluster.first_gpu[self.cluster.gpu_server[g]]]
        return gb <= room + 1e-6 and len(here) < self.per_gpu

    def starts(self, m: int, a: int, arrival: float) -> tuple[float, int, float, int]:
        k = self.workload.models[m].max_concurrency
        if (m, a) in self.ends:
            slot = sorted(self.ends[m, a])[-k]
            return max(arrival, slot, self.busy_until(self.block(m, a), (m, a))), 0, 0.0, a
        idle = self.busy_until(self.block(m, a))
        begin = idle if self.foresight else max(arrival, idle)
        room = all(self.fits(m, g) for g in self.block(m, a))
        load = self.price * self.workload.models[m].load_time_s
        return max(arrival, begin + load), 1 if room else 2, idle, a

    def choose(self, m: int, arrival: list[float]) -> int:
        server = self.cluster.gpu_server
        blocks = [
            a
            for a in range(self.cluster.n_gpus)
            if self.block(m, a)[-1] < self.cluster.n_gpus
            and server[a] == server[self.block(m, a)[-1]]
        ]
        return min(self.starts(m, a, arrival[server[a]]) for a in blocks)[3]

    def serve(self, m: int, a: int, arrival: float, seconds: float) -> tuple[float, float, float]:
        chosen, load = self.workload.models[m], 0.0
        if (m, a) not in self.ends:
            load = chosen.load_time_s
            begin = max(self.busy_until(self.block(m, a)), 0.0 if self.foresight else arrival)
            for g in self.block(m, a):
                while not self.fits(m, g):
                    here = [r for r in self.ends if g in self.block(*r)]
                    last = {r: max(e for o, _, e in self.done if o == r) for r in here}
                    # An earlier life of the same resident ended before this one was loaded.
                    del self.ends[min(here, key=lambda r: (last[r], *r))]
            self.ends[m, a] = [begin + load] * chosen.max_concurrency
        start = max(
            arrival,
            sorted(self.ends[m, a])[-chosen.max_concurrency],
            self.busy_until(self.block(m, a), (m, a)),
        )
        n = sum(e > start for e in self.ends[m, a])
        service = seconds / speed_on(self.cluster, self.block(m, a))
        end = start + service * chosen.slowdown[n]
        self.ends[m, a].append(end)
        self.done.append(((m, a), self.block(m, a), end))
        return start, end, load


def run_oracle(
    case: Case, mode: Mode, scheduler: str, per_gpu: int, price: float = 1.0
) -> list[tuple[int, float, float, float]]:
    """Run (first GPU, start, end, load) of every execution by the stated rules alone."""
    workload, trace = case.workload, case.trace
    ledger = Ledger(workload, case.cluster, per_gpu, scheduler == "offline", price)
    node: list[tuple[int, int, int]] = []
    for r, w in enumerate(trace.workflow):
        node += [(r, int(w), v) for v in range(len(workload.workflows[w].nodes))]
    at: dict[int, int] = {}
    found: dict[int, tuple[int, float, float, float]] = {}

    def model_of(e: int) -> int:
        _, w, v = node[e]
        return workload.workflows[w].nodes[v].model

    def parents(e: int) -> list[tuple[int, float]]:
        r, w, v = node[e]
        edges = workload.workflows[w].edges
        return [(int(trace.offset[r]) + x.source, x.payload_mb) for x in edges if x.target == v]

    def arrivals(e: int, now: float) -> list[float]:
        server = case.cluster.gpu_server
        return [
            max(
                [now]
                + [
                    found[p][2] + case.cluster.network.delay_s(mb, same_server=server[at[p]] == s)
                    for p, mb in parents(e)
                ]
            )
            for s in range(case.cluster.n_servers)
        ]

    def released(e: int) -> float:
        first = 0.0 if mode == "offline" else float(trace.arrival_s[node[e][0]])
        return max([first] + [found[p][2] for p, _ in parents(e)])

    def route(e: int) -> float:
        arrival = arrivals(e, released(e))
        at[e] = ledger.choose(model_of(e), arrival)
        return arrival[case.cluster.gpu_server[at[e]]]

    def commit(e: int, now: float) -> None:
        seconds = float(trace.service_s[e])
        found[e] = (at[e], *ledger.serve(model_of(e), at[e], now, seconds))

    if scheduler == "offline":
        work = np.zeros(len(workload.models))
        for e in range(len(node)):
            work[model_of(e)] += trace.service_s[e]

        def level(w: int, v: int) -> int:
            before = [x.source for x in workload.workflows[w].edges if x.target == v]
            return 1 + max(level(w, u) for u in before) if before else 0

        def group(e: int) -> tuple[float, ...]:
            m, gpus = model_of(e), workload.models[model_of(e)].gpus_required
            return level(*node[e][1:]), -gpus, -work[m] * gpus, m

        for key in sorted({group(e) for e in range(len(node))}):
            mine = [e for e in range(len(node)) if group(e) == key]
            for e in sorted(mine, key=lambda e: (released(e), e)):
                commit(e, route(e))
        return [found[e] for e in range(len(node))]

    waiting, pending = set(range(len(node))), []
    while waiting or pending:
        ready = [e for e in waiting if all(p in found for p, _ in parents(e))]
        events = sorted([(released(e), e, 0.0) for e in ready] + pending)
        now, e, _ = events[0]
        if e in waiting:
            waiting.remove(e)
            data = route(e)
            if data > now:
                pending.append((data, e, 0.0))
                continue
        else:
            pending.remove(events[0])
        commit(e, now)
    return [found[e] for e in range(len(node))]


def run(case: Case, scheduler: str, mode: Mode, per_gpu: int | None) -> RunResult:
    return simulate_switching(
        case.workload, case.trace, case.cluster,
        scheduler,  # type: ignore[arg-type]
        mode=mode, models_per_gpu=per_gpu,
    )  # fmt: skip


def first_gpus(result: RunResult) -> np.ndarray:
    return result.problem.replica_first_gpu[result.replica]


@pytest.mark.parametrize("block", range(3))
def test_baseline_follows_its_rules(block: int) -> None:
    """Block, times and loading of every execution are those of the model that searches anew."""
    for seed in range(block * 20, block * 20 + 20):
        case = crowded_case(seed)
        per_gpu = (None, 1, 2)[seed % 3]
        result = run(case, "baseline", case.mode, per_gpu)
        expected = run_oracle(case, case.mode, "baseline", per_gpu or 999)
        gpu, start, end, load = (np.array(c) for c in zip(*expected, strict=True))
        np.testing.assert_array_equal(first_gpus(result), gpu)
        np.testing.assert_array_equal(result.start_s, start)
        np.testing.assert_array_equal(result.end_s, end)
        np.testing.assert_array_equal(result.switch_s, load)


@pytest.mark.parametrize("block", range(2))
def test_offline_follows_its_rules(block: int) -> None:
    """Likewise offline, with the best of the schedules that its prices give."""
    for seed in range(block * 12, block * 12 + 12):
        case = crowded_case(seed)
        per_gpu = (None, 1, 2)[seed % 3]
        result = run(case, "offline", "offline", per_gpu)
        tried = [
            run_oracle(case, "offline", "offline", per_gpu or 999, price) for price in LOAD_PRICES
        ]
        best = min(tried, key=lambda course: max(end for _, _, end, _ in course))
        gpu, _, end, load = (np.array(c) for c in zip(*best, strict=True))
        np.testing.assert_array_equal(first_gpus(result), gpu)
        np.testing.assert_array_equal(result.end_s, end)
        np.testing.assert_array_equal(result.switch_s, load)


def one_gpu_case(seed: int, load_time_s: float) -> Case:
    """Draw a case of single-GPU models without network, batching or failures."""
    case = random_case(seed, network=False)
    models = tuple(
        replace(
            m, gpus_required=1, memory_gb=1.0, load_time_s=load_time_s, max_concurrency=1,
            slowdown=(1.0,),
        )
        for m in case.workload.models
    )  # fmt: skip
    kinds = tuple(replace(t, speed=1.0, gpu_speeds=()) for t in case.cluster.server_types)
    cluster = Cluster(kinds, sharing=GpuSharing("serial"))
    return replace(case, workload=replace(case.workload, models=models), cluster=cluster)


def test_free_loading_is_a_plan_with_every_model_everywhere() -> None:
    """Where loading takes no time, times are those of `earliest` on a plan of all models."""
    for seed in range(60):
        case = one_gpu_case(seed, 0.0)
        n_models, n_gpus = len(case.workload.models), case.cluster.n_gpus
        gpu = np.repeat(np.arange(n_gpus), n_models)
        server = np.asarray(case.cluster.gpu_server)[gpu]
        everywhere = Placement.sorted(
            np.tile(np.arange(n_models), n_gpus), server, gpu - case.cluster.first_gpu[server]
        )
        static = simulate_placement(
            case.workload,
            case.trace,
            case.cluster,
            everywhere,
            dispatch=Dispatch(mode=case.mode, policy="earliest"),
        )
        for per_gpu in (None, 1):
            switching = run(case, "baseline", case.mode, per_gpu)
            np.testing.assert_array_equal(switching.start_s, static.start_s)
            np.testing.assert_array_equal(switching.end_s, static.end_s)


@pytest.mark.parametrize("scheduler", ["baseline", "offline"])
def test_a_gpu_does_one_thing_and_pays_for_every_change(scheduler: str) -> None:
    """Loads and services on a GPU never overlap; with one model a GPU, each change is loaded."""
    for seed in range(60):
        case = one_gpu_case(seed, 1.5)
        # Executions without duration have no order among those of one instant.
        lasting = replace(case.trace, service_s=case.trace.service_s + 0.25)
        case = replace(case, trace=lasting)
        mode: Mode = "offline" if scheduler == "offline" else case.mode
        result = run(case, scheduler, mode, 1)
        assert result.switch_s is not None
        called = result.problem.placement.model[result.replica]
        gpu = first_gpus(result)
        for g in range(case.cluster.n_gpus):
            mine = np.flatnonzero(gpu == g)
            mine = mine[np.argsort(result.start_s[mine])]
            begin = result.start_s[mine] - result.switch_s[mine]
            assert (begin[1:] >= result.end_s[mine][:-1] - 1e-9).all()
            assert (begin >= -1e-9).all()
            changed = np.diff(called[mine], prepend=-1) != 0
            np.testing.assert_array_equal(result.switch_s[mine] > 0, changed)


def test_offline_groups_what_baseline_switches_for() -> None:
    """Requests that alternate between two models on one GPU: 2 loads offline, one each online."""
    models = (model("a", memory_gb=80.0), model("b", memory_gb=80.0))
    flows = tuple(replace(chain(1), id=name) for name in "ab")
    flows = (flows[0], replace(flows[1], nodes=(replace(flows[1].nodes[0], model=1),)))
    workload = Workload(models, flows)
    trace = trace_of(workload, np.zeros(10), np.arange(10) % 2, np.ones(10))
    cluster = Cluster.homogeneous(1, 1)
    switches = {
        name: measure(
            simulate_switching(workload, trace, cluster, name, mode="offline")  # type: ignore[arg-type]
        ).switches
        for name in ("baseline", "offline")
    }
    assert switches == {"baseline": 10, "offline": 2}


def test_what_no_gpu_can_hold_fails_and_is_counted() -> None:
    """Requests that call a model too large for every GPU fail; the others complete."""
    models = (model("fits", memory_gb=10.0), model("large", memory_gb=100.0))
    workload = Workload(models, (replace(chain(1), id="one"), chain(2)))
    trace = trace_of(workload, np.arange(4.0), np.array([0, 1, 0, 1]), np.ones(6))
    result = simulate_switching(workload, trace, Cluster.homogeneous(2, 2), "baseline")
    np.testing.assert_array_equal(result.completed, [True, False, True, False])


def test_offline_refuses_to_run_online() -> None:
    """Who knows every request at time 0 cannot wait for their timestamps."""
    case = random_case(0)
    with pytest.raises(ValueError, match="time 0"):
        simulate_switching(case.workload, case.trace, case.cluster, "offline", mode="online")


def test_cards_of_less_memory_are_passed_over() -> None:
    """A model goes to the GPUs of a server that can hold it, wherever they stand in it."""
    workload = Workload(
        (model("small", memory_gb=10.0), model("large", 2, memory_gb=60.0)), (chain(2),)
    )
    kind = ServerType("box", 1, 3, 40.0, gpu_memories_gb=(16.0, 40.0, 40.0))
    trace = trace_of(workload, np.zeros(2), np.array([0, 0]), np.ones(4))
    result = simulate_switching(workload, trace, Cluster((kind,)), "baseline")
    assert first_gpus(result)[1::2].tolist() == [1, 1]
