"""HiGHS behind PuLP: silent, interruptible, warm-started, and honest about its bound."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import highspy
import numpy as np
import pulp

from placement.support.quiet import silenced

Watch = Callable[[float | None, float | None], bool]
"""(incumbent, bound) in the problem's own sense -> whether to stop now."""

OnSolution = Callable[[list[float]], None]
"""Takes the values of a new integer point, by `LpVariable.index`."""

LIGHT = {
    "mip_heuristic_run_root_reduced_cost": False,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_rens": False,
}
"""Without the searches that solve programs of their own: on small programs they cost the most."""

_SILENCE = Lock()

INTERIOR = {"solver": "ipm", "run_crossover": "off"}

_STATUS = {
    highspy.HighsModelStatus.kOptimal: "optimal",
    highspy.HighsModelStatus.kModelEmpty: "optimal",
    highspy.HighsModelStatus.kInfeasible: "infeasible",
    highspy.HighsModelStatus.kUnboundedOrInfeasible: "infeasible",
    highspy.HighsModelStatus.kUnbounded: "unbounded",
    highspy.HighsModelStatus.kTimeLimit: "time",
    highspy.HighsModelStatus.kInterrupt: "interrupt",
    highspy.HighsModelStatus.kSolutionLimit: "nodes",
    highspy.HighsModelStatus.kObjectiveTarget: "target",
}
_STOPPED = (highspy.HighsModelStatus.kTimeLimit, highspy.HighsModelStatus.kInterrupt)
_PULP_STATUS = {
    "optimal": (pulp.LpStatusOptimal, pulp.LpSolutionOptimal),
    "infeasible": (pulp.LpStatusInfeasible, pulp.LpSolutionInfeasible),
    "unbounded": (pulp.LpStatusUnbounded, pulp.LpSolutionUnbounded),
}


class QuietHiGHS(pulp.HiGHS):  # type: ignore[misc]
    """PuLP's HiGHS with what PuLP 3.3 leaves out.

    It prints nothing, loads the model as arrays, passes a start and the objective's constant on,
    turns duals into the problem's own sense (PuLP hands HiGHS a minimisation), and keeps HiGHS's
    own status: PuLP reports a run that hit a limit as optimal.

    Parameters
    ----------
    warm_start : bool
        Start from the variables' values.
    watch : callable, optional
        Called while HiGHS works; returning True stops it.
    on_solution : callable, optional
        Called with every better integer point.
    interior : bool
        Solve a linear program by an interior point method and leave the point where it is.
    target : float, optional
        Objective, in the problem's own sense, that is good enough to stop at.

    Attributes
    ----------
    end : str
        Why the run ended: optimal, infeasible, unbounded, time, interrupt, nodes, target or error.
    """

    def __init__(
        self,
        *,
        warm_start: bool = False,
        watch: Watch | None = None,
        on_solution: OnSolution | None = None,
        interior: bool = False,
        target: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(msg=False, **options, **(INTERIOR if interior else {}))
        self.warm_start = warm_start
        self.watch = watch
        self.on_solution = on_solution
        self.interior = interior
        self.target = target
        self.end = "error"
        self._raised: list[BaseException] = []

    def createAndConfigureSolver(self, lp: pulp.LpProblem) -> None:  # noqa: N802 - PuLP's name
        """Make a HiGHS that is silent before it is told anything else."""
        lp.solverModel = model = silent_highs()
        model.setOptionValue("output_flag", False)
        # An absolute gap would end the search early where objectives are small.
        model.setOptionValue("mip_abs_gap", 0.0)
        options = dict(self.optionsDict)
        if self.target is not None:
            options["objective_target"] = _sign(lp) * self.target
        for key, value in (
            ("mip_rel_gap", self.gapRel),
            ("time_limit", self.timeLimit),
            ("threads", self.threads),
        ):
            if value is not None:
                options[key] = value
        # The thread pool is the process's; it keeps its first size until it is reset.
        highspy.Highs.resetGlobalScheduler(True)
        for key, value in options.items():
            model.setOptionValue(key, value)

    def buildSolverModel(self, lp: pulp.LpProblem) -> None:  # noqa: N802 - PuLP's name
        """Load columns and rows as arrays: one call each in place of one per variable."""
        model, inf = lp.solverModel, highspy.kHighsInf
        variables = lp.variables()
        sign = _sign(lp)
        for index, variable in enumerate(variables):
            variable.index = index
        n = len(variables)
        objective = lp.objective if lp.objective is not None else {}
        model.addCols(
            n,
            np.array([sign * objective.get(v, 0.0) for v in variables], dtype=float),
            np.array([-inf if v.lowBound is None else v.lowBound for v in variables], dtype=float),
            np.array([inf if v.upBound is None else v.upBound for v in variables], dtype=float),
            0,
            np.zeros(n, dtype=np.int32),
            np.zeros(0, dtype=np.int32),
            np.zeros(0),
        )
        model.changeObjectiveOffset(sign * float(getattr(objective, "constant", 0.0)))
        whole = np.array([v.index for v in variables if v.cat == pulp.LpInteger], dtype=np.int32)
        if self.mip and len(whole):
            kinds = np.full(len(whole), int(highspy.HighsVarType.kInteger), dtype=np.uint8)
            model.changeColsIntegrality(len(whole), whole, kinds)
        rows = list(lp.constraints.values())
        lower: list[float] = []
        upper: list[float] = []
        starts: list[int] = []
        columns: list[int] = []
        values: list[float] = []
        for index, row in enumerate(rows):
            row.index = index
            low, high = row.getLb(), row.getUb()
            lower.append(-inf if low is None else low)
            upper.append(inf if high is None else high)
            starts.append(len(columns))
            columns.extend(v.index for v in row)
            values.extend(row.values())
        model.addRows(
            len(rows),
            np.array(lower, dtype=float),
            np.array(upper, dtype=float),
            len(columns),
            np.array(starts, dtype=np.int32),
            np.array(columns, dtype=np.int32),
            np.array(values, dtype=float),
        )
        if self.warm_start:
            _set_start(model, variables)

    def callSolver(self, lp: pulp.LpProblem) -> None:  # noqa: N802 - PuLP's name
        """Run, asking `watch` now and then."""
        model = lp.solverModel
        if self.watch is not None or self.on_solution is not None:
            self._listen(model, _sign(lp))
        model.run()
        if self._raised:
            raise self._raised.pop()
        if self.interior and not _is_solved(model) and model.getModelStatus() not in _STOPPED:
            model.setOptionValue("solver", "choose")
            model.setOptionValue("run_crossover", "on")
            model.run()
        if model.getModelStatus() == highspy.HighsModelStatus.kUnboundedOrInfeasible:
            model.setOptionValue("presolve", "off")
            model.run()

    def _listen(self, model: highspy.Highs, sign: int) -> None:
        kind = highspy.cb.HighsCallbackType
        finite = 0.5 * highspy.kHighsInf
        watch, on_solution = self.watch, self.on_solution

        def hear(event: Any, _: str, out: Any, into: Any, __: Any) -> None:
            stop = False
            try:
                if event == kind.kCallbackMipImprovingSolution:
                    if on_solution is not None:
                        on_solution(list(out.mip_solution))
                    return
                if watch is None:
                    return
                bounds: list[float | None] = [None, None]
                if event in (kind.kCallbackMipInterrupt, kind.kCallbackMipLogging):
                    for i, value in enumerate((out.mip_primal_bound, out.mip_dual_bound)):
                        bounds[i] = sign * value if abs(value) < finite else None
                stop = bool(self._raised) or watch(bounds[0], bounds[1])
            except BaseException as error:
                # An exception must not cross the solver's C++ frames: it goes on behind them.
                self._raised.append(error)
                stop = True
            if stop and into is not None:
                into.user_interrupt = True

        model.setCallback(hear, None)
        for event in (
            kind.kCallbackMipInterrupt,
            kind.kCallbackMipLogging,
            kind.kCallbackSimplexInterrupt,
            kind.kCallbackIpmInterrupt,
            kind.kCallbackMipImprovingSolution,
        ):
            model.startCallback(event)

    def findSolutionValues(self, lp: pulp.LpProblem) -> tuple[int, int]:  # noqa: N802 - PuLP's
        """Read values and duals; a limit without a feasible point leaves no values."""
        model = lp.solverModel
        sign = _sign(lp)
        self.end = _STATUS.get(model.getModelStatus(), "error")
        found = (
            model.getInfo().primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        )
        solution = model.getSolution()
        values, reduced = list(solution.col_value), list(solution.col_dual)
        dual = list(solution.row_dual)
        for variable in lp.variables():
            variable.varValue = values[variable.index] if found else None
            variable.dj = sign * reduced[variable.index] if reduced else None
        for row in lp.constraints.values():
            row.pi = sign * dual[row.index] if dual else None
        if self.end in _PULP_STATUS:
            return _PULP_STATUS[self.end]
        if found:
            return pulp.LpStatusOptimal, pulp.LpSolutionIntegerFeasible
        return pulp.LpStatusNotSolved, pulp.LpSolutionNoSolutionFound


def _is_solved(model: highspy.Highs) -> bool:
    feasible = highspy.SolutionStatus.kSolutionStatusFeasible
    return (
        model.getModelStatus() == highspy.HighsModelStatus.kOptimal
        and model.getInfo().primal_solution_status == feasible
    )


def silent_highs() -> highspy.Highs:
    """Make a HiGHS without its banner."""
    # The first instance prints a banner before any option can be set. Threads take turns: each
    # must find the descriptor as it was.
    with _SILENCE, silenced(1):
        return highspy.Highs()  # type: ignore[no-untyped-call]


def _sign(lp: pulp.LpProblem) -> int:
    return -1 if lp.sense == pulp.LpMaximize else 1


def _set_start(model: highspy.Highs, variables: list[pulp.LpVariable]) -> None:
    known = [(v.index, v.varValue) for v in variables if v.varValue is not None]
    if not known:
        return
    index, value = zip(*known, strict=True)
    model.setSolution(len(known), np.array(index, dtype=np.int32), np.array(value, dtype=float))
