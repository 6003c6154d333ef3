"""`gswarm-place generate`: seeded synthetic configs and traces."""

from __future__ import annotations

from typing import Any

import click

from cli.common import Number, check_outputs, echo_json, output_options, waiting


@click.command()
@click.option(
    "--config",
    type=click.Path(),
    metavar="FILE",
    help="Make a trace for this config instead of a new one.",
)
@click.option("--models", type=click.IntRange(1, 10_000), default=9, show_default=True)
@click.option("--workflows", type=click.IntRange(1, 10_000), default=3, show_default=True)
@click.option(
    "--largest-block",
    type=click.Choice(["1", "2", "4", "8"]),
    default="8",
    show_default=True,
    help="Most GPUs of one model.",
)
@click.option("--requests", type=click.IntRange(1, 100_000_000), default=1000, show_default=True)
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
@click.option("--gpus", type=click.IntRange(1), default=32, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
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
def command(**options: Any) -> None:
    """Write seeded synthetic configs and traces of any size.

    The same seed gives the same files. Without --rate and --load the trace keeps one request a
    second; real arrival times keep their own pace.

    \b
    Example:
      gswarm-place generate --models 24 --workflows 20 --requests 5000 --load 0.6 --gpus 64 \\
          --config-out config.yaml --requests-out requests.jsonl
    """
    import numpy as np

    from placement.reading.config import read_config
    from placement.synthetic import (
        arrival_times,
        rate_for_load,
        read_arrivals,
        synthetic_config,
        synthetic_trace,
        write_config,
        write_requests,
    )

    seed = options["seed"]
    if (options["config"] is None) == (options["config_out"] is None):
        raise click.UsageError(
            "either --config FILE (an existing config) or --config-out FILE (a new one)"
        )
    if (options["arrivals"] == "file") != (options["arrivals_file"] is not None):
        raise click.UsageError("--arrivals file and --arrivals-file CSV belong together")
    if options["rate"] is not None and options["load"] is not None:
        raise click.UsageError("--rate and --load exclude each other")
    check_outputs(
        {"--config-out": options["config_out"], "--requests-out": options["requests_out"]},
        (options["config"], options["arrivals_file"]),
    )
    path = options["config"]
    if path is None:
        path = options["config_out"]
        config = synthetic_config(
            options["models"],
            options["workflows"],
            seed=seed,
            largest_block=int(options["largest_block"]),
        )
        write_config(path, config)
    workload = read_config(path)
    mix = np.random.default_rng([seed, 3]).dirichlet(np.full(len(workload.workflows), 3.0))
    rate = options["rate"]
    if options["load"] is not None:
        rate = rate_for_load(workload, options["load"], options["gpus"], mix)
    if options["arrivals"] == "file":
        arrivals = read_arrivals(options["arrivals_file"], options["requests"], rate=rate)
    else:
        arrivals = arrival_times(
            options["arrivals"],
            options["requests"],
            rate or 1.0,
            seed=seed,
            burstiness=options["burstiness"],
        )
    with waiting("drawing and writing the trace"):
        trace = synthetic_trace(workload, arrivals, seed=seed, mix=mix)
        write_requests(options["requests_out"], trace)
    span = float(arrivals[-1])
    if options["as_json"]:
        echo_json(
            {
                "config": path,
                "requests_file": options["requests_out"],
                "requests": len(arrivals),
                "span_s": span,
                "models": len(workload.models),
                "workflows": len(workload.workflows),
            }
        )
    elif not options["quiet"]:
        click.echo(
            f"{len(arrivals):,} requests over {span:,.1f} s to {len(workload.workflows)} workflows "
            f"of {len(workload.models)} models: {options['requests_out']}"
        )
