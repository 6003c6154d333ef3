"""`gswarm-place serve-local`: a server a replica on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cli.asked import Shown, takes
from cli.file_arguments import check_outputs
from cli.json_output import echo_json
from cli.missing import Complete
from cli.options import (
    Count,
    emulated_scale_option,
    output_options,
    plan_option,
    service_times_option,
)
from cli.waiting import waiting

if TYPE_CHECKING:
    from runtime.live.inference import Device


@dataclass(frozen=True, kw_only=True)
class Asked(Shown):
    """What `gswarm-place serve-local` was asked for."""

    plan_file: str
    config: str
    requests: str | None
    endpoints: str
    host: str
    port: int
    time_scale: float
    real: Device | None


@click.command(cls=Complete)
@plan_option()
@click.option(
    "--config",
    required=True,
    type=click.Path(),
    metavar="FILE",
    help="Models and workflows (JSON, YAML).",
)
@service_times_option
@click.option(
    "-o",
    "--endpoints",
    type=click.Path(),
    default="endpoints.yaml",
    show_default=True,
    metavar="FILE",
    help="Write where the replicas are served, for `execute`.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; any other than this machine's own lets others call.",
)
@click.option(
    "--port",
    type=Count(0, 65535),
    default=0,
    show_default=True,
    help="Of replica 0, the next for replica 1 and so on; 0 takes any that are free.",
)
@emulated_scale_option
@click.option(
    "--real",
    type=click.Choice(["cpu", "gpu"]),
    help="Let models really infer: on the CPU, a small one of the same type (llm, embedding, "
    "language-id, ocr) where there is one; on a GPU, random weights in PyTorch.",
)
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Serve every replica of a plan on this machine, so that `execute` has something to call.

    A replica is emulated: it takes the time that its calls would take, by the law of the
    simulator (queues, batching, shared GPUs), and says the text back. With --real it infers.
    Serves until Ctrl-C.

    \b
    Example:
      gswarm-place serve-local --plan plan.yaml --config configs/small.yaml
    """
    import asyncio

    from placement.files.config_file import read_config
    from placement.files.plan_file import read_plan
    from placement.files.request_file import read_requests
    from placement.support.escaping import visible
    from runtime.live.answers import ServiceTimes
    from runtime.live.local import (
        Admin,
        LocalCluster,
        LocalSettings,
        load_engines,
        serve,
        served_problem,
        write_endpoints,
    )

    inputs = (asked.plan_file, asked.config, asked.requests)
    check_outputs({"--endpoints": asked.endpoints}, inputs)
    plan = read_plan(asked.plan_file)
    workload = read_config(asked.config)
    trace = None
    if asked.requests is not None:
        trace = read_requests(asked.requests, workload)
    problem = served_problem(workload, plan)
    with waiting("loading the models"):
        engines = load_engines(problem, asked.real)
    emulated = [m for p, m in enumerate(problem.placement.model.tolist()) if p not in engines]
    placed = [workload.models[m] for m in sorted(set(emulated))]
    times = ServiceTimes(workload, trace, placed)
    settings = LocalSettings(asked.host, asked.port, asked.time_scale)

    def ready(cluster: LocalCluster, admin: Admin) -> None:
        write_endpoints(asked.endpoints, cluster.endpoints())
        if asked.as_json:
            echo_json({"endpoints": asked.endpoints, "admin": admin.url, **cluster.endpoints()})
        elif not asked.quiet:
            servers = len(cluster.servers)
            real = f", {len(engines)} of them really infer" if engines else ""
            click.echo(
                f"{servers} replicas are served{real}; {visible(asked.endpoints)} says where"
            )
            click.echo(
                f"to kill one: curl -X POST -H 'X-Gswarm-Admin: 1' {admin.url}/replicas/0/kill"
            )
            click.echo("Ctrl-C ends them")

    asyncio.run(serve(problem, times, settings, engines, ready))
