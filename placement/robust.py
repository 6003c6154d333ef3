"""One placement for several demands: the front door, and what it promises to each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from placement.heuristics.local_search import local_search
from placement.heuristics.mending import mend
from placement.packing import unpacked
from placement.patterns import pattern_bottleneck
from placement.patterns.joint_master import generate_scenarios, integer_scenarios
from placement.portfolio.scenario_routing import route_all, route_in_time, worth_of
from placement.portfolio.starts import load_cap
from placement.problem.instance import Instance
from placement.problem.names import Criterion
from placement.problem.outcome import (
    NO_BOUND,
    Progress,
    ProgressCallback,
    SolveOptions,
    SolveResult,
    earned_status,
    relative_gap,
)
from placement.problem.solution import Evaluation, Placement, Solution, evaluate
from placement.programs.balance import balance
from placement.programs.demands import (
    Scenario,
    combine,
    envelope,
    make_scenarios,
    objectives,
)
from placement.programs.joint import solve_compact_scenarios
from placement.programs.least_load import least_bottleneck
from placement.programs.routing import balance_routing
from placement.solve import solve_instance
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings

PROOFS = {
    "patterns": (
        "Lagrangian relaxation of the demand rows of all scenarios, the worst case weighted by "
        "multipliers that add up to 1"
    ),
    "compact": "branch and bound over one set of replicas with a routing for each scenario",
}


@dataclass(frozen=True)
class RobustOutcome:
    """A placement for several demands, and what is proven of it.

    Parameters
    ----------
    result : SolveResult
        The placement routed for the mean demand; its certificate bounds the locality under that
        demand alone.
    objective, best_bound, gap : float
        The criterion over the scenarios, a bound on it for every placement whose loads can be
        kept under `load_cap` in each scenario, and their relative gap.
    criterion : str
        What was maximised.
    proof : str
        One sentence: why the bound is valid.
    load_cap : float
        The cap on GPU loads, kept in every scenario.
    scenarios : tuple of Scenario
        The demands, as the programs see them.
    deterministic : bool
        Whether the clock had no say in it.
    plain_objective : float
        The criterion of the plan for the mean demand; -inf where that plan overloads a scenario.
    solutions : tuple of Solution
        Routing of each scenario.
    evaluations : tuple of Evaluation
        What each scenario gets.
    """

    result: SolveResult
    criterion: Criterion
    objective: float
    best_bound: float
    gap: float
    proof: str
    load_cap: float
    plain_objective: float
    scenarios: tuple[Scenario, ...]
    solutions: tuple[Solution, ...]
    evaluations: tuple[Evaluation, ...]
    deterministic: bool


def solve_scenarios(
    mean: Instance,
    demands: Sequence[Instance],
    options: SolveOptions,
    criterion: Criterion,
    *,
    progress: ProgressCallback | None = None,
    budget: Budget | None = None,
) -> RobustOutcome:
    """Place once for all demands; the plan for the mean demand is the start.

    The cap on loads holds in every scenario: the target, or (1 + eps) times the least bottleneck
    known to be attainable in all scenarios at once where that is higher.

    Parameters
    ----------
    mean : Instance
        Of the mean demand: a workflow that any scenario asks for has a rate in it.
    demands : sequence of Instance
        One a scenario, over the same models, workflows and cluster.
    options : SolveOptions
        How to solve.
    criterion : {"worst", "average"}
        What of the scenarios' localities is maximised.
    progress : callable, optional
        Called with every new incumbent and bound.
    budget : Budget, optional
        Made from `options.time_limit_s` by default.
    """
    mean, demands = unpacked(mean), [unpacked(demand) for demand in demands]
    budget = budget or Budget(options.time_limit_s)
    settings, params = SolverSettings.of(options), options.params.robust
    plain = solve_instance(mean, options, progress=progress, budget=budget.part(params.mean_share))
    scenarios = make_scenarios(demands, options.max_utilization)
    starts = [plain.solution.placement, *_starts(scenarios, options, budget)]
    cap, starts, least = _cap(scenarios, starts, settings, options, budget.part(params.cap_share))
    scenarios = make_scenarios(demands, cap)
    search = _Search(scenarios, criterion, settings, options, budget, progress)
    part = budget.part(params.starts_share)
    values = [search.offer(s, part.part(1 / (len(starts) - i))) for i, s in enumerate(starts)]
    if search.best is None:
        # No routing was found in time but the one that says what the cap is.
        search.keep(least[0].placement, least)
    _improve(search, [s for s, v in zip(starts, values, strict=True) if v > float("-inf")])
    return _outcome(plain, search, values[0])


@dataclass
class _Search:
    scenarios: list[Scenario]
    criterion: Criterion
    settings: SolverSettings
    options: SolveOptions
    budget: Budget
    progress: ProgressCallback | None
    best: Placement | None = None
    routed: Sequence[Solution] = ()
    value: float = float("-inf")
    bound: float = 1.0
    proof: str = "no locality exceeds 1"

    def offer(self, placement: Placement | None, budget: Budget | None = None) -> float:
        """Route a placement and keep it where it is better; says what it is worth."""
        placement = placement and mend(self.scenarios[0], placement)
        if placement is None:
            return float("-inf")
        budget = budget or self.budget.part(self.options.params.robust.offer_share)
        routed = route_all(self.scenarios, placement, self.settings, budget)
        return float("-inf") if routed is None else self.keep(placement, routed)

    def keep(self, placement: Placement, routed: Sequence[Solution]) -> float:
        """Keep a routed placement where it is better; says what it is worth."""
        value = worth_of(self.criterion, self.scenarios, routed)
        if self.best is None or value > self.value + 1e-9:
            self.best, self.routed, self.value = placement, routed, value
        return value

    def tighten(self, bound: float, how: str) -> None:
        """Keep a bound where it is lower."""
        if bound < self.bound:
            self.bound, self.proof = bound, PROOFS[how]

    def closed(self) -> bool:
        return relative_gap(self.value, self.bound) <= self.options.gap

    def report(self) -> None:
        if self.progress is not None:
            value = self.value if self.value > float("-inf") else None
            event = Progress("scenarios", self.budget.elapsed_s, value, self.bound)
            self.progress(event)


def _starts(
    scenarios: Sequence[Scenario], options: SolveOptions, budget: Budget
) -> list[Placement]:
    """Placements for each scenario and for the largest demand of all.

    The heuristic's moves are shared out, so that many scenarios take no longer. The heaviest
    scenario and the envelope of all get the integer program. A search for one scenario may leave
    out a model that only another one calls; such are dropped.
    """
    part = budget.part(options.params.robust.start_share)
    params = options.params.local_search
    moves = max(params.chunk_moves, params.start_moves // len(scenarios))
    found = []
    with part.bounded():
        for scenario in scenarios:
            searched = local_search(
                scenario, seed=options.seed, budget=part, moves=moves, params=options.params
            )
            found.append(searched)
    heaviest = max(scenarios, key=lambda s: float(s.offered_load.sum()))
    for instance in (envelope(scenarios), heaviest):
        if budget.expired:
            break
        share = budget.part(options.params.robust.alone_share)
        alone = solve_instance(instance, replace(options, balance=False), budget=share)
        found.append(alone.solution.placement)
    placed = set(scenarios[0].used_models)
    whole = [mend(scenarios[0], p) for p in found if placed <= set(p.model.tolist())]
    return [p for p in whole if p is not None]


def _cap(
    scenarios: Sequence[Scenario],
    starts: list[Placement],
    settings: SolverSettings,
    options: SolveOptions,
    budget: Budget,
) -> tuple[float, list[Placement], list[Solution]]:
    """The cap that all scenarios can keep, and routings that do.

    Where it is above the target, there is one more start.
    """

    def bottleneck(placement: Placement) -> tuple[float, list[Solution]]:
        found = [least_bottleneck(s, placement, settings, budget=budget) for s in scenarios]
        return max(load for load, _ in found), [solution for _, solution in found]

    least, routed = min(map(bottleneck, starts), key=lambda pair: pair[0])
    target = 0.0 if options.mode == "offline" else options.max_utilization
    if least > target:
        part = budget.part(options.params.robust.bottleneck_share)
        roomy = pattern_bottleneck(envelope(scenarios), settings, part, target=target)
        found = roomy.solution.placement
        starts = [*starts, found]
        least, routed = min((least, routed), bottleneck(found), key=lambda pair: pair[0])
    return load_cap(options, least), starts, routed


def _improve(search: _Search, starts: list[Placement]) -> None:
    """The pattern form, and on small clusters the compact form, from the best start."""
    scenarios, gap = search.scenarios, search.options.gap
    servers, params = scenarios[0].cluster.n_servers, search.options.params.robust
    search.report()
    if servers > params.compact_servers:
        part = search.budget.part(params.patterns_share)
        pool = generate_scenarios(
            scenarios, search.criterion, starts, search.settings, part, gap=gap / 4
        )
        search.tighten(pool.best_bound, "patterns")
        search.report()
        if search.best is not None and not search.closed():
            plans = integer_scenarios(
                scenarios,
                search.criterion,
                pool,
                search.settings,
                search.budget.part(params.plans_share),
                start=search.best,
                gap=gap / 4,
            )
            for placement in plans:
                search.offer(placement)
                search.report()
                if search.closed():
                    break
    if servers <= params.tightened_servers and not search.closed() and not search.budget.expired:
        found, bound, part = None, 1.0, search.budget.part(params.compact_share)
        with part.bounded():
            found, bound = solve_compact_scenarios(
                scenarios, search.criterion, search.settings, part, start=search.best, gap=gap
            )
        search.offer(found)
        search.tighten(bound, "compact")
        search.report()


def _outcome(plain: SolveResult, search: _Search, plain_value: float) -> RobustOutcome:
    closing = search.budget.closing()
    placement, result, routed = _route_mean(plain, search, closing)
    scenarios = search.scenarios
    even = []
    for k, (scenario, solution) in enumerate(zip(scenarios, routed, strict=True)):
        floor = evaluate(scenario, solution).objective * (1 - search.options.balance_tolerance)
        part = closing.part(1 / (len(scenarios) - k))
        balanced = balance_routing(
            scenario, placement, search.settings, least_locality=floor, budget=part
        )
        even.append(balanced or solution)
    value = combine(search.criterion, objectives(scenarios, even))
    bound = max(search.bound, value)
    certificate = replace(
        result.certificate,
        proof=(
            f"{result.certificate.proof}. That is of the mean demand; over {len(scenarios)} "
            f"scenarios the {search.criterion} locality is {value:.6f}, and no placement that "
            f"keeps loads under {scenarios[0].load_cap:.6g} in each exceeds {bound:.6f}: "
            f"{search.proof}"
        ),
        seconds=search.budget.elapsed_s,
        deterministic=not search.budget.cut_short,
    )
    return RobustOutcome(
        result=replace(result, certificate=certificate),
        criterion=search.criterion,
        objective=value,
        best_bound=bound,
        gap=relative_gap(value, bound),
        proof=search.proof,
        load_cap=scenarios[0].load_cap,
        plain_objective=plain_value,
        scenarios=tuple(scenarios),
        solutions=tuple(even),
        evaluations=tuple(evaluate(i, s) for i, s in zip(scenarios, even, strict=True)),
        deterministic=not search.budget.cut_short,
    )


def _route_mean(
    plain: SolveResult, search: _Search, closing: Budget
) -> tuple[Placement, SolveResult, Sequence[Solution]]:
    """Route the mean demand over the placement, with idle GPUs filled where no scenario loses.

    Where the mean demand cannot be kept under its own cap, the scenarios' cap is taken; the bound
    of the plain plan does not hold for it. The routings of the scenarios come with it.
    """
    assert search.best is not None
    placement, instance, settings = search.best, plain.instance, search.settings
    share = search.options.params.robust.closing_share
    bound, proof, duals = (
        plain.certificate.best_bound,
        plain.certificate.proof,
        plain.certificate.duals,
    )
    routed: Solution | None = plain.solution
    if placement != plain.solution.placement:
        routed = route_in_time(instance, placement, settings, closing.part(share))
    if routed is None:
        least, routed = least_bottleneck(instance, placement, settings, budget=closing.part(share))
        instance = replace(instance, load_cap=max(least, search.scenarios[0].load_cap))
        wider = route_in_time(instance, placement, settings, closing.part(share))
        routed = wider or routed
        bound, proof, duals = 1.0, NO_BOUND, None
    tolerance = search.options.balance_tolerance
    even = balance(instance, routed, settings, closing.part(share), tolerance=tolerance)
    of_each: Sequence[Solution] | None = search.routed
    if even.placement != placement:
        part = closing.part(share)
        of_each = route_all(search.scenarios, even.placement, settings, part)
    if worth_of(search.criterion, search.scenarios, of_each) >= search.value - 1e-9:
        placement, routed = even.placement, even
    else:
        of_each = search.routed
    assert of_each is not None
    evaluation = evaluate(instance, routed)
    gap = relative_gap(evaluation.objective, bound)
    wider_cap = instance.load_cap > plain.instance.load_cap
    earned = earned_status(plain.options.method, gap, plain.options.gap, "refined")
    certificate = replace(
        plain.certificate,
        status="refined" if wider_cap else earned,
        objective=evaluation.objective,
        best_bound=max(bound, evaluation.objective),
        gap=gap,
        proof=proof,
        duals=duals,
        load_cap=instance.load_cap,
    )
    result = replace(
        plain,
        instance=instance,
        solution=routed,
        evaluation=evaluation,
        certificate=certificate,
    )
    return placement, result, of_each
