"""Pricing over listed contents: all are bounded at once, the promising ones valued exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pulp

from placement.patterns.duals import Duals
from placement.patterns.master_rows import Row
from placement.patterns.pattern import Pattern
from placement.patterns.pricing.content_list import Contents, Prices, prices_at
from placement.patterns.pricing.counts import Priced
from placement.problem.cluster import FloatArray, IntArray
from placement.programs.flows import Place, keepable, kept_terms
from placement.solver.budget import Budget
from placement.solver.milp import Pairs, SolverSettings, linear, solve_program
from placement.solver.milp import duals as read_duals


class ContentPricing:
    """One server type's pricing problem, solved by looking at every content.

    Parameters
    ----------
    batches : int, optional
        Linear programs of one pricing; those of the parameters by default.

    Attributes
    ----------
    sigma : float64, shape (M,)
        Multipliers of the load rows: those of the last pricing bound well at the next one.
    """

    placed = False

    def __init__(
        self,
        contents: Contents,
        rows: Sequence[Row] = (),
        *,
        batches: int | None = None,
    ) -> None:
        self.contents = contents
        self.batches = batches
        self.rows = tuple(rows)
        self.sigma = np.zeros(len(contents.models))

    def solve(
        self,
        duals: Duals,
        settings: SolverSettings,
        budget: Budget | None,
        *,
        gap: float = 0.0,
    ) -> Priced | None:
        """Price at some duals, to an absolute gap; None where the time has ended.

        Parameters
        ----------
        duals : Duals
            Of demand and rows.
        settings : SolverSettings
            For the linear programs of the contents looked at.
        budget : Budget or None
            When to stop.
        gap : float
            Absolute gap that is close enough.
        """
        if budget is not None and budget.expired:
            return None
        contents, params = self.contents, settings.params.contents
        prices, fixed, bound = self._bounds(duals)
        exact: dict[int, float] = {}
        best = -np.inf
        for _ in range(self.batches or params.batches):
            largest = _largest(bound, params.batch + len(exact))
            batch = np.array([r for r in largest if r not in exact])[: params.batch]
            if not len(batch) or bound[batch[0]] <= best + max(params.exact, gap):
                break
            values, sigma = value_exactly(contents, batch, prices, settings, budget)
            if np.isinf(values).all():
                break
            bound[batch] = np.minimum(bound[batch], values + fixed[batch])
            exact |= dict(zip(batch.tolist(), bound[batch].tolist(), strict=True))
            best = max(best, float(bound[batch].max()))
            rows = np.flatnonzero(bound > best + params.exact)
            mean = np.nanmean(np.vstack([sigma, self.sigma]), axis=0)
            first = sigma[int(np.argmax(bound[batch]))]
            for multipliers in (mean, np.where(np.isnan(first), mean, first)):
                tighter = contents.bound(prices, multipliers, rows) + fixed[rows]
                bound[rows] = np.minimum(bound[rows], tighter)
            self.sigma = mean
        if not exact:
            return None
        order = sorted(exact, key=lambda r: (-exact[r], r))
        pattern, *others = [contents.pattern(r) for r in order[: params.most_others + 1]]
        return Priced(pattern, exact[order[0]], max(0.0, float(bound.max())), tuple(others))

    def near(self, duals: Duals, count: int) -> ContentPricing:
        """Pricing over those contents alone that are worth most at some duals, by their bounds."""
        _, _, bound = self._bounds(duals)
        return ContentPricing(self.contents.among(np.sort(_largest(bound, count))), self.rows)

    def promising(
        self, duals: Duals, settings: SolverSettings, budget: Budget, count: int
    ) -> list[Pattern]:
        """Patterns that are worth most at some duals, the best first: what rounding wants.

        Parameters
        ----------
        duals : Duals
            Of demand and rows.
        settings : SolverSettings
            For the linear programs of the contents looked at.
        budget : Budget
            When to stop.
        count : int
            Patterns wanted.
        """
        contents, params = self.contents, settings.params.contents
        prices, fixed, bound = self._bounds(duals)
        looked_at = _largest(bound, params.looked_at * count)
        value = np.full(len(looked_at), -np.inf)
        for first in range(0, len(looked_at), params.batch):
            if budget.expired:
                break
            batch = slice(first, first + params.batch)
            exact, _ = value_exactly(contents, looked_at[batch], prices, settings, budget)
            value[batch] = exact + fixed[looked_at[batch]]
        return [contents.pattern(int(looked_at[i])) for i in _largest(value, count)]

    def _bounds(self, duals: Duals) -> tuple[Prices, FloatArray, FloatArray]:
        """Prices at some duals, what features add to each content, and a bound on its worth."""
        prices = prices_at(self.contents.instance, self.rows, duals)
        fixed = self.contents.features(self.rows, duals)
        return prices, fixed, self.contents.bound(prices, self.sigma) + fixed


class ContentDraft:
    """Heuristic pricing over the contents that were worth most at the first duals.

    Most of the contents of a server stay far from being worth it.

    Attributes
    ----------
    pricing : ContentPricing or None
        Over these contents; None before the first solve.
    """

    placed = False

    def __init__(self, contents: Contents, rows: Sequence[Row] = ()) -> None:
        self.contents = contents
        self.rows = tuple(rows)
        self.pricing: ContentPricing | None = None

    def learn(self, rows: Sequence[Row]) -> None:
        """Price with other rows from now on."""
        self.rows = tuple(rows)
        if self.pricing is not None:
            self.pricing.rows = self.rows

    def solve(
        self,
        duals: Duals,
        settings: SolverSettings,
        budget: Budget | None,
        *,
        gap: float = 0.0,
    ) -> Priced | None:
        """Price at some duals; it is no bound on what other contents are worth.

        Parameters
        ----------
        duals : Duals
            Of demand and rows; the first call fixes which contents are looked at.
        settings : SolverSettings
            For the linear programs of the contents looked at.
        budget : Budget or None
            When to stop.
        gap : float
            Absolute gap that is close enough.
        """
        if self.pricing is None:
            every = ContentPricing(self.contents, self.rows)
            every.solve(duals, settings, budget, gap=gap)
            self.pricing = every.near(duals, settings.params.contents.most_near)
        priced = self.pricing.solve(duals, settings, budget, gap=gap)
        return None if priced is None else replace(priced, best_bound=np.inf)


def _largest(values: FloatArray, count: int) -> IntArray:
    """Rows of the largest values, largest first; ties by row."""
    if len(values) > count:
        rows = np.argpartition(-values, count)[:count]
    else:
        rows = np.arange(len(values))
    return rows[np.lexsort((rows, -values[rows]))]


def value_exactly(
    contents: Contents,
    rows: IntArray,
    prices: Prices,
    settings: SolverSettings,
    budget: Budget | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Values of some contents at some prices, and the multipliers of their load rows.

    Parameters
    ----------
    contents : Contents
        Of one server type, with M models.
    rows : int64, shape (B,)
        Those to be valued, in one linear program.
    prices : Prices
        Worth of a unit of rate, by node and by part kept.
    settings : SolverSettings
        Solver and threads.
    budget : Budget, optional
        When to stop.

    Returns
    -------
    value : shape (B,)
        Infinite where the solver did not end.
    sigma : shape (B, M)
        NaN where a content has no replica of the model.
    """
    problem = pulp.LpProblem("values", pulp.LpMaximize)
    worth = [_server(problem, contents, b, int(row), prices) for b, row in enumerate(rows)]
    problem += linear([term for terms in worth for term in terms])
    sigma = np.full((len(rows), len(contents.models)), np.nan)
    if solve_program(problem, settings, budget=budget).status != "optimal":
        return np.full(len(rows), np.inf), sigma
    duals = read_duals(problem)
    for b, row in enumerate(rows.tolist()):
        for i in np.flatnonzero(contents.counts[row]):
            sigma[b, i] = max(0.0, duals.get(f"load_{contents.models[i]}_{b}", 0.0))
    value = [sum(c * (v.varValue or 0.0) for v, c in terms) for terms in worth]
    return np.array(value, dtype=np.float64), sigma


def _server(problem: pulp.LpProblem, contents: Contents, b: int, row: int, prices: Prices) -> Pairs:
    """Add the rates of one content, and return what they are worth."""
    instance = contents.instance
    held = dict(zip(contents.models, contents.counts[row].tolist(), strict=True))
    place = Place(problem, instance, f"_{b}", contents.speed)
    worth: Pairs = []
    for w in instance.active_workflows:
        flow = instance.workflows[w]
        for v, m in enumerate(flow.node_model.tolist()):
            if held.get(m):
                a = place.serve(w, v, most=flow.rate)
                worth.append((a, -prices.demand[w, v]))
        parts = [part._replace(worth=prices.kept[part.part]) for part in keepable(instance, w)]
        worth += kept_terms(place.keep(parts))
    for m, used in place.work.items():
        problem.addConstraint(linear(used) <= instance.load_cap * held[m], f"load_{m}_{b}")
    return worth
