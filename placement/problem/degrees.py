"""Models that may take one of several numbers of GPUs: which, is found by solving for each."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import product
from math import prod

from placement.problem.instance import Instance
from placement.problem.outcome import Infeasible, SolveResult, earned_status, relative_gap
from placement.problem.plan import Plan
from placement.problem.workload import Workload

MOST_CHOICES = 16
"""Choices of degrees that are solved; a config that leaves more is refused."""


SAME_CAP = 1e-6
"""Relative difference of two caps on loads that is none."""


def choices(workload: Workload, used: Collection[int]) -> list[Workload]:
    """Give a workload for each choice of one degree a model, the first degrees first.

    Parameters
    ----------
    workload : Workload
    used : collection of int
        Models that requests call; the others keep their first degree.

    Raises
    ------
    ValueError
        There are more than are solved.
    """
    each = [
        m.degrees if i in used and m.degrees else ((m.gpus_required, 1.0),)
        for i, m in enumerate(workload.models)
    ]
    if prod(map(len, each)) > MOST_CHOICES:
        raise ValueError(
            f"the models leave {prod(map(len, each))} choices of gpus_required, and at most "
            f"{MOST_CHOICES} are solved; give fewer degrees"
        )
    return [
        replace(
            workload,
            models=tuple(
                replace(m, gpus_required=k, time_factor=factor)
                for m, (k, factor) in zip(workload.models, chosen, strict=True)
            ),
        )
        for chosen in product(*each)
    ]


def solve_choices(
    instances: list[Instance], solve: Callable[[Instance], SolveResult]
) -> tuple[int, SolveResult]:
    """Solve for each choice; give the number of the best, and its result.

    The lower cap on loads counts first, then the locality. The bound is the largest of all choices
    of which some plan may keep that cap: where the cap found for one is higher, its bound holds
    under the lower cap all the more, and only its `bottleneck_lower` says that no plan keeps it.

    Parameters
    ----------
    instances : list of Instance
        One for each choice.
    solve : callable

    Raises
    ------
    Infeasible
        No choice fits.
    """
    found: list[tuple[int, SolveResult]] = []
    last: Infeasible | None = None
    for i, instance in enumerate(instances):
        try:
            found.append((i, solve(instance)))
        except Infeasible as error:
            last = error
    if not found:
        assert last is not None
        raise last
    cap = min(r.certificate.load_cap for _, r in found)
    able = [(i, r) for i, r in found if r.certificate.load_cap <= cap * (1 + SAME_CAP)]
    best, result = max(able, key=lambda pair: (pair[1].certificate.objective, -pair[0]))
    near = cap * (1 + SAME_CAP)
    bound = max(
        r.certificate.best_bound for _, r in found if r.certificate.bottleneck_lower <= near
    )
    certificate = result.certificate
    if bound > certificate.best_bound:
        gap = relative_gap(certificate.objective, bound)
        asked = result.options
        status = earned_status(certificate.method, gap, asked.gap, certificate.status)
        certificate = replace(certificate, best_bound=bound, gap=gap, status=status)
    return best, replace(result, certificate=certificate)


def of_plan(workload: Workload, plan: Plan) -> Workload:
    """Give the models the degrees that a plan chose; its cluster has the speeds that go with it."""
    chosen = dict(zip(plan.model_ids, plan.instance.gpus_required.tolist(), strict=True))
    if not any(m.degrees for m in workload.models):
        return workload
    return replace(
        workload,
        models=tuple(
            replace(m, gpus_required=chosen[m.id])
            if m.degrees and chosen.get(m.id) in dict(m.degrees)
            else m
            for m in workload.models
        ),
    )
