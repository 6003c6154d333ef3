"""The one door to every solver: a PuLP problem in, a status and a proven bound out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import pulp

from placement.files.atomic import scratch_folder
from placement.params.search_params import DEFAULTS, SearchParams
from placement.problem.outcome import SolveOptions
from placement.solver.budget import Budget, tick
from placement.solver.highs import LIGHT, OnSolution, QuietHiGHS
from placement.solver.solver_names import solver_name

ProgramStatus = Literal["optimal", "feasible", "infeasible", "unbounded", "none"]
Limit = Literal["time", "nodes", "interrupt"]
OnProgress = Callable[[float | None, float | None], None]
"""Called with (incumbent, bound) of a running program, None where still unknown."""

Pairs = list[tuple[pulp.LpVariable, float]]
"""Terms of a row or an objective: variables with their coefficients."""


@dataclass(frozen=True)
class SolverSettings:
    """Which solver works on a program, and what makes its run repeatable.

    Parameters
    ----------
    name : str
        HiGHS, CBC, or any solver by PuLP's name for it.
    threads : int or None
        Most threads; None is one for HiGHS and CBC, so that what they find does not depend on the
        processors that are there.
    seed : int
        Random seed of HiGHS and CBC.
    params : SearchParams
        What steers the searches that solve programs: it goes where these settings go.
    """

    name: str = "HiGHS"
    threads: int | None = None
    seed: int = 0
    params: SearchParams = DEFAULTS

    @classmethod
    def of(cls, options: SolveOptions) -> SolverSettings:
        """Those that a solve was asked for."""
        return cls(options.solver, options.threads, options.seed, options.params)


@dataclass(frozen=True)
class Stop:
    """Where a run ends before the optimum is proven.

    Parameters
    ----------
    gap : float
        Relative gap.
    abs_gap : float
        Absolute gap (HiGHS).
    node_limit : int, optional
        Branch-and-bound nodes of the run.
    target : float, optional
        Objective that is good enough (HiGHS).
    """

    gap: float = 0.0
    abs_gap: float = 0.0
    node_limit: int | None = None
    target: float | None = None


@dataclass(frozen=True)
class Manner:
    """How a solver goes about a program.

    Parameters
    ----------
    warm_start : bool
        Start from the variables' values where the solver can.
    interior : bool
        Solve a linear program by an interior point method without crossover (HiGHS): its duals
        lie amid the optimal ones, not at a corner.
    light : bool
        Branch and bound on one thread, without searches inside it (HiGHS): soonest done where
        the program is small and must be solved to the end.
    """

    warm_start: bool = False
    interior: bool = False
    light: bool = False


@dataclass(frozen=True)
class ProgramOutcome:
    """What a solver says about one program; the values are in the problem's variables.

    Parameters
    ----------
    status : str
        ``optimal`` (within the gap asked for), ``feasible`` (stopped by a limit), ``infeasible``,
        ``unbounded``, or ``none`` (stopped before anything was known).
    objective : float or None
        Of the values found.
    best_bound : float
        Proven bound in the problem's own sense: no solution is better. Infinite if none is known.
    seconds : float
    limit_hit : str or None
        The limit that stopped the run: ``time``, ``nodes`` or ``interrupt``.
    """

    status: ProgramStatus
    objective: float | None
    best_bound: float
    seconds: float
    limit_hit: Limit | None

    @property
    def found(self) -> bool:
        """Whether the variables hold a feasible point."""
        return self.status in ("optimal", "feasible")


def solve_program(
    problem: pulp.LpProblem,
    settings: SolverSettings,
    *,
    stop: Stop | None = None,
    manner: Manner | None = None,
    budget: Budget | None = None,
    on_progress: OnProgress | None = None,
    on_solution: OnSolution | None = None,
) -> ProgramOutcome:
    """Solve a program and say what is proven.

    Parameters
    ----------
    problem : pulp.LpProblem
        Its variables hold the values afterwards.
    settings : SolverSettings
    stop : Stop, optional
        Where the run ends before the optimum is proven; nowhere by default.
    manner : Manner, optional
        How it is gone about.
    budget : Budget, optional
        Stops the run when it expires or is interrupted (HiGHS), else limits its time; it is told
        where that was what ended the run.
    on_progress : callable, optional
    on_solution : callable, optional
        Called with the values, by `LpVariable.index`, of every better integer point (HiGHS).

    Raises
    ------
    SolverUnavailable
    """
    name = solver_name(settings.name)
    begin = time.monotonic()
    if budget is not None and budget.expired:
        cause: Limit = "interrupt" if budget.interrupted else "time"
        return ProgramOutcome("none", None, _no_bound(problem), 0.0, cause)
    stop, manner = stop or Stop(), manner or Manner()
    if name == "HiGHS":
        hear = on_progress, on_solution
        status, bound, hit = _run_highs(problem, settings, stop, manner, budget, hear)
    elif name == "PULP_CBC_CMD":
        status, bound, hit = _run_cbc(problem, settings, stop, manner, budget)
    else:
        status, bound, hit = _run_other(problem, name, settings, budget)
    if hit == "time" and budget is not None:
        budget.cut()
    objective = _value(problem) if status in ("optimal", "feasible") else None
    if objective is not None:
        # A bound on the wrong side of the incumbent is rounding, never proof of the impossible.
        better = max if problem.sense == pulp.LpMaximize else min
        bound = better(bound, objective)
    return ProgramOutcome(status, objective, bound, time.monotonic() - begin, hit)


def linear(terms: Iterable[tuple[pulp.LpVariable, float]]) -> pulp.LpAffineExpression:
    """Build an expression from (variable, coefficient) pairs: far faster than operator sums.

    Coefficients of a variable that is there several times add up.
    """
    tick()
    pairs = list(terms)
    found = pulp.LpAffineExpression(pairs)
    if len(found) < len(pairs):  # of equal keys PuLP keeps the last
        found = pulp.LpAffineExpression()
        for variable, coefficient in pairs:
            found.addterm(variable, coefficient)
    return found


def duals(problem: pulp.LpProblem) -> dict[str, float]:
    """Shadow price of each row of a solved linear program: d objective / d right-hand side."""
    return {name: float(row.pi or 0.0) for name, row in problem.constraints.items()}


def _value(problem: pulp.LpProblem) -> float:
    # A variable that no row mentions has no value with some solvers; it is worth nothing.
    terms = problem.objective
    return float(sum(c * (v.varValue or 0.0) for v, c in terms.items()) + terms.constant)


def _no_bound(problem: pulp.LpProblem) -> float:
    return float("inf") if problem.sense == pulp.LpMaximize else float("-inf")


Run = tuple[ProgramStatus, float, Limit | None]


def _run_highs(
    problem: pulp.LpProblem,
    settings: SolverSettings,
    stop: Stop,
    manner: Manner,
    budget: Budget | None,
    hear: tuple[OnProgress | None, OnSolution | None],
) -> Run:
    on_progress, on_solution = hear
    limit = None if budget is None else budget.limit_s

    def watch(incumbent: float | None, bound: float | None) -> bool:
        if on_progress is not None and (incumbent, bound) != (None, None):
            on_progress(incumbent, bound)
        return budget is not None and budget.expired

    options: dict[str, Any] = {"random_seed": settings.seed}
    if stop.node_limit is not None:
        options["mip_max_nodes"] = stop.node_limit
    if stop.abs_gap:
        options["mip_abs_gap"] = stop.abs_gap
    if manner.light:
        options |= LIGHT
    solver = QuietHiGHS(
        gapRel=stop.gap,
        timeLimit=limit,
        threads=1 if manner.light else settings.threads or 1,
        warm_start=manner.warm_start,
        interior=manner.interior,
        target=stop.target,
        watch=None if budget is None and on_progress is None else watch,
        on_solution=on_solution,
        **options,
    )
    problem.solve(solver)
    end = solver.end
    found = problem.sol_status in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible)
    if end in ("infeasible", "unbounded"):
        return ("infeasible" if end == "infeasible" else "unbounded"), _no_bound(problem), None
    status: ProgramStatus = "optimal" if end == "optimal" else "feasible" if found else "none"
    if problem.isMIP():
        sign = -1 if problem.sense == pulp.LpMaximize else 1
        bound = sign * problem.solverModel.getInfo().mip_dual_bound
    elif end == "optimal":
        bound = _value(problem)
    else:
        bound = _no_bound(problem)
    if end == "interrupt" and budget is not None and not budget.interrupted:
        end = "time"
    hit: Limit | None = (
        "time" if end == "time" else "nodes" if end == "nodes" else
        "interrupt" if end == "interrupt" else None
    )  # fmt: skip
    return status, bound, hit


def _run_cbc(
    problem: pulp.LpProblem,
    settings: SolverSettings,
    stop: Stop,
    manner: Manner,
    budget: Budget | None,
) -> Run:
    limit = None if budget is None else budget.limit_s
    # CBC takes a seed of 0 to mean the time of day.
    seed = settings.seed % (2**31 - 1) + 1
    with scratch_folder() as folder:
        log = folder / "cbc.log"
        solver = pulp.PULP_CBC_CMD(
            msg=False,
            timeLimit=limit,
            gapRel=stop.gap,
            maxNodes=stop.node_limit,
            threads=settings.threads or 1,
            warmStart=manner.warm_start and problem.isMIP(),
            keepFiles=False,
            logPath=str(log),
            options=[f"RandomSeed {seed}", f"RandomCbcSeed {seed}"],
        )
        solver.tmpDir = str(folder)
        try:
            problem.solve(solver)
        except pulp.PulpSolverError:
            # CBC now and then dies of a program; nothing is known of it then, and that is all.
            return "none", _no_bound(problem), "time"
        text = log.read_text(errors="replace") if log.exists() else ""
    status, hit = _pulp_status(problem)
    if "Stopped on node limit" in text or "Exiting on maximum nodes" in text:
        hit = "nodes"
    if status not in ("optimal", "feasible"):
        return status, _no_bound(problem), hit
    objective = _value(problem)
    printed = re.findall(r"^(?:Lower|Upper) bound:\s+(\S+)", text, re.MULTILINE)
    if printed and problem.isMIP():
        # CBC solves PuLP's minimisation, without the objective's constant.
        sign = -1 if problem.sense == pulp.LpMaximize else 1
        constant = problem.objective.constant
        return status, sign * float(printed[-1]) + constant, hit
    if status == "optimal":
        return status, objective, hit
    return status, _relaxed(problem, "PULP_CBC_CMD", budget), hit


def _run_other(
    problem: pulp.LpProblem, name: str, settings: SolverSettings, budget: Budget | None
) -> Run:
    # No gap is asked for: PuLP does not return these solvers' bounds, so only an optimum proves
    # anything, and a run cut short falls back to the linear relaxation.
    options: dict[str, Any] = {"msg": False}
    options["timeLimit"] = None if budget is None else budget.limit_s
    if settings.threads is not None:
        options["threads"] = settings.threads
    problem.solve(pulp.getSolver(name, **options))
    status, hit = _pulp_status(problem)
    if status == "optimal":
        return status, _value(problem), hit
    if status == "feasible":
        return status, _relaxed(problem, name, budget), hit
    return status, _no_bound(problem), hit


def _pulp_status(problem: pulp.LpProblem) -> tuple[ProgramStatus, Limit | None]:
    match problem.sol_status:
        case pulp.LpSolutionOptimal:
            return "optimal", None
        case pulp.LpSolutionIntegerFeasible:
            return "feasible", "time"
        case pulp.LpSolutionInfeasible:
            return "infeasible", None
        case pulp.LpSolutionUnbounded:
            return "unbounded", None
        case _:
            return "none", "time"


def _relaxed(problem: pulp.LpProblem, name: str, budget: Budget | None) -> float:
    """Objective of the linear relaxation, if there is time; the variables keep their values."""
    if budget is not None and budget.expired:
        return _no_bound(problem)
    limit = None if budget is None else budget.limit_s
    values = [(v, v.varValue) for v in problem.variables()]
    relaxation = problem.copy()
    relaxation.solve(pulp.getSolver(name, msg=False, mip=False, timeLimit=limit))
    bound = _no_bound(problem)
    if relaxation.sol_status == pulp.LpSolutionOptimal:
        bound = pulp.value(relaxation.objective)
    for variable, value in values:
        variable.varValue = value
    return bound
