"""`gswarm-place calibrate`: what a log of real executions says of the simulator's figures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from cli.asked import InputFiles, Shown, takes
from cli.file_arguments import check_outputs, load_run
from cli.json_output import echo_json
from cli.missing import Complete
from cli.options import input_options, mode_option, output_options, plan_option, routing_option
from cli.waiting import waiting

if TYPE_CHECKING:
    from placement.problem.names import Mode
    from placement.problem.workload import Workload
    from runtime.calibration.errors import Comparison
    from runtime.calibration.fit import Calibration, Estimate
    from runtime.policies import RoutingPolicy


@dataclass(frozen=True, kw_only=True)
class Asked(InputFiles, Shown):
    """What `gswarm-place calibrate` was asked for."""

    log: str
    plan_file: str
    mode: Mode
    routing: str | RoutingPolicy
    gpu_fraction: bool
    output: str | None
    cluster_out: str | None
    plot: str | None


@click.command(cls=Complete)
@click.option(
    "--log",
    type=click.Path(),
    required=True,
    metavar="FILE",
    help="Executions as they really were: what `execute --log` wrote (JSON or Parquet).",
)
@plan_option("The plan that they ran over.")
@input_options
@mode_option
@routing_option("The router that the log was made with: the simulation beside it uses it too.")
@click.option(
    "--gpu-fraction",
    is_flag=True,
    help="Fit each model's gpu_fraction in place of the sharing efficiency.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="FILE",
    help="Write the config with what was found (YAML or JSON).",
)
@click.option(
    "--cluster-out",
    type=click.Path(),
    metavar="FILE",
    help="Write the cluster with the sharing efficiency found, to solve with.",
)
@click.option(
    "--plot",
    type=click.Path(),
    metavar="FILE",
    help="Draw simulated against measured latency (.svg, .png, .pdf).",
)
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Fit the figures of the simulated GPUs to executions as they really were.

    From who was in service when, least squares find what replicas that share a GPU keep of it, how
    a batch slows down, how long a prefill takes, and whether a model's calls take as long as the
    trace says. The same trace is then simulated before and after, and held against the log.

    What the log cannot tell stays as it is: a figure needs 20 calls that it concerns. Learn from
    one log, and judge on another.

    \b
    Example:
      gswarm-place calibrate --log real.json --plan plan.yaml --config config.yaml \\
          --requests requests.jsonl -o calibrated.yaml --plot fit.svg
    """
    from placement.files.atomic import together
    from placement.files.cluster_file import write_cluster
    from placement.generate.synthetic import write_config
    from placement.support.escaping import visible
    from runtime.calibration.errors import compare
    from runtime.calibration.fit import calibrate, calibrated
    from runtime.calibration.observed import observe, read_log
    from runtime.simulate import simulate

    inputs = (asked.log, asked.plan_file, asked.config, asked.requests)
    outputs = {
        "-o": asked.output,
        "--cluster-out": asked.cluster_out,
        "--plot": asked.plot,
    }
    check_outputs(outputs, inputs)
    plan, workload, trace = load_run(asked.plan_file, asked.config, asked.requests)
    with waiting("reading the log"):
        observed = observe(read_log(asked.log), workload, trace, plan.cluster, asked.log)
    with waiting("fitting"):
        found = calibrate(observed, workload, plan.cluster, gpu_fraction=asked.gpu_fraction)
    better, cluster = calibrated(workload, plan.cluster, found)
    after_plan = replace(plan, instance=replace(plan.instance, cluster=cluster))
    with waiting("simulating"):
        run = partial(simulate, mode=asked.mode, policy=asked.routing)
        before = compare(observed, trace, run(workload, trace, plan))
        after = compare(observed, trace, run(better, trace, after_plan))
    with together():
        if asked.output is not None:
            write_config(asked.output, _config(asked.config, workload, better))
        if asked.cluster_out is not None:
            write_cluster(asked.cluster_out, cluster)
        if asked.plot is not None:
            from cli.plots.predicted import draw_calibration
            from cli.plots.sheet import write_picture

            write_picture(asked.plot, draw_calibration, (before, after))
    if asked.as_json:
        echo_json(_document(found, before, after))
    elif not asked.quiet:
        _show(found, before, after)
        for option, path in outputs.items():
            if path is not None:
                what = {"-o": "config", "--cluster-out": "cluster", "--plot": "picture"}[option]
                click.echo(f"{what} written to {visible(path)}")


def _config(path: str, before: Workload, after: Workload) -> dict[str, Any]:
    """The config as it was, with the fields of its models that have changed."""
    from placement.files.syntax.document import load_document

    data: dict[str, Any] = load_document(path).data
    names = {
        "slowdown": "slowdown",
        "gpu_fraction": "gpu_fraction",
        "prefill_time_s": "prefill_time_seconds",
        "tokens_per_second": "tokens_per_second",
        "inference_time_mean_s": "inference_time_mean",
    }
    for old, new in zip(before.models, after.models, strict=True):
        for field, key in names.items():
            value = getattr(new, field)
            if value != getattr(old, field):
                data["models"][new.id][key] = list(value) if isinstance(value, tuple) else value
    return data


def _document(found: Calibration, before: Comparison, after: Comparison) -> dict[str, Any]:
    return {
        "estimates": [
            {
                "name": e.name,
                "model": e.model,
                "before": list(e.before),
                "after": list(e.after),
                "standard_error": list(e.error),
                "calls": e.calls,
                "note": e.note,
            }
            for e in found.estimates
        ],
        "errors": {
            "before": _errors(before),
            "after": _errors(after),
        },
    }


def _errors(found: Comparison) -> dict[str, Any]:
    return {
        "per_request": found.per_request,
        "per_call": found.per_call,
        "metrics": [
            {"name": m.name, "unit": m.unit, "measured": m.real, "simulated": m.simulated,
             "error": m.error}
            for m in found.metrics
        ],
    }  # fmt: skip


def _show(found: Calibration, before: Comparison, after: Comparison) -> None:
    from cli.terminal import output, table

    console = output()
    fitted = table("figure", "model", "before", "after", "calls", title="Fitted", left=2)
    for e in found.estimates:
        fitted.add_row(e.name, e.model or "all", _numbers(e.before), _after(e), f"{e.calls:,}")
    if found.estimates:
        console.print(fitted)
    for e in found.estimates:
        if e.note:
            console.print(f"{e.name} of {e.model}: {e.note}", markup=False)
    errors = table("simulated against the log", "measured", "before", "after", title="Error")
    for old, new in zip(before.metrics, after.metrics, strict=True):
        errors.add_row(
            f"{old.name} ({old.unit})", f"{old.real:.4g}", f"{old.error:+.1%}", f"{new.error:+.1%}"
        )
    errors.add_row(
        "a request's latency, mean", "", *(f"{c.per_request:.1%}" for c in (before, after))
    )
    errors.add_row("a call in service, mean", "", *(f"{c.per_call:.1%}" for c in (before, after)))
    console.print(errors)
    if after.per_request > before.per_request:
        console.print(
            "the simulation is not nearer to the log with these figures: something else made the "
            "difference, such as another router, or calls that this trace does not hold",
            markup=False,
        )


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{v:.4g}" for v in values)


def _after(e: Estimate) -> str:
    if e.note:
        return "as before"
    return " ".join(f"{v:.4g}±{s:.2g}" for v, s in zip(e.after, e.error, strict=True))
