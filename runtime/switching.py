"""GPUs that load models as requests need them (docs/simulator.md, "Schedulers without a plan")."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from placement.problem.cluster import Cluster, FloatArray, IntArray
from placement.problem.names import Mode, SwitchingScheduler
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.workload import Workload
from placement.support.compilation import announced
from runtime.arrays import NOWHERE, BoolArray, Problem, build_problem
from runtime.engines.events import PROGRESS_EVERY, KnownEnds, ProgressCallback, run_events
from runtime.residency import Residency, empty_residency, first_to_start, places, serve
from runtime.result import Course
from runtime.run import Run
from runtime.simulate import finished_run

LOAD_PRICES = (1.0, 2.0, 5.0, 10.0)
"""What `offline` tries: how often the time to load counts in the choice of a block."""


@announced("the schedulers that switch models")
def simulate_switching(
    workload: Workload,
    trace: Trace,
    cluster: Cluster,
    scheduler: SwitchingScheduler,
    *,
    mode: Mode = "online",
    models_per_gpu: int | None = None,
    progress: ProgressCallback | None = None,
) -> Run:
    """Run every request of a trace on GPUs that start empty and switch models.

    An execution holds a block of consecutive GPUs of one server, as in a static plan. It takes the
    block on which its service can start first, the time to load the model counted; ties go to a
    block where the model is loaded, then to one where nothing need be evicted, then to the one
    idle the longest, then to the lowest GPU. A model stays loaded until its memory is needed; the
    least recently used goes first. Loading holds every GPU of the block.

    ``baseline`` decides for each node when it is ready, in the order in which nodes become ready,
    and loads when its data is there. ``offline`` knows all requests at time 0 and decides level by
    level of the workflows (a node's level is the longest path that leads to it), inside a level
    model by model (most GPUs first, then most work), inside a model in the order of readiness; it
    loads as soon as the block is free, before the data is there. Because loading delays whoever
    comes later as well, it makes the whole schedule with the time to load counted once, twice,
    5 and 10 times in the choice of blocks, and keeps the one with the least makespan.

    Parameters
    ----------
    workload : Workload
        Models and workflows.
    trace : Trace
        The requests.
    cluster : Cluster
        Its GPUs start without models.
    scheduler : {"baseline", "offline"}
        Who decides, as above.
    mode : {"online", "offline"}
        Requests at their timestamps, or all at time 0.
    models_per_gpu : int, optional
        Most models on one GPU at a time; by default memory alone decides.
    progress : callable, optional
        Called now and then with executions committed and their total.

    Returns
    -------
    Run
        Its `problem.placement` holds every block on which a model was ever loaded. Requests that
        call a model that no block can hold have not run.

    Raises
    ------
    ValueError
        Where ``offline`` is asked to run online.
    """
    if scheduler == "offline" and mode != "offline":
        raise ValueError("the offline scheduler knows all requests at time 0; use mode offline")
    nothing = np.zeros(0, dtype=np.int64)
    problem = _problem(workload, trace, cluster, Placement(nothing, nothing, nothing), mode)

    def station(price: float) -> SwitchingGpus:
        state = empty_residency(workload, cluster, models_per_gpu)
        return SwitchingGpus(problem, state, foresight=scheduler == "offline", price=price)

    done = station(1.0)
    problem = replace(problem, servable=done.servable)
    if scheduler == "baseline":
        run_events(problem, done, progress)
    else:
        tried = [station(price) for price in LOAD_PRICES]
        for i, one in enumerate(tried):
            _run_by_level(problem, one, _part(progress, i, len(tried)))
        done = min(tried, key=lambda one: float(np.nanmax(one.end_s, initial=0.0)))
    placement, replica = done.blocks()
    course = Course(
        replica=replica.astype(np.int32),
        ready_s=done.ready_s,
        start_s=done.start_s,
        end_s=done.end_s,
        switch_s=done.switch_s,
    )
    whole = replace(_problem(workload, trace, cluster, placement, mode), servable=done.servable)
    return finished_run(whole, course, scheduler, "none")


class SwitchingGpus(KnownEnds):
    """A station (`runtime.engines.events.Station`) whose GPUs load the model that is asked for."""

    def __init__(
        self, problem: Problem, state: Residency, *, foresight: bool, price: float
    ) -> None:
        super().__init__()
        n = int(problem.offset[-1])
        self._problem = problem
        self._state = state
        self._foresight, self._price = foresight, price
        # One entry per execution or template node, read one at a time: lists are faster.
        self._service: list[float] = problem.service_s.tolist()
        self._node_model: list[int] = problem.node_model.tolist()
        self._gpu_server: list[int] = state.server.tolist()
        self._model = [NOWHERE] * n
        self._first = [NOWHERE] * n
        self.ready_s, self.start_s, self.end_s = (np.full(n, np.nan) for _ in range(3))
        self.switch_s = np.zeros(n)
        self._arrival_s = np.empty(problem.cluster.n_servers)
        self._network = problem.has_network
        held = places(state)
        self.servable: BoolArray = np.array(
            [held[[v.model for v in w.nodes]].all() for w in problem.workload.workflows], dtype=bool
        )

    def route(self, execution: int, request: int, node: int, now_s: float) -> float:
        """Choose the block that can start an execution first; return when its data is there.

        Parameters
        ----------
        execution, request, node : int
            The call: its number, its request, and its node in the workflow.
        now_s : float
            Simulated time.
        """
        model = self._node_model[node]
        arrival = self._arrival_s
        arrival.fill(now_s)
        if self._network:
            self._await_data(arrival, request, node)
        first = int(first_to_start(self._state, model, arrival, self._foresight, self._price))
        self._model[execution], self._first[execution] = model, first
        return float(arrival[self._gpu_server[first]])

    def commit(self, execution: int, now_s: float) -> None:
        """Queue an execution on its block."""
        self.expect(self.serve(execution, now_s), execution)

    def pass_by(self, execution: int, now_s: float, end_s: float) -> None:
        """Take note of a step that needs no GPU.

        Parameters
        ----------
        execution : int
        now_s : float
            When it begins.
        end_s : float
            When it will have ended.
        """
        self.ready_s[execution] = self.start_s[execution] = now_s
        self.end_s[execution] = end_s

    def serve(self, execution: int, now_s: float) -> float:
        """Find an execution's place behind what its block serves already; return when it ends."""
        start, end, load = serve(
            self._state,
            self._model[execution],
            self._first[execution],
            now_s,
            self._service[execution],
            self._foresight,
        )
        self.ready_s[execution], self.start_s[execution] = now_s, start
        self.end_s[execution], self.switch_s[execution] = end, load
        return float(end)

    def blocks(self) -> tuple[Placement, IntArray]:
        """Every block that a model was loaded on, and the block of each execution."""
        cluster = self._problem.cluster
        model, first = np.array(self._model, dtype=np.int64), np.array(self._first, dtype=np.int64)
        ran = np.flatnonzero(model != NOWHERE)
        keys, index = np.unique(
            first[ran] * len(self._problem.workload.models) + model[ran], return_inverse=True
        )
        gpu, used = np.divmod(keys, len(self._problem.workload.models))
        server = np.asarray(cluster.gpu_server, dtype=np.int64)[gpu]
        replica = np.full(len(model), NOWHERE, dtype=np.int64)
        replica[ran] = index
        replica[(model == NOWHERE) & ~np.isnan(self.end_s)] = len(keys)  # steps without a GPU
        return Placement(used, server, gpu - cluster.first_gpu[server]), replica

    def _await_data(self, arrival: FloatArray, request: int, node: int) -> None:
        problem = self._problem
        begin = int(problem.offset[request])
        for i in range(problem.parent_start[node], problem.parent_start[node + 1]):
            parent = begin + int(problem.parent[i])
            server = self._gpu_server[self._first[parent]]
            near = max(arrival[server], self.end_s[parent] + problem.parent_intra_s[i])
            np.maximum(arrival, self.end_s[parent] + problem.parent_inter_s[i], out=arrival)
            arrival[server] = near


def _run_by_level(
    problem: Problem, station: SwitchingGpus, progress: ProgressCallback | None
) -> None:
    """Commit level by level, model by model, first ready first."""
    servable = np.repeat(problem.servable[problem.workflow], np.diff(problem.offset))
    request = np.repeat(np.arange(len(problem.workflow)), np.diff(problem.offset))
    node = problem.first_node[problem.workflow[request]] + (
        np.arange(problem.offset[-1]) - problem.offset[request]
    )
    model = problem.node_model[node]
    work = np.bincount(model, problem.service_s, len(problem.workload.models))
    gpus = np.array([m.gpus_required for m in problem.workload.models])
    place = np.empty(len(gpus), dtype=np.int64)
    place[np.lexsort((-work * gpus, -gpus))] = np.arange(len(gpus))
    level = _levels(problem)[node]
    ready = np.zeros(len(node))
    done = 0
    group = level * len(gpus) + place[model]
    for key in np.unique(group[servable]):
        rows = np.flatnonzero((group == key) & servable)
        for e in rows[np.argsort(ready[rows], kind="stable")].tolist():
            r, v = int(request[e]), int(node[e])
            if problem.node_step[v]:
                end = float(ready[e] + problem.service_s[e])
                station.pass_by(e, float(ready[e]), end)
            else:
                data_s = station.route(e, r, v, float(ready[e]))
                end = station.serve(e, data_s)
            begin = int(problem.offset[r])
            for child in problem.child[problem.child_start[v] : problem.child_start[v + 1]]:
                ready[begin + child] = max(ready[begin + child], end)
            done += 1
            if progress and not done % PROGRESS_EVERY:
                progress(done, len(node))


def _part(progress: ProgressCallback | None, i: int, parts: int) -> ProgressCallback | None:
    if progress is None:
        return None

    def report(done: int, total: int, now_s: float | None = None, /) -> None:
        progress((i * total + done) // parts, total, now_s)

    return report


def _levels(problem: Problem) -> IntArray:
    """Length of the longest path to each template node, shape (V,)."""
    level = np.zeros(len(problem.node_model), dtype=np.int64)
    for w, workflow in enumerate(problem.workload.workflows):
        first = int(problem.first_node[w])
        for v in workflow.topological_order:
            for i in range(problem.parent_start[first + v], problem.parent_start[first + v + 1]):
                parent = first + int(problem.parent[i])
                level[first + v] = max(level[first + v], level[parent] + 1)
    return level


def _problem(
    workload: Workload, trace: Trace, cluster: Cluster, placement: Placement, mode: Mode
) -> Problem:
    target = np.full(trace.n_executions, NOWHERE, dtype=np.int32)
    patience = np.zeros(sum(len(w.nodes) for w in workload.workflows))
    return build_problem(workload, trace, cluster, placement, mode, target, patience)
