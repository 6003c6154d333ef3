"""A plan at work beside another: what `report` and `export` show."""

from __future__ import annotations

from collections.abc import Sequence
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
    rivals: list[Method | Plan] = [] if against == "none" else [against]
    scene, *others = run_all(plan, workload, trace, mode=mode, routing=routing, against=rivals)
    return scene, others[0] if others else None


def run_all(
    plan: Plan,
    workload: Workload,
    trace: Trace,
    *,
    mode: Mode,
    routing: str,
    against: Sequence[Method | Plan],
) -> list[Scene]:
    """Run the trace over a plan and over all those it is compared with, each with its own name.

    Parameters
    ----------
    mode : {'online', 'offline'}
        Whether arrival times count, or all requests are there at time 0.
    routing : str
        Routing policy of all.
    against : sequence of str or Plan
        Heuristics by name, and plans.

    Raises
    ------
    Infeasible
        A heuristic finds no place for every used model.
    """
    with waiting("simulating the trace over the plan") as status:
        first = _name(plan.certificate.method)
        scenes = [run_scene(first, plan, workload, trace, mode=mode, routing=routing)]
        for rival in against:
            if isinstance(rival, str):
                status.doing = f"placing by {rival}"
                rival = rival_plan(rival, plan, workload, trace)
            status.doing = "simulating the trace over the other plan"
            name = _unlike(_name(rival.certificate.method), [s.name for s in scenes])
            scenes.append(run_scene(name, rival, workload, trace, mode=mode, routing=routing))
    return scenes


def _unlike(name: str, taken: list[str]) -> str:
    """Give a plan a name that no other has."""
    if name not in taken:
        return name
    other = f"the other {name}"
    number = sum(t == other or t.startswith(f"{other} (") for t in taken)
    return f"{other} ({number + 1})" if number else other


def _name(method: str) -> str:
    return "ILP" if method == "ilp" else method
