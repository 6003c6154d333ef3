"""Scenes from plans: one that ran a trace, and one that has run nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from placement.problem.cluster import IntArray
from placement.problem.names import Mode
from placement.problem.plan import Plan
from placement.problem.trace import Trace
from placement.problem.workload import Model, Node, Workflow, Workload
from runtime.engines.events import ProgressCallback
from runtime.run_verdict import run_verdict
from runtime.scene import Executions, Scene
from runtime.simulate import simulate


def run_scene(
    name: str,
    plan: Plan,
    workload: Workload,
    trace: Trace,
    *,
    mode: Mode,
    routing: str = "locality",
    progress: ProgressCallback | None = None,
) -> Scene:
    """Simulate a trace over a plan and set the scene with what happened.

    Parameters
    ----------
    name : str
        Of the plan, in headings.
    plan : Plan
        What serves.
    workload : Workload
        That it was made for.
    trace : Trace
        The requests.
    mode : {'online', 'offline'}
        Whether arrival times count, or all requests are there at time 0.
    routing : str
        Routing policy.
    progress : callable, optional
        Told how many executions of how many are done.

    Raises
    ------
    ValueError
        Where plan and workload do not belong together.
    """
    run = simulate(workload, trace, plan, mode=mode, policy=routing, progress=progress)
    # Steps without a GPU are at no replica of the plan.
    replica = np.where(run.served, run.replica, -1).astype(np.int64)
    done = Executions(replica, run.start_s, run.end_s)
    verdict = run_verdict(run, run.metrics)
    return Scene(name, plan, workload, trace, run.problem.arrival_s, done, verdict)


def still_scene(name: str, plan: Plan) -> Scene:
    """Set the scene with a plan alone: what it says of models and workflows, and no request."""
    instance = plan.instance
    workload = Workload(
        models=tuple(
            Model(id=m, name=m, memory_gb=float(k * gb), gpus_required=int(k), load_time_s=0.0)
            for m, k, gb in zip(
                instance.model_ids,
                instance.gpus_required,
                instance.memory_per_gpu_gb,
                strict=True,
            )
        ),
        workflows=tuple(
            Workflow(w.id, w.id, _nodes(ids, w.node_model))
            for w, ids in zip(instance.workflows, plan.node_ids, strict=True)
        ),
    )
    empty, none = np.zeros(0), np.zeros(0, dtype=np.int64)
    trace = Trace(
        [], empty, none, empty, np.zeros(1, dtype=np.int64), datetime.fromtimestamp(0, UTC)
    )
    return Scene(name, plan, workload, trace, empty, Executions(none, empty, empty))


def _nodes(ids: tuple[str, ...], models: IntArray) -> tuple[Node, ...]:
    return tuple(Node(n, int(m)) for n, m in zip(ids, models, strict=True))
