"""The integer program of docs/model.md, position by position, given straight to HiGHS.

Every flow is a share of its workflow's rate and every load a share of its model's work, so that
all variables lie in [0, 1] whatever the unit of time. Slow and plain on purpose.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import highspy
import numpy as np

from tests.hunt.problem import ROOM, Problem

TIME_LIMIT_S = 20.0

NOISE = 1e-8
"""Shares of a model's work that the integer program leaves out: cuts made of them go wrong. The
routing over what it finds counts them again."""

ATTEMPTS = ((1e-9, "on"), (1e-9, "off"), (1e-8, "on"), (1e-8, "off"), (1e-7, "off"))
"""Tolerance of rows and whole numbers, and presolve, until an answer is had."""

Replica = tuple[str, int, int]
"""Model, server, first GPU within the server."""


@dataclass(frozen=True)
class Interval:
    """What is attained by `placement` and what is proven: the optimum lies between the two."""

    attained: float
    proven: float
    placement: tuple[Replica, ...] = ()


class Program:
    """Placement and routing of a problem; without a cap, nothing limits the loads.

    Parameters
    ----------
    cap : float, optional
        Most that a GPU may be loaded; `least` makes it a variable, in units of the floor.
    fixed : sequence of Replica, optional
        The placement, where it is given and only the routing is sought.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        cap: float | None = None,
        least: bool = False,
        fixed: Sequence[Replica] | None = None,
    ) -> None:
        self.problem = problem
        self.cost: list[float] = []
        self.whole: list[bool] = []
        self.low: dict[int, float] = {}
        self.upper: list[float] = []
        self.rows: list[tuple[float, float, dict[int, float]]] = []
        self.x: dict[Replica, int] = {}
        self.fixed = None if fixed is None else set(fixed)
        self.loaded: dict[Replica, int] = {}
        self._place()
        if cap is not None or least:
            self._route()
            if least:
                self.cost = [0.0] * len(self.cost)
            limit = self._variable(1.0, upper=np.inf) if least else None
            self._load(problem.floor if cap is None else cap, limit)

    def _variable(self, cost: float = 0.0, *, whole: bool = False, upper: float = 1.0) -> int:
        self.cost.append(cost)
        self.whole.append(whole)
        self.upper.append(upper)
        return len(self.cost) - 1

    def _row(self, low: float, high: float, terms: dict[int, float]) -> None:
        self.rows.append((low, high, terms))

    def _place(self) -> None:
        problem = self.problem
        memory: dict[tuple[int, int], dict[int, float]] = defaultdict(dict)
        fixed = self.fixed is not None
        for name, model in problem.models.items():
            for s, server in enumerate(problem.servers):
                for i in problem.starts(name, s):
                    if self.fixed is not None and (name, s, i) not in self.fixed:
                        continue
                    x = self.x[name, s, i] = self._variable(whole=True)
                    if fixed:
                        self.low[x] = 1.0
                    for g in range(i, i + model.gpus):
                        memory[s, g][x] = model.memory / server.room(g)
            self._row(1.0, np.inf, {x: 1.0 for (m, _, _), x in self.x.items() if m == name})
        for name, rules in problem.rules.items():
            self._keep_rules(name, rules)
        for (m, s, i), x in self.x.items():
            if (base := problem.models[m].base) is not None:
                under = {self.x[at]: -1.0 for at in [(base, s, i)] if at in self.x}
                self._row(-np.inf, 0.0, {x: 1.0, **under})
        for terms in memory.values():
            self._row(-np.inf, 1 + ROOM, terms)
            self._row(-np.inf, problem.most, dict.fromkeys(terms, 1.0))

    def _keep_rules(self, name: str, rules: Mapping[str, Any]) -> None:
        mine = {x: 1.0 for (m, _, _), x in self.x.items() if m == name}
        most = rules.get("max_replicas", np.inf)
        self._row(rules.get("min_replicas", 1.0), most, mine)
        for pin in rules.get("pinned", ()):
            x = self.x.get((name, pin["server"], min(pin["gpus"])))
            self._row(1.0, 1.0, {} if x is None else {x: 1.0})
        company = [(k, o) for k in ("apart_from", "together_with") for o in rules.get(k, ())]
        for s in range(len(self.problem.servers)):
            for key, other in company:
                here = [x for (m, at, _), x in self.x.items() if (m, at) == (name, s)]
                there = [x for (m, at, _), x in self.x.items() if (m, at) == (other, s)]
                for x in here:
                    if key == "together_with":
                        self._row(-np.inf, 0.0, {x: 1.0, **dict.fromkeys(there, -1.0)})
                    else:
                        for y in there:
                            self._row(-np.inf, 1.0, {x: 1.0, y: 1.0})
        if "spread" in rules:
            there = {}
            for s in range(len(self.problem.servers)):
                held = there[s] = self._variable(whole=True)
                here = {x: -1.0 for (m, at, _), x in self.x.items() if (m, at) == (name, s)}
                self._row(-np.inf, 0.0, {held: 1.0, **here})
            self._row(rules["spread"], np.inf, dict.fromkeys(there.values(), 1.0))

    def _route(self) -> None:
        problem = self.problem
        servers = range(len(problem.servers))
        self.work: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
        for w, (whole, link) in zip(problem.workflows, problem.weights, strict=True):
            share = {(n, s): self._variable() for n in range(len(w.nodes)) for s in servers}
            for n, (model, seconds) in enumerate(w.nodes):
                self._row(1.0, 1.0, {share[n, s]: 1.0 for s in servers})
                for s in servers:
                    here = {x: -1.0 for (m, at, _), x in self.x.items() if (m, at) == (model, s)}
                    self._row(-np.inf, 0.0, {share[n, s]: 1.0, **here})
                    part = w.rate * seconds / (problem.work[model] or 1.0)
                    if part > (NOISE if self.fixed is None else 0.0):
                        self.work[model, s][share[n, s]] = part
            for s in servers:
                kept = self._variable(whole)
                for n in range(len(w.nodes)):
                    self._row(-np.inf, 0.0, {kept: 1.0, share[n, s]: -1.0})
                for ends in w.links:
                    kept = self._variable(link)
                    for n in ends:
                        self._row(-np.inf, 0.0, {kept: 1.0, share[n, s]: -1.0})

    def _load(self, unit: float, limit: int | None) -> None:
        """Share a model's work on a server among its replicas; no GPU above `limit` units."""
        if not self.problem.floor:
            return
        problem = self.problem
        load: dict[tuple[int, int], dict[int, float]] = defaultdict(dict)
        done: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
        for (m, s, i), x in self.x.items():
            if not problem.work.get(m):
                continue
            h = self._variable()
            done[m, s][h] = 1.0
            if problem.loses and problem.counts(m, s, i):
                x = self._loaded((m, s, i))
            self._row(-np.inf, 0.0, {h: 1.0, x: -1.0})
            for g in range(i, i + problem.models[m].gpus):
                load[s, g][h] = problem.work[m] / problem.speed(m, s, i) / unit
        for key, terms in self.work.items():
            self._row(0.0, 0.0, {**done[key], **{a: -part for a, part in terms.items()}})
        for gpu, terms in load.items():
            bound, right = ({}, 1.0) if limit is None else ({limit: -1.0}, 0.0)
            self._row(-np.inf, right, {**terms, **bound})
            for together, kept in self._sharing(gpu):
                # Where all of them are loaded, the others on the GPU are no help either.
                slack = (1 / kept - 1) * (1.0 if limit is None else sum(terms.values()))
                held = dict.fromkeys(together, slack)
                self._row(
                    -np.inf,
                    right + slack * len(together),
                    {**{h: c / kept for h, c in terms.items()}, **bound, **held},
                )

    def _loaded(self, replica: Replica) -> int:
        """Variable that is 1 where a replica is loaded; it stands, idle only if it has to."""
        based = any(m.base for m in self.problem.models.values())
        if self.fixed is None and not self.problem.rules and not based:
            return self.x[replica]
        if replica not in self.loaded:
            z = self.loaded[replica] = self._variable(whole=True)
            self._row(-np.inf, 0.0, {z: 1.0, self.x[replica]: -1.0})
        return self.loaded[replica]

    def _sharing(self, gpu: tuple[int, int]) -> list[tuple[tuple[int, ...], float]]:
        """Sets of replicas that bear less of a GPU together than any part of them, and what."""
        problem, (s, g) = self.problem, gpu
        if not problem.loses:
            return []
        here = [
            r
            for r in self.x
            if r[1] == s and 0 <= g - r[2] < problem.models[r[0]].gpus and problem.counts(*r)
        ]
        found: list[tuple[tuple[int, ...], float]] = []
        for n in range(2, min(len(here), problem.most) + 1):
            before = len(found)
            for some in combinations(here, n):
                models = [r[0] for r in some]
                memory = sum(problem.models[m].memory for m in models)
                if memory > problem.servers[s].room(g) * (1 + ROOM):
                    continue
                kept = problem.capacity(models)
                parts = (problem.capacity(models[:i] + models[i + 1 :]) for i in range(n))
                if kept < min(parts) - 1e-12:
                    found.append((tuple(self._loaded(r) for r in some), kept))
            if len(found) == before and n > len(problem.kept) and not self._gaps:
                break
        return found

    @property
    def _gaps(self) -> bool:
        return any(m.fraction < 1 for m in self.problem.models.values())

    def solve(self, *, maximise: bool, relax: bool = False) -> tuple[float, float, list[float]]:
        """Value, proven bound and variables; infinite on the wrong side where nothing holds.

        At the tightest tolerances HiGHS now and then disowns its own answer; it is asked again.
        """
        worst = -np.inf if maximise else np.inf
        if any(low > 0 and not terms for low, _, terms in self.rows):
            return worst, worst, []
        model = self._model(maximise=maximise, relax=relax)
        status = highspy.HighsModelStatus
        for tolerance, presolve in ATTEMPTS:
            h = _solver(tolerance, presolve)
            h.passModel(model)
            h.run()
            if h.getModelStatus() in (status.kOptimal, status.kInfeasible, status.kTimeLimit):
                break
        else:
            raise RuntimeError(f"the oracle's program ends as {h.getModelStatus()}")
        if h.getModelStatus() == status.kInfeasible:
            return worst, worst, []
        info = h.getInfo()
        found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        value = float(info.objective_function_value) if found else worst
        values = list(h.getSolution().col_value) if found else []
        if any(self.whole) and not relax:
            return value, float(info.mip_dual_bound), values
        return value, value if h.getModelStatus() == status.kOptimal else -worst, values

    def _model(self, *, maximise: bool, relax: bool) -> highspy.HighsLp:
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(self.cost), len(self.rows)
        lp.sense_ = highspy.ObjSense.kMaximize if maximise else highspy.ObjSense.kMinimize
        lp.col_cost_ = np.array(self.cost)
        lp.col_lower_ = np.array([self.low.get(c, 0.0) for c in range(len(self.cost))])
        lp.col_upper_ = np.array(self.upper)
        lp.row_lower_ = np.array([low for low, _, _ in self.rows])
        lp.row_upper_ = np.array([high for _, high, _ in self.rows])
        starts = np.cumsum([0, *(len(terms) for _, _, terms in self.rows)])
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = starts
        lp.a_matrix_.index_ = np.array([c for _, _, terms in self.rows for c in terms])
        lp.a_matrix_.value_ = np.array([v for _, _, terms in self.rows for v in terms.values()])
        if not relax:
            kind = highspy.HighsVarType
            lp.integrality_ = [kind.kInteger if w else kind.kContinuous for w in self.whole]
        return lp

    def placement(self, values: Sequence[float]) -> tuple[Replica, ...]:
        """The replicas of a solution."""
        return tuple(r for r, x in self.x.items() if values[x] > 0.5)


def _solver(tolerance: float, presolve: str) -> highspy.Highs:
    # The pool of threads is the process's, and refuses another size until it is reset.
    highspy.Highs.resetGlobalScheduler(True)
    h = highspy.Highs()
    options = {
        "output_flag": False,
        "threads": 1,
        "presolve": presolve,
        "time_limit": TIME_LIMIT_S,
        "mip_rel_gap": 0.0,
        "mip_abs_gap": tolerance,
        "mip_feasibility_tolerance": tolerance,
        "primal_feasibility_tolerance": tolerance,
        "dual_feasibility_tolerance": tolerance,
    }
    for name, value in options.items():
        h.setOptionValue(name, value)
    return h


def fits(problem: Problem) -> bool:
    """Whether every model that is called can have a replica at once."""
    value, _, _ = Program(problem).solve(maximise=True)
    return value > -np.inf


def best_locality(problem: Problem, cap: float) -> Interval:
    """The most locality under a cap on GPU loads; -inf where no placement keeps it."""
    program = Program(problem, cap=cap)
    value, proven, values = program.solve(maximise=True)
    if not values:
        return Interval(value, proven + problem.constant)
    placement = program.placement(values)
    return Interval(locality_of(problem, placement, cap), proven + problem.constant, placement)


def locality_of(problem: Problem, placement: Sequence[Replica], cap: float) -> float:
    """The most locality that routing over a placement gives; -inf where the cap cannot be kept."""
    routing = Program(problem, cap=cap, fixed=placement)
    value, _, _ = routing.solve(maximise=True, relax=not problem.loses)
    return value + problem.constant


def least_load(problem: Problem) -> Interval:
    """The least load of the busiest GPU: what a placement attains, and what none goes below."""
    program = Program(problem, least=True)
    value, proven, values = program.solve(maximise=False)
    if not values:
        return Interval(value, proven)
    placement = program.placement(values)
    return Interval(load_of(problem, placement), proven * problem.floor, placement)


def load_of(problem: Problem, placement: Sequence[Replica]) -> float:
    """The least load of the busiest GPU that routing over a placement gives."""
    routing = Program(problem, least=True, fixed=placement)
    value, _, _ = routing.solve(maximise=False, relax=not problem.loses)
    return value * problem.floor if problem.floor else 0.0
