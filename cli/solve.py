"""`gswarm-place solve`: inputs in, a certified plan out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.asked import takes
from cli.earlier import earlier_options
from cli.file_arguments import ask_before_replacing, check_outputs
from cli.interruption import early_end
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
from cli.refine import refine_options
from cli.scenarios import scenario_options
from cli.solve_asked import Asked
from cli.solve_step import next_step
from cli.survival import survive_option
from placement.problem.names import FORMS, METHODS, OBJECTIVES, SCORED

if TYPE_CHECKING:
    from cli.solve_report import Solved


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
        from cli.solve_run import run  # its solvers take a while to import: checks come first

        solved = run(end, asked)
        _write(solved, asked)
    if asked.as_json:
        echo_json(summary(solved))
    elif not asked.quiet:
        show_solved(solved, next_step(solved.plan, asked), asked.output, asked.earlier)


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
