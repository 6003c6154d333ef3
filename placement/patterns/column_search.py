"""The search over columns of fixed rates, where contents are too many to be listed.

A loop of three steps that a reader can name: *tighten* (columns by annealing, and where it finds
nothing more one exact pricing, which lowers the bound), *propose* (a dive from the relaxation, or
from the best plan with some of its servers freed), *route* (the flows of what was proposed, free
again). It ends by work: where bound and plan meet, or neither step has found anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np

from placement.patterns.columns.column_dive import dive_columns
from placement.patterns.columns.column_master import duals_of
from placement.patterns.columns.content_pool import Column
from placement.patterns.columns.generation import WORTHWHILE, Generation, begin, columns_of
from placement.patterns.duals import Duals, lagrangian
from placement.patterns.incumbent import Search, integer
from placement.patterns.pattern import Pattern, patterns_of
from placement.patterns.pricing.content_list import count_contents
from placement.patterns.pricing.counts import PricingProblem
from placement.patterns.proven_bound import ProvenBound
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.solution import Flows, Solution
from placement.programs.least_replicas import WORK_MARGIN
from placement.solver.milp import SolverSettings, solver_name

LOCALITY_GAIN = 1e-9


def columns_suit(instance: Instance, settings: SolverSettings) -> bool:
    """Whether columns of fixed rates know all that an instance asks for, and are the better way.

    Parameters
    ----------
    instance : Instance
        With the cap.
    settings : SolverSettings
        Solver and parameters.
    """
    params, normal = settings.params, normalize(instance)
    nodes = (len(instance.workflows[w].node_model) for w in instance.active_workflows)
    kinds = range(len(instance.cluster.server_types))
    return (
        instance.counts_suffice
        and not instance.ruled
        and not any(t.model_speeds for t in instance.cluster.server_types)
        and solver_name(settings.name) == "HiGHS"
        and max(nodes) <= params.columns.most_nodes
        and tightness(normal) >= params.columns.least_tight
        and sum(count_contents(normal, t) for t in kinds) > params.contents.most_contents
    )


def tightness(instance: Instance) -> float:
    """Part of the GPUs that whole replicas for each model's work take, at full speed."""
    fastest = max(t.speed for t in instance.cluster.server_types)

    def replicas(work: float) -> int:
        if work <= 0:  # offline, the cap is 0 where nothing takes any time
            return 1
        return max(1, ceil(work / (instance.load_cap * fastest) * (1 - WORK_MARGIN)))

    needed = sum(
        int(instance.gpus_required[m]) * replicas(float(instance.model_work[m]))
        for m in instance.used_models
    )
    return float(needed / instance.cluster.n_gpus)


@dataclass
class ColumnSearch:
    """The loop's state: the search that is improved, and the columns."""

    search: Search
    gen: Generation
    pricings: list[PricingProblem]
    proven: Duals | None = None

    def tighten(self, share: float) -> bool:
        """Add columns until annealing finds no more; True where it got there."""
        phase, converged = self.search.budget.part(share), False
        with phase.bounded():
            converged = self.gen.run(phase)
        self._report("columns")
        return converged

    def prove(self) -> bool:
        """Price exactly; True where that found columns that the relaxation wants.

        First between the relaxation's duals and those of the best bound, which bounds better, and
        only where this finds nothing at the relaxation's own (Wentges, Weighted Dantzig-Wolfe
        decomposition for linear mixed-integer programming, 1997).
        """
        search, gen = self.search, self.gen
        exact = duals_of(search.normal, gen.flows, gen.master.demand, gen.master.counts)
        smoothing = search.params.column_generation.smoothing
        for weight in (smoothing, 0.0) if self.proven is not None else (0.0,):
            at = exact if self.proven is None else self.proven.mix(exact, weight)
            columns = self._price_exactly(at)
            if columns is None:
                return False
            wanted = [c for c in columns if gen.reduced_cost(c) > WORTHWHILE]
            if gen.master.add(wanted):
                return True
        return False

    def _price_exactly(self, at: Duals) -> list[Column] | None:
        """Contents of highest value at some duals, with their rates; the bound may fall."""
        search, gen, pool = self.search, self.gen, self.search.pool
        params, columns, bounds = search.params.column_generation, list[Column](), list[float]()
        fine = params.fine * search.gap * abs(pool.best_bound)
        close = max(fine, params.coarse * (pool.best_bound - gen.master.locality))
        for pricing in self.pricings:
            priced = pricing.solve(at, search.settings, search.budget, gap=close)
            if priced is None:
                return None
            bounds.append(priced.best_bound)
            found = (priced.pattern, *priced.others)
            columns += [gen.column(p) for p in found if p.content]
        bound = lagrangian(search.normal, pool.rows, at, bounds)
        if bound < pool.best_bound:
            pool.proven = ProvenBound(pool.rows, bound, at)
            self.proven = at
        elif self.proven is None:
            self.proven = at
        self._report("columns proven")
        return columns

    def propose(self, held: Mapping[Pattern, int]) -> bool:
        """Dive with some servers fixed, and combine what is left; True where that is better.

        The integer program has free flows on all servers, also on those that are fixed.
        """
        search, gen, params = self.search, self.gen, self.search.params.columns
        before, near, whole = search.worth, dict.fromkeys(self._held()), False
        fixed: dict[Pattern, int] = {}
        for pattern, n in held.items():
            gen.master.fix(pattern, n)
        phase = search.budget.part(params.share)
        with phase.bounded():
            if dive_columns(gen, phase, params.left):
                fixed = dict(gen.master.fixed)
                near |= dict.fromkeys([*gen.master.used(), *gen.master.promising(params.contents)])
                whole = dive_columns(gen, phase, 0)
        if whole:
            free = search.instance.cluster.n_servers - sum(fixed.values())
            integer(
                search,
                [*(near | dict.fromkeys(gen.master.fixed))],
                lambda p: (fixed.get(p, 0), fixed.get(p, 0) + free),
                node_limit=params.nodes,
                share=params.program_share,
                start=gen.master.fixed if not held else None,
            )
        gen.master.release()
        if search.worth > before + LOCALITY_GAIN and search.best is not None:
            gen.master.add(columns_of(gen, in_units(search.instance, search.normal, search.best)))
            return True
        return False

    def free_some(self, rng: np.random.Generator) -> dict[Pattern, int]:
        """Servers of the best plan but those that stay free, drawn by the workflows they serve."""
        params = self.search.params.columns
        each = [p for p, n in self._held().items() for _ in range(n)]
        wanted = rng.choice(len(self.gen.flows.rate), min(4, len(self.gen.flows.rate)), False)
        near = rng.random(len(each)) / 2
        for w in wanted.tolist():
            first, last = self.gen.flows.node_ptr[w : w + 2]
            models = set(self.gen.flows.node_model[first:last].tolist())
            near += [len(p.models & models) for p in each]
        kept = np.argsort(-near, kind="stable")[params.left :]
        return dict(Counter(each[i] for i in sorted(kept.tolist())))

    def _held(self) -> dict[Pattern, int]:
        best = self.search.best
        return {} if best is None else patterns_of(self.search.instance, best.placement)

    def _report(self, phase: str) -> None:
        pool = self.search.pool
        for pattern in self.gen.master.used():
            pool.add(pattern)
        self.search.report(phase)


def search_columns(search: Search) -> None:
    """Tighten, propose and route until bound and plan meet, or nothing more is found."""
    params, pool = search.params.columns, search.pool
    gen = begin(search.normal, pool.rows, pool.patterns, params, search.settings.seed)
    run = ColumnSearch(search, gen, search.pricings())
    rng = np.random.default_rng(search.settings.seed)
    converged = run.tighten(params.first_share)
    # What the search began with is no plan to improve on: its servers were not made to add up.
    dived, failed, tight = run.propose({}), 0, False
    while not search.closed() and not search.budget.expired:
        above = pool.best_bound - gen.master.locality
        below = gen.master.locality - search.worth
        stuck = failed >= params.proposals
        if tight and stuck:
            break
        # Work goes where the gap is: between bound and relaxation, or relaxation and plan.
        if not tight and (above > below or stuck):
            tight = converged and not run.prove()
            converged = run.tighten(params.share)
        else:
            better = run.propose(run.free_some(rng) if dived else {})
            dived, failed = dived or better, 0 if better else failed + 1


def in_units(instance: Instance, normal: Instance, solution: Solution) -> Solution:
    """A solution with the rates of the normalized instance.

    Parameters
    ----------
    instance, normal : Instance
        As it is, and normalized.
    solution : Solution
        Of the first.
    """
    if instance is normal:
        return solution
    factor = np.array(
        [
            theirs.rate / mine.rate if mine.rate > 0 else 0.0
            for mine, theirs in zip(instance.workflows, normal.workflows, strict=True)
        ]
    )
    flows = solution.flows
    rates = flows.rate * factor[flows.workflow]
    return Solution(
        solution.placement, Flows(flows.workflow, flows.node, flows.server, rates), solution.load
    )
