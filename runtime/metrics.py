"""What a run was worth by the course of its executions (docs/simulator.md, "What is measured")."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from placement.problem.cluster import FloatArray, IntArray
from placement.support.equality import ByContent
from runtime.arrays import BoolArray, Int32Array, covered_gpus
from runtime.result import RunResult


@dataclass(frozen=True, slots=True)
class Distribution:
    """A sample of times in seconds.

    Parameters
    ----------
    mean, median, p99, min, max : float
        The 99th percentile is linear between ranks.
    """

    mean: float
    median: float
    p99: float
    min: float
    max: float


@dataclass(frozen=True, eq=False)
class Metrics(ByContent):
    """Everything reported about one run; times in seconds, efficiencies and overhead in percent.

    Parameters
    ----------
    total_requests, completed_requests, total_nodes_executed : int
        Requests of the trace, those of which all nodes ran, and node executions.
    makespan_s : float
        From the first arrival to the last end.
    intra_server_workflows, inter_server_workflows : int
        Completed requests that ran whole on one server, and the others.
    cross_server_communications : int
        Edges of completed requests whose ends ran on two servers (CSC).
    request_latency : Distribution
        From a request's arrival to the end of its last node, over completed requests.
    node_waiting, node_response : Distribution
        From an execution's data being there to its start, and to its end.
    gpu_executions, gpu_busy_s : shape (N,)
        Executions each GPU took part in, and the time it was in service (loading not counted).
    switches, switch_time_s : int, float
        Models loaded during the run, and GPU seconds spent loading them, over all replicas.
    interrupted_calls, lost_service_s : int, float
        Calls that an outage ended, and the seconds that they had been in service by then.
    """

    total_requests: int
    completed_requests: int
    total_nodes_executed: int
    makespan_s: float
    intra_server_workflows: int
    inter_server_workflows: int
    cross_server_communications: int
    switches: int
    switch_time_s: float
    request_latency: Distribution
    node_waiting: Distribution
    node_response: Distribution
    gpu_executions: IntArray
    gpu_busy_s: FloatArray
    interrupted_calls: int = 0
    lost_service_s: float = 0.0

    @property
    def failed_requests(self) -> int:
        """Requests that did not complete."""
        return self.total_requests - self.completed_requests

    @property
    def server_efficiency(self) -> float:
        """SE: percent of the completed requests whose nodes all ran on one server."""
        return percent(self.intra_server_workflows, self.completed_requests)

    @cached_property
    def gpu_utilization(self) -> FloatArray:
        """Busy time over makespan of each GPU in percent, shape (N,)."""
        if not self.makespan_s:
            return np.zeros(len(self.gpu_busy_s))
        return 100.0 * self.gpu_busy_s / self.makespan_s

    @property
    def average_utilization(self) -> float:
        """Mean utilization over all GPUs in percent."""
        return float(self.gpu_utilization.mean())

    @property
    def utilization_variance(self) -> float:
        """Population variance of the utilization over all GPUs, in points squared."""
        return float(self.gpu_utilization.var())

    @property
    def throughput(self) -> float:
        """Completed requests per second of makespan."""
        return self.completed_requests / self.makespan_s if self.makespan_s else 0.0

    @property
    def node_throughput(self) -> float:
        """Node executions per second of makespan."""
        return self.total_nodes_executed / self.makespan_s if self.makespan_s else 0.0

    @property
    def switch_overhead(self) -> float:
        """GPU time spent loading models, in percent of loading and service together."""
        busy = float(self.gpu_busy_s.sum())
        return percent(self.switch_time_s, self.switch_time_s + busy)


@dataclass(frozen=True, slots=True)
class WorkflowMetrics:
    """What a run was worth to one workflow.

    Parameters
    ----------
    workflow_id : str
    requests, completed : int
        Requests of the trace, and those of which all nodes ran.
    server_efficiency : float
        Percent of the completed ones whose nodes all ran on one server.
    latency : Distribution
        From arrival to the end of the last node, over completed requests.
    """

    workflow_id: str
    requests: int
    completed: int
    server_efficiency: float
    latency: Distribution


def workflow_metrics(run: RunResult) -> list[WorkflowMetrics]:
    """Measure each workflow of the config that was asked for, in its order."""
    problem = run.problem
    latency = np.full(len(problem.workflow), np.nan)
    latency[run.completed] = request_latency(run)
    whole = request_whole(run)
    names = list(dict.fromkeys(w.asked_as for w in problem.workload.workflows))
    number = {name: i for i, name in enumerate(names)}
    asked = np.array([number[w.asked_as] for w in problem.workload.workflows])[problem.workflow]
    order = np.argsort(asked, kind="stable")
    ends = np.searchsorted(asked[order], np.arange(len(names) + 1))
    found = []
    for name, first, last in zip(names, ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        mine = order[first:last]
        if len(mine):
            done = mine[run.completed[mine]]
            found.append(
                WorkflowMetrics(
                    name,
                    len(mine),
                    len(done),
                    percent(int(whole[done].sum()), len(done)),
                    distribution(latency[done]),
                )
            )
    return found


def percent(part: float, whole: float) -> float:
    """100 part / whole, and 0 of nothing."""
    return 100.0 * part / whole if whole else 0.0


def measure(run: RunResult) -> Metrics:
    """Compute every metric of a run."""
    problem = run.problem
    ran = run.ran
    every = bool(ran.all())
    start, end, ready = (a if every else a[ran] for a in (run.start_s, run.end_s, run.ready_s))
    completed = run.completed
    intra, crossings = _locality(run)
    switch = np.zeros(0) if run.switch_s is None else run.switch_s[ran]
    blocks = problem.replica_gpus[run.replica[ran][: len(switch)]]
    executions, busy = _gpu_use(run)
    cut = run.interruptions
    return Metrics(
        total_requests=len(completed),
        completed_requests=int(completed.sum()),
        total_nodes_executed=len(start),
        makespan_s=float(end.max(initial=0.0)),
        intra_server_workflows=intra,
        inter_server_workflows=int(completed.sum()) - intra,
        cross_server_communications=crossings,
        switches=int((switch > 0).sum()),
        switch_time_s=float((switch * blocks).sum()),
        request_latency=distribution(request_latency(run)),
        node_waiting=distribution(start - ready),
        node_response=distribution(end - ready),
        gpu_executions=executions,
        gpu_busy_s=busy,
        interrupted_calls=0 if cut is None else len(cut.execution),
        lost_service_s=0.0 if cut is None else float(cut.lost_s.sum()),
    )


def summarize(run: RunResult, metrics: Metrics | None = None) -> dict[str, object]:
    """Lay a run's metrics out as the `summary` of the execution log and of ``--json``."""
    m = metrics or measure(run)
    cluster = run.problem.cluster
    return {
        "total_requests": m.total_requests,
        "completed_requests": m.completed_requests,
        "failed_requests": m.failed_requests,
        "interrupted_calls": m.interrupted_calls,
        "lost_service_time": m.lost_service_s,
        "total_nodes_executed": m.total_nodes_executed,
        "mode": run.problem.mode,
        "scheduler": run.scheduler,
        "routing": run.routing,
        "simulate": run.simulated,
        "gpus": list(range(cluster.n_gpus)),
        "gpus_per_server": cluster.max_gpus_per_server,
        "makespan": m.makespan_s,
        "total_model_switches": m.switches,
        "total_switch_time": m.switch_time_s,
        "switch_overhead": m.switch_overhead,
        "avg_waiting_time": m.node_waiting.mean,
        "p99_waiting_time": m.node_waiting.p99,
        "avg_response_time": m.node_response.mean,
        "p99_response_time": m.node_response.p99,
        "avg_request_response_time": m.request_latency.mean,
        "p99_request_response_time": m.request_latency.p99,
        "server_efficiency": m.server_efficiency,
        "intra_server_workflows": m.intra_server_workflows,
        "inter_server_workflows": m.inter_server_workflows,
        "cross_server_communications": m.cross_server_communications,
        "average_utilization": m.average_utilization,
        "utilization_variance": m.utilization_variance,
        "throughput": m.throughput,
        "node_throughput": m.node_throughput,
        "request_latency": asdict(m.request_latency),
        "workflows": {
            w.workflow_id: {
                "requests": w.requests,
                "completed": w.completed,
                "server_efficiency": w.server_efficiency,
                "request_latency": asdict(w.latency),
            }
            for w in workflow_metrics(run)
        },
        "node_waiting": asdict(m.node_waiting),
        "node_response": asdict(m.node_response),
    }


def request_latency(run: RunResult) -> FloatArray:
    """Seconds from arrival to the end of the last node, over completed requests in order."""
    problem = run.problem
    last = np.maximum.reduceat(run.end_s, problem.offset[:-1])
    kept = run.completed
    return np.asarray(last[kept] - problem.arrival_s[kept])


def request_server(run: RunResult) -> IntArray:
    """Server on which each request ran whole, shape (R,); -1 where it crossed or did not end.

    Steps without a GPU are at no server.
    """
    least, greatest = _server_range(run)
    return np.asarray(np.where((least == greatest) & run.completed, least, -1))


def request_whole(run: RunResult) -> BoolArray:
    """Whether each request completed on one server, or needed none, shape (R,)."""
    least, greatest = _server_range(run)
    return np.asarray((least >= greatest) & run.completed)


def _server_range(run: RunResult) -> tuple[IntArray, IntArray]:
    """Lowest and highest server of each request, shape (R,); of none: more than any, and -1."""
    problem, first = run.problem, run.problem.offset[:-1]
    at = np.full(len(run.replica), -1, dtype=np.int64)
    at[run.ran] = problem.replica_server[run.replica[run.ran]]
    step = at < 0
    least = np.minimum.reduceat(np.where(step, problem.cluster.n_servers, at), first)
    return least, np.maximum.reduceat(at, first)


def distribution(seconds: FloatArray) -> Distribution:
    """Describe a sample; all 0 where it is empty."""
    if not len(seconds):
        return Distribution(0.0, 0.0, 0.0, 0.0, 0.0)
    median, p99 = np.percentile(seconds, [50, 99])
    return Distribution(
        mean=float(seconds.mean()),
        median=float(median),
        p99=float(p99),
        min=float(seconds.min()),
        max=float(seconds.max()),
    )


def _locality(run: RunResult) -> tuple[int, int]:
    """Requests that ran whole on one server, and edges that crossed servers."""
    problem = run.problem
    server, workload = problem.replica_server, problem.workload
    intra = crossings = 0
    for w in range(len(workload.workflows)):
        first = problem.offset[:-1][(problem.workflow == w) & run.completed]
        at = {v: server[run.replica[first + v]] for v in workload.on_gpus(w)}
        whole = np.ones(len(first), dtype=bool)
        for other in at.values():
            whole &= other == next(iter(at.values()))
        intra += int(whole.sum())
        edges = workload.crossing_edges(w)
        crossings += sum(int((at[e.source] != at[e.target]).sum()) for e in edges)
    return intra, crossings


def replica_busy_s(run: RunResult) -> FloatArray:
    """Seconds that each replica was in service: the union of its executions, shape (P,)."""
    problem = run.problem
    ran = run.ran
    every = bool(ran.all())
    replica = run.replica if every else run.replica[ran]
    start, end = (a if every else a[ran] for a in (run.start_s, run.end_s))
    busy = np.zeros(problem.n_replicas)
    busy += np.bincount(replica, weights=end - start, minlength=problem.n_replicas)
    batching = np.flatnonzero(problem.replica_slots > 1)
    if len(batching):
        busy[batching] = _union_s(replica, start, end, problem.n_replicas)[batching]
    return busy


def _union_s(
    place: IntArray | Int32Array, start: FloatArray, end: FloatArray, places: int
) -> FloatArray:
    """Seconds that the intervals of each place cover together, shape (places,)."""
    order = np.lexsort((start, place))
    start, end = start[order], end[order]
    first = np.searchsorted(place[order], np.arange(places + 1))
    union = np.zeros(places)
    for p in np.flatnonzero(np.diff(first)):
        mine = slice(first[p], first[p + 1])
        covered = np.maximum.accumulate(end[mine])
        before = np.concatenate(([0.0], covered[:-1]))
        union[p] = np.maximum(0.0, covered - np.maximum(start[mine], before)).sum()
    return union


def _gpu_use(run: RunResult) -> tuple[IntArray, FloatArray]:
    problem = run.problem
    count = np.bincount(run.replica[run.ran], minlength=problem.n_replicas)
    gpus = problem.replica_gpus
    gpu = covered_gpus(problem.replica_first_gpu, gpus)
    executions = np.zeros(problem.cluster.n_gpus, dtype=np.int64)
    busy = np.zeros(problem.cluster.n_gpus)
    np.add.at(executions, gpu, np.repeat(count, gpus))
    np.add.at(busy, gpu, np.repeat(replica_busy_s(run), gpus))
    shared = np.bincount(gpu, minlength=len(busy)) > 1
    if problem.sliced and shared.any():
        # Replicas serve at the same time there: what they cover together is counted once.
        ran = np.flatnonzero(run.ran)
        blocks = gpus[run.replica[ran]]
        execution = np.repeat(ran, blocks)
        place = covered_gpus(problem.replica_first_gpu[run.replica[ran]], blocks)
        kept = shared[place]
        execution, place = execution[kept], place[kept]
        together = _union_s(place, run.start_s[execution], run.end_s[execution], len(busy))
        busy[shared] = together[shared]
    return executions, busy
