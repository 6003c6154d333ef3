"""What `solve` does between its options and its answer: read, solve, refine, simulate, plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cli.earlier import FREE, follow, moved, read_earlier
from cli.file_arguments import hash_inputs, load_inputs
from cli.refine import TRAINING, UNSEEN, refine_plan
from cli.scenarios import demands_of, scenario_role, scenario_summary, wants_scenarios
from cli.simulated_headroom import begin_compiling, doubts, with_headroom
from cli.solve_report import Solved
from cli.survival import check_survival, claim, solve_for_losses
from cli.until_borne import Attempt, check_goes_with, until_borne
from cli.waiting import SolveProgress
from placement.files.cluster_file import check_fits
from placement.files.params_file import read_params
from placement.files.rules_file import check_config_rules
from placement.params.search_params import DEFAULTS, SearchParams
from placement.problem.cluster import Cluster
from placement.problem.degrees import choices, of_plan, solve_choices
from placement.problem.instance import Instance
from placement.problem.instance_building import build_instance
from placement.problem.names import SIMULATED_HEADROOM
from placement.problem.outcome import SolveOptions, SolveResult
from placement.problem.plan import Plan
from placement.problem.plan_building import build_plan
from placement.problem.rules import Rules
from placement.problem.trace import Demand, Trace, measure_demand
from placement.problem.workload import Workload
from placement.robust import solve_scenarios
from placement.solve import solve_instance
from placement.solver.budget import Budget
from placement.support.equality import ByContent

if TYPE_CHECKING:
    from cli.interruption import EarlyEnd
    from cli.solve_asked import Asked


@dataclass(frozen=True, eq=False)
class Given(ByContent):
    """What the files of a solve hold, checked.

    Parameters
    ----------
    workload : Workload
        With the variants of all traces.
    choices : tuple of Workload
        One for each choice of degrees that is solved.
    trace : Trace
        Of `--requests`.
    demand : Demand
        The mean of all traces.
    names : tuple of str
        Of the demands that a plan is sought for at once; none where it is sought for one.
    cluster : Cluster
    rules : Rules
    params : SearchParams
    earlier : Plan or None
        The one that runs.
    instance : Instance
        At the mean demand.
    instances : tuple of Instance
        At each of the several demands.
    """

    workload: Workload
    choices: tuple[Workload, ...]
    trace: Trace
    demand: Demand
    names: tuple[str, ...]
    cluster: Cluster
    rules: Rules
    params: SearchParams
    earlier: Plan | None
    instance: Instance
    instances: tuple[Instance, ...]


def run(end: EarlyEnd, asked: Asked) -> Solved:
    """Read, solve for one demand or several, refine where asked for, and build the plan."""
    given = _read(asked)
    options = _options(asked, given.params)
    if _simulates(asked):
        begin_compiling()
    budget = Budget(asked.time_limit)
    end.stops(budget)
    workload, result, extra = _solve(given, options, asked, budget)
    # What comes of the limit is for the headroom: refining has a limit of its own.
    rest = budget.limit_s
    if asked.refine is not None and not end.asked:
        result, extra["refined"] = _refined(result, options, workload, given.trace, end, asked)
    planning = _Planning(given, _hashes(asked), end, asked, extra.get("survive"))
    result, plan, left = planning.planned(result, workload, rest)
    if asked.until_borne:

        def solved_under(target: float) -> Attempt | None:
            nonlocal workload, left
            if end.asked or left.expired:
                return None
            limit = Budget(left.limit_s)
            end.stops(limit)
            lower = replace(options, max_utilization=target)
            with SolveProgress(quiet=asked.silent, limit_s=limit.limit_s) as progress:
                workload, found = _best_choice(given, lower, progress, limit)
            found, plan, left = planning.planned(found, workload, limit.limit_s)
            return found, plan

        result, plan = until_borne((result, plan), solved_under)
        workload = of_plan(workload, plan)
    if given.earlier is not None:
        extra["migration"] = moved(given.earlier, plan)
    if SIMULATED_HEADROOM in plan.expected:
        extra[SIMULATED_HEADROOM] = plan.expected[SIMULATED_HEADROOM]
    return Solved(plan, result, doubts(plan, workload), extra)


def _read(asked: Asked) -> Given:
    """Refuse what does not go together, then read the files."""
    several = wants_scenarios(
        asked, method=asked.method, refine=asked.refine, allow_partial=asked.allow_partial
    )
    if asked.until_borne:
        check_goes_with(
            mode=asked.mode,
            refine=asked.refine,
            simulates=asked.simulate_headroom,
            several=several,
        )
    params = DEFAULTS if asked.params is None else read_params(asked.params)
    cluster = asked.cluster()
    clashes = {
        "refine": asked.refine is not None,
        "allow_partial": asked.allow_partial,
        "scenarios": several,
        "until_borne": asked.until_borne,
    }
    check_survival(
        asked, mode=asked.mode == "offline", max_moves=asked.max_moves is not None, **clashes
    )
    earlier = read_earlier(asked, cluster, method=asked.method != "ilp", **clashes)
    workload, trace = load_inputs(asked.config, asked.requests)
    check_config_rules(asked.config, workload, cluster)
    rules = Rules(
        asked.objective,
        asked.alpha,
        asked.exclusive,
        asked.max_models_per_gpu,
        asked.placement_rules(cluster, workload),
    )
    demand = measure_demand(workload, trace)
    named: list[tuple[str, Demand]] = []
    if several:
        workload, demand, named = demands_of(workload, trace, asked.scenarios, asked.windows)
    instance, *instances = (
        build_instance(workload, d, cluster, rules) for d in (demand, *(d for _, d in named))
    )
    if not asked.allow_partial and not any(m.degrees for m in workload.models):
        check_fits(asked.config, workload, instance.cluster, instance.used_models)
    first = several or asked.survive is not None  # of degrees, the first is taken there
    return Given(
        workload=workload,
        choices=(workload,) if first else tuple(choices(workload, instance.used_models)),
        trace=trace,
        demand=demand,
        names=tuple(name for name, _ in named),
        cluster=cluster,
        rules=rules,
        params=params,
        earlier=earlier,
        instance=instance,
        instances=tuple(instances),
    )


def _options(asked: Asked, params: SearchParams) -> SolveOptions:
    return SolveOptions(
        method=asked.method,
        form=asked.form,
        mode=asked.mode,
        max_utilization=asked.max_utilization,
        headroom_slack=asked.headroom_slack,
        solver=asked.solver,
        time_limit_s=asked.time_limit,
        gap=asked.gap,
        threads=asked.threads,
        seed=asked.seed,
        allow_partial=asked.allow_partial,
        params=params,
    )


def _simulates(asked: Asked) -> bool:
    """Whether the plan states the headroom that the simulation bears out."""
    return asked.simulate_headroom and asked.mode == "online"


def _solve(
    given: Given, options: SolveOptions, asked: Asked, budget: Budget
) -> tuple[Workload, SolveResult, dict[str, Any]]:
    """The best result, with the workload that it is of and what its options add to ``--json``."""
    free = budget if asked.max_moves is None else budget.part(FREE)
    with SolveProgress(quiet=asked.silent, limit_s=asked.time_limit) as progress:
        if given.instances:
            outcome = solve_scenarios(
                given.instance,
                list(given.instances),
                options,
                asked.scenario_criterion,
                progress=progress,
                budget=budget,
            )
            summary = scenario_summary(outcome, list(given.names))
            return given.workload, outcome.result, {"scenarios": summary}
        if asked.survive is not None:
            result, price = solve_for_losses(given.instance, options, progress, budget)
            return given.workload, result, {"survive": price}
        workload, result = _best_choice(given, options, progress, free)
        return workload, result, {}


def _best_choice(
    given: Given, options: SolveOptions, progress: SolveProgress, budget: Budget
) -> tuple[Workload, SolveResult]:
    """Solve for each choice of degrees: the workload with the best ones, and its result."""
    chosen, found = solve_choices(
        [build_instance(w, given.demand, given.cluster, given.rules) for w in given.choices],
        lambda i: solve_instance(i, options, progress=progress, budget=budget),
    )
    return given.choices[chosen], found


def _refined(
    result: SolveResult,
    options: SolveOptions,
    workload: Workload,
    trace: Trace,
    end: EarlyEnd,
    asked: Asked,
) -> tuple[SolveResult, dict[str, Any]]:
    """Let the simulator correct the plan, within a limit of its own."""
    from runtime.judge import Judge  # scipy takes a while to import

    assert asked.refine is not None
    judge = Judge(
        workload,
        trace,
        asked.mode,
        asked.refine_routing,
        asked.refine,
        asked.seed,
        TRAINING,
        UNSEEN,
    )
    budget = Budget(asked.refine_budget)
    end.stops(budget)
    with SolveProgress(quiet=asked.silent, limit_s=asked.refine_budget) as progress:
        return refine_plan(
            result,
            options,
            judge,
            evaluations=asked.refine_evaluations,
            loss=asked.refine_loss,
            budget=budget,
            progress=progress,
        )


def _hashes(asked: Asked) -> dict[str, str]:
    """What the plan states of its input files, by role."""
    more = {scenario_role(i): path for i, path in enumerate(asked.scenarios)}
    return hash_inputs(
        config=asked.config,
        requests=asked.requests,
        cluster=asked.cluster_file,
        rules=asked.rules_file,
        **more,
    )


@dataclass(frozen=True, eq=False)
class _Planning(ByContent):
    """All but the result that goes into a plan.

    Parameters
    ----------
    given : Given
    hashes : dict of str to str
        Of the input files.
    end : EarlyEnd
        Told of every budget.
    asked : Asked
    price : dict or None
        Of surviving the loss of a server, where that was asked for.
    """

    given: Given
    hashes: dict[str, str]
    end: EarlyEnd
    asked: Asked
    price: dict[str, Any] | None

    def planned(
        self, result: SolveResult, workload: Workload, seconds: float | None
    ) -> tuple[SolveResult, Plan, Budget]:
        """Write down a result, with what the simulation says of it; and what time is left.

        Parameters
        ----------
        result : SolveResult
        workload : Workload
            With the degrees of the result.
        seconds : float or None
            That it may take.
        """
        plan, limit = build_plan(result, workload, inputs=self.hashes), Budget(seconds)
        self.end.stops(limit)
        if self.given.earlier is not None:
            result, plan = follow(self.given.earlier, plan, result, self.asked, workload, limit)
        plan = claim(plan, self.price)
        if _simulates(self.asked):
            params = result.options.params.headroom
            plan = with_headroom(plan, workload, self.given.trace, limit, params)
        return result, plan, limit
