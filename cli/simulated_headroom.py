"""The headroom that the simulation bears out, as `solve` finds and explains it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cli.waiting import waiting
from placement.problem.names import SIMULATED_HEADROOM

if TYPE_CHECKING:
    from placement.params.simulation_params import HeadroomParams
    from placement.problem.plan import Plan
    from placement.problem.trace import Trace
    from placement.problem.workload import Workload
    from placement.solver.budget import Budget

CREDIBLE = 0.95
"""Part of the headroom by mean rates from which on a simulated one needs no word."""


def begin_compiling() -> None:
    """Let the event loops be compiled beside the solve, once on a machine."""
    from runtime.engines.warm import begin  # numba takes half a second to import

    begin()


def with_headroom(
    plan: Plan, workload: Workload, trace: Trace, limit: Budget, params: HeadroomParams
) -> Plan:
    """State the headroom that the simulation bears out, if there is time to find it.

    Parameters
    ----------
    plan : Plan
        With its headroom by rates.
    workload : Workload
        That it was made for.
    trace : Trace
        Whose rates are scaled.
    limit : Budget
        Of the whole command; a search that it cuts short makes the plan one that depends on time.
    params : HeadroomParams
        How long runs are, and how close the factor.
    """
    from runtime.engines.warm import ready  # numba takes half a second to import
    from runtime.headroom import Bisection, headroom_of_plan

    asked_s = limit.elapsed_s

    def affords_another() -> bool:
        """Whether a run as long as the last one would still end in time."""
        nonlocal asked_s
        last, asked_s = asked_s, limit.elapsed_s
        return limit.affords(asked_s - last)

    able = not limit.expired and ready(lambda: not limit.expired)
    with waiting("simulating the headroom"):
        how = Bisection(affords_another, params)
        found = headroom_of_plan(plan, workload, trace, how=how) if able else None
    if found is not None:
        return replace(plan, expected=plan.expected | {SIMULATED_HEADROOM: found.factor})
    if not able or limit.cut_short:
        # On a faster machine the plan would say more.
        return replace(plan, certificate=replace(plan.certificate, deterministic=False))
    return plan


def doubts(plan: Plan, workload: Workload) -> list[str]:
    """Why the simulation bears out less than the mean loads say; nothing where it does not."""
    factor = plan.expected.get(SIMULATED_HEADROOM)
    if factor is None or factor >= CREDIBLE * plan.expected["headroom"]:
        return []
    from runtime.headroom import what_rates_do_not_know

    return what_rates_do_not_know(plan, workload)
