"""A plan at work beside another: what `report` and `export` show."""

from __future__ import annotations

from typing import Literal

from cli.views.staging import run_scene
from cli.waiting import waiting
from placement.contest import rival_plan
from placement.problem.names import Method, Mode
from placement.problem.plan import Plan
from placement.problem.trace import Trace
from placement.problem.workload import Workload
from runtime.scene import Scene


def run_both(
    plan: Plan,
    workload: Workload,
    trace: Trace,
    *,
    mode: Mode,
    routing: str,
    against: Method | Literal["none"] | Plan,
) -> tuple[Scene, Scene | None]:
    """Run the trace over a plan and over the one it is compared with.

    Parameters
    ----------
    mode : {'online', 'offline'}
        Whether arrival times count, or all requests are there at time 0.
    routing : str
        Routing policy of both.
    against : str or Plan
        A heuristic's name, a plan, or ``none``.

    Raises
    ------
    Infeasible
        The heuristic finds no place for every used model.
    """
    with waiting("simulating the trace over the plan") as status:
        name = _name(plan.certificate.method)
        scene = run_scene(name, plan, workload, trace, mode=mode, routing=routing)
        if against == "none":
            return scene, None
        if isinstance(against, str):
            status.doing = f"placing by {against}"
            against = rival_plan(against, plan, workload, trace)
        status.doing = "simulating the trace over the other plan"
        name = _name(against.certificate.method)
        name = f"the other {name}" if name == scene.name else name
        return scene, run_scene(name, against, workload, trace, mode=mode, routing=routing)


def _name(method: str) -> str:
    return "ILP" if method == "ilp" else method
