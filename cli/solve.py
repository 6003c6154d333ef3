"""`gswarm-place solve`: inputs in, a certified plan out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from cli.asked import Shown, takes
from cli.earlier import FREE, Earlier, earlier_options, follow, moved, read_earlier
from cli.file_arguments import ask_before_replacing, check_outputs, hash_inputs, load_inputs
from cli.interruption import EarlyEnd, early_end
from cli.json_output import echo_json
from cli.missing import needs_cluster
from cli.option_groups import Grouped
from cli.options import (
    Count,
    Number,
    cluster_options,
    gap_option,
    gpu_sharing_option,
    headroom_options,
    input_options,
    mode_option,
    output_options,
    rules_option,
    seed_option,
    sharing_options,
    solver_option,
    time_limit_option,
)
from cli.refine import TRAINING, UNSEEN, refine_options, refine_plan
from cli.scenarios import (
    Scenarios,
    demands_of,
    scenario_options,
    scenario_role,
    scenario_summary,
    wants_scenarios,
)
from cli.simulated_headroom import begin_compiling, doubts, with_headroom
from cli.solve_step import Repeatable, next_step
from cli.survival import Survival, check_survival, claim, solve_for_losses, survive_option
from cli.until_borne import Attempt, check_goes_with, until_borne
from cli.waiting import SolveProgress
from placement.problem.names import FORMS, METHODS, OBJECTIVES, SCORED, SIMULATED_HEADROOM

if TYPE_CHECKING:
    from cli.solve_report import Solved
    from placement.problem.names import Form, Method, Router
    from placement.problem.outcome import SolveOptions, SolveResult
    from placement.problem.plan import Plan
    from placement.problem.trace import Demand
    from runtime.judge import Judge


@dataclass(frozen=True, kw_only=True)
class Asked(Repeatable, Survival, Earlier, Scenarios, Shown):
    """What `gswarm-place solve` was asked for."""

    method: Method
    form: Form
    solver: str
    threads: int | None
    seed: int
    allow_partial: bool
    simulate_headroom: bool
    until_borne: bool
    history: str | None
    params: str | None
    force: bool
    refine: str | None
    refine_routing: Router
    refine_loss: float
    refine_evaluations: int
    refine_budget: float


@click.command(cls=Grouped, needs=needs_cluster)
@input_options
@cluster_options
@click.option(
    "--method",
    type=click.Choice([m for m in METHODS if m != SCORED]),
    default="ilp",
    show_default=True,
    help="The integer program, or a heuristic to compare it with.",
)
@click.option(
    "--form",
    type=click.Choice(FORMS),
    default="auto",
    show_default=True,
    help="Form of the integer program; auto chooses by the size of the cluster.",
)
@gpu_sharing_option
@mode_option
@click.option(
    "--objective",
    type=click.Choice(OBJECTIVES),
    default="mixed",
    show_default=True,
    help="What counts as local: whole workflows and edges, one of both, pairs of nodes, or edges "
    "by the seconds that crossing costs them (traffic).",
)
@click.option(
    "--alpha",
    type=Number(0, 1),
    help="Weight of whole workflows against edges in the mixed objective.  [default: 0.5]",
)
@sharing_options
@rules_option
@headroom_options
@solver_option
@time_limit_option("The best plan so far is written when it ends; Ctrl-C ends it at once.")
@gap_option
@click.option("--threads", type=Count(1, 1024), help="Threads of the solver; 1 if not given.")
@seed_option
@click.option(
    "--allow-partial", is_flag=True, help="Drop the least used workflows if not all models fit."
)
@click.option(
    "--simulate-headroom/--no-simulate-headroom",
    default=True,
    show_default=True,
    help="Find, by simulation and within the time limit, how much faster the trace may come.",
)
@click.option(
    "--until-borne",
    is_flag=True,
    help="Let the simulation set the cap: lower --max-utilization and solve again while the "
    "simulated GPUs do not bear the trace.",
)
@click.option(
    "--history",
    type=click.Path(),
    metavar="FILE",
    help="Write incumbent and bound over time (JSON).",
)
@click.option(
    "--params",
    type=click.Path(),
    metavar="FILE",
    help="For experiments: search parameters in place of the defaults (YAML or JSON, "
    "section: {field: value}; docs/search.md lists them). The plan says so.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    default="plan.yaml",
    show_default=True,
    help="The plan (YAML or JSON).",
)
@survive_option
@earlier_options
@click.option(
    "--force", is_flag=True, help="Replace a plan of other inputs without a question or a word."
)
@refine_options
@scenario_options
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Place the models by an integer program, with a proven bound.

    Decides how many replicas each model gets, which consecutive GPUs each takes and which
    server serves which share of the requests: every used model first, then locality (workflows
    and edges kept on one server), then even loads. The plan says how far it can be from the best.

    \b
    Example:
      gswarm-place solve --config configs/multimodal.yaml \\
          --requests configs/multimodal_requests.jsonl --gpus 32 --gpus-per-server 8
    """
    from cli.solve_report import show_solved, summary
    from placement.files.plan_file import check_plan_name

    check_plan_name(asked.output)
    check_outputs(
        {"--output": asked.output, "--history": asked.history},
        (
            *(asked.config, asked.requests, asked.cluster_file),
            *(asked.rules_file, asked.params, *asked.scenarios),
        ),
    )
    if not asked.force:
        inputs = {"config": asked.config, "requests": asked.requests, "cluster": asked.cluster_file}
        ask_before_replacing(asked.output, inputs, quiet=asked.silent)
    with early_end("stopping with the best plan so far; once more to quit") as end:
        solved = run(end, asked)
        _write(solved, asked)
    if asked.as_json:
        echo_json(summary(solved))
    elif not asked.quiet:
        show_solved(solved, next_step(solved.plan, asked), asked.output, asked.earlier)


def run(end: EarlyEnd, asked: Asked) -> Solved:
    """Read, solve for one demand or several, refine where asked for, and build the plan."""
    from cli.solve_report import Solved
    from placement.files.cluster_file import check_fits
    from placement.files.params_file import read_params
    from placement.files.rules_file import check_config_rules
    from placement.params.search_params import DEFAULTS
    from placement.problem.degrees import choices, of_plan, solve_choices
    from placement.problem.instance_building import build_instance
    from placement.problem.outcome import SolveOptions
    from placement.problem.plan_building import build_plan
    from placement.problem.rules import Rules
    from placement.problem.trace import measure_demand
    from placement.robust import solve_scenarios
    from placement.solve import solve_instance
    from placement.solver.budget import Budget

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
    solve_options = SolveOptions(
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
    borne = asked.simulate_headroom and asked.mode == "online"
    if borne:
        begin_compiling()
    budget = Budget(asked.time_limit)
    end.stops(budget)
    free = budget if asked.max_moves is None else budget.part(FREE)
    extra: dict[str, Any] = {}
    first = several or asked.survive is not None  # of degrees, the first is taken there
    each = [workload] if first else choices(workload, instance.used_models)

    def best_choice(options: SolveOptions, progress: SolveProgress, limit: Budget) -> SolveResult:
        """Solve for each choice of degrees; the workload becomes that of the best."""
        nonlocal workload
        chosen, found = solve_choices(
            [build_instance(w, demand, cluster, rules) for w in each],
            lambda i: solve_instance(i, options, progress=progress, budget=limit),
        )
        workload = each[chosen]
        return found

    with SolveProgress(quiet=asked.silent, limit_s=asked.time_limit) as progress:
        if several:
            outcome = solve_scenarios(
                instance,
                instances,
                solve_options,
                asked.scenario_criterion,
                progress=progress,
                budget=budget,
            )
            result = outcome.result
            extra["scenarios"] = scenario_summary(outcome, [name for name, _ in named])
        elif asked.survive is not None:
            result, extra["survive"] = solve_for_losses(instance, solve_options, progress, budget)
        else:
            result = best_choice(solve_options, progress, free)
    # What comes of the limit is for the headroom: refining has a limit of its own.
    rest = budget.limit_s
    if asked.refine is not None and not end.asked:
        from runtime.judge import Judge  # scipy takes a while to import

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
        result, extra["refined"] = _refined(result, solve_options, judge, end, asked)
    more = {scenario_role(i): path for i, path in enumerate(asked.scenarios)}
    inputs = hash_inputs(
        config=asked.config,
        requests=asked.requests,
        cluster=asked.cluster_file,
        rules=asked.rules_file,
        **more,
    )

    def planned(result: SolveResult, seconds: float | None) -> tuple[SolveResult, Plan, Budget]:
        """Write down a result, with what the simulation says of it; and what time is left."""
        plan, limit = build_plan(result, workload, inputs=inputs), Budget(seconds)
        end.stops(limit)
        if earlier is not None:
            result, plan = follow(earlier, plan, result, asked, workload, limit)
        plan = claim(plan, extra.get("survive"))
        return (
            result,
            (
                with_headroom(plan, workload, trace, limit, result.options.params.headroom)
                if borne
                else plan
            ),
            limit,
        )

    result, plan, left = planned(result, rest)
    if asked.until_borne:

        def solved_under(target: float) -> Attempt | None:
            nonlocal left
            if end.asked or left.expired:
                return None
            limit = Budget(left.limit_s)
            end.stops(limit)
            lower = replace(solve_options, max_utilization=target)
            with SolveProgress(quiet=asked.silent, limit_s=limit.limit_s) as progress:
                found = best_choice(lower, progress, limit)
            found, plan, left = planned(found, limit.limit_s)
            return found, plan

        result, plan = until_borne((result, plan), solved_under)
        workload = of_plan(workload, plan)
    if earlier is not None:
        extra["migration"] = moved(earlier, plan)
    if SIMULATED_HEADROOM in plan.expected:
        extra[SIMULATED_HEADROOM] = plan.expected[SIMULATED_HEADROOM]
    return Solved(plan, result, doubts(plan, workload), extra)


def _refined(
    result: SolveResult, options: SolveOptions, judge: Judge, end: EarlyEnd, asked: Asked
) -> tuple[SolveResult, dict[str, Any]]:
    """Let the simulator correct the plan, within a limit of its own."""
    from placement.solver.budget import Budget

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


def _write(solved: Solved, asked: Asked) -> None:
    import orjson

    from placement.files.atomic import together, write_atomically
    from placement.files.plan_file import write_plan

    with together():
        write_plan(asked.output, solved.plan)
        if asked.history is not None:
            events = [
                {
                    "phase": p.phase,
                    "seconds": p.seconds,
                    "incumbent": p.incumbent,
                    "best_bound": p.best_bound,
                    "detail": p.detail,
                }
                for p in solved.result.history
            ]
            write_atomically(asked.history, orjson.dumps(events, option=orjson.OPT_INDENT_2))
