"""`gswarm-place generate`: seeded synthetic configs and traces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import click

from cli.asked import Shown, takes
from cli.file_arguments import check_outputs
from cli.json_output import echo_json
from cli.missing import INPUT, Complete
from cli.options import Count, Number, output_options, seed_option
from cli.waiting import waiting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from placement.problem.cluster import FloatArray

DEFAULT_REQUESTS = 1000
LONGEST_S = 1e9


@dataclass(frozen=True, kw_only=True)
class Asked(Shown):
    """What `gswarm-place generate` was asked for."""

    config: str | None
    models: int
    workflows: int
    requests: int | None
    largest_block: str
    arrivals: str
    arrivals_file: str | None
    burstiness: float
    rate: float | None
    load: float | None
    gpus: int
    seed: int
    config_out: str | None
    requests_out: str


def _needs(found: Mapping[str, Any]) -> list[str]:
    """A config, whether it is there or to be made."""
    made_for = found.get("config") or found.get("config_out")
    return [INPUT] if made_for is None else []


@click.command(cls=Complete, needs=_needs)
@click.option(
    "--config",
    type=click.Path(),
    metavar="FILE",
    help="Make a trace for this config instead of a new one.",
)
@click.option("--models", type=Count(1, 10_000), default=9, show_default=True)
@click.option("--workflows", type=Count(1, 10_000), default=3, show_default=True)
@click.option(
    "--largest-block",
    type=click.Choice(["1", "2", "4", "8"]),
    default="8",
    show_default=True,
    help="Most GPUs of one model.",
)
@click.option(
    "--requests",
    type=Count(1, 100_000_000),
    show_default="1000, or all of --arrivals-file",
    help="How many.",
)
@click.option(
    "--arrivals",
    type=click.Choice(["poisson", "bursty", "file"]),
    default="poisson",
    show_default=True,
    help="Gaps between requests; file takes real time stamps from --arrivals-file.",
)
@click.option(
    "--arrivals-file",
    type=click.Path(),
    metavar="CSV",
    help="CSV file with a column of time stamps.",
)
@click.option(
    "--burstiness",
    type=Number(above_low=True, high=1000),
    default=3.0,
    show_default=True,
    help="Coefficient of variation of bursty gaps; 1 is Poisson.",
)
@click.option("--rate", type=Number(above_low=True), help="Requests per second.")
@click.option(
    "--load",
    type=Number(above_low=True, high=1000),
    help="Instead of --rate: offered load as a fraction of --gpus.",
)
@click.option("--gpus", type=Count(1, 10_000_000), default=32, show_default=True)
@seed_option
@click.option(
    "--config-out",
    type=click.Path(),
    metavar="FILE",
    help="Where the new config goes (YAML or JSON).",
)
@click.option(
    "--requests-out",
    type=click.Path(),
    metavar="FILE",
    required=True,
    help="Where the trace goes (YAML, JSON, JSONL, CSV, Parquet).",
)
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Write seeded synthetic configs and traces of any size.

    The same seed gives the same files. Without --rate and --load the trace keeps one request a
    second; recorded arrival times keep their own pace.

    \b
    Example:
      gswarm-place generate --models 24 --workflows 20 --requests 5000 --load 0.6 --gpus 64 \\
          --config-out config.yaml --requests-out requests.jsonl
    """
    import numpy as np

    from placement.files.atomic import together
    from placement.files.config_file import build_workload, read_config
    from placement.files.input_schema import ConfigFile
    from placement.generate.arrivals import read_arrivals
    from placement.generate.synthetic import (
        rate_for_load,
        synthetic_config,
        synthetic_trace,
        write_config,
    )
    from placement.generate.trace_writer import write_requests
    from placement.support.escaping import visible

    _check(asked)
    seed = asked.seed
    # Whatever can be wrong with an input is found before anything is written.
    recorded = None
    if asked.arrivals_file is not None:
        recorded = read_arrivals(asked.arrivals_file, asked.requests)
    path, config = asked.config, None
    if path is None:
        path = asked.config_out
        config = synthetic_config(
            asked.models,
            asked.workflows,
            seed=seed,
            largest_block=int(asked.largest_block),
        )
        workload = build_workload(ConfigFile.model_validate(config))
    else:
        workload = read_config(path)
    mix = np.random.default_rng([seed, 3]).dirichlet(np.full(len(workload.workflows), 3.0))
    rate = asked.rate
    if asked.load is not None:
        rate = rate_for_load(workload, asked.load, asked.gpus, mix)
    arrivals = _arrivals(recorded, rate, asked)
    with waiting("drawing and writing the trace"), together():
        if config is not None and asked.config_out is not None:
            write_config(asked.config_out, config)
        try:
            trace = synthetic_trace(workload, arrivals, seed=seed, mix=mix)
        except ValueError as error:  # it knows the models, not the file
            raise ValueError(f"{path}: {error}") from error
        write_requests(asked.requests_out, trace)
    span = float(arrivals[-1])
    if asked.as_json:
        echo_json(
            {
                "config": path,
                "requests_file": asked.requests_out,
                "requests": len(arrivals),
                "span_s": span,
                "models": len(workload.models),
                "workflows": len(workload.workflows),
            }
        )
    elif not asked.quiet:
        click.echo(
            f"{len(arrivals):,} requests over {span:,.1f} s to {len(workload.workflows)} workflows "
            f"of {len(workload.models)} models: {visible(asked.requests_out)}"
        )


def _check(asked: Asked) -> None:
    from placement.files.request_file import TRACE_FORMATS
    from placement.files.syntax.document import DOCUMENT_FORMATS
    from placement.files.syntax.source import find_format

    if (asked.config is None) == (asked.config_out is None):
        raise click.UsageError(
            "either --config FILE (an existing config) or --config-out FILE (a new one)"
        )
    if (asked.arrivals == "file") != (asked.arrivals_file is not None):
        raise click.UsageError("--arrivals file and --arrivals-file CSV belong together")
    if asked.rate is not None and asked.load is not None:
        raise click.UsageError("--rate and --load exclude each other")
    check_outputs(
        {"--config-out": asked.config_out, "--requests-out": asked.requests_out},
        (asked.config, asked.arrivals_file),
    )
    find_format(asked.requests_out, TRACE_FORMATS)
    if asked.config_out is not None:
        find_format(asked.config_out, DOCUMENT_FORMATS)


def _arrivals(recorded: FloatArray | None, rate: float | None, asked: Asked) -> FloatArray:
    from placement.generate.arrivals import Law, arrival_times, at_rate

    if recorded is None:
        arrivals = arrival_times(
            cast(Law, asked.arrivals),
            asked.requests or DEFAULT_REQUESTS,
            rate or 1.0,
            seed=asked.seed,
            burstiness=asked.burstiness,
        )
    else:
        arrivals = recorded if rate is None else at_rate(recorded, rate)
    if arrivals[-1] > LONGEST_S:
        raise click.UsageError(
            f"the trace would last {arrivals[-1] / 3.2e7:,.0f} years; ask for a higher --rate or "
            "fewer --requests"
        )
    return arrivals
