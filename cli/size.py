"""`gswarm-place size`: how many servers a goal needs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from cli.asked import InputFiles, RuledCluster, Shown, takes
from cli.file_arguments import load_inputs
from cli.json_output import echo_json
from cli.option_groups import Grouped
from cli.options import (
    Count,
    Number,
    gpu_sharing_option,
    input_options,
    output_options,
    ray_option,
    routing_option,
    rules_option,
    seed_option,
    server_options,
    sharing_options,
    time_limit_option,
)
from cli.waiting import Waiting
from placement.support.described import counted

if TYPE_CHECKING:
    from placement.problem.cluster import Cluster
    from placement.problem.names import Objective
    from placement.problem.outcome import SolveResult
    from placement.size import Goal, Size, Sizing, Tail
    from runtime.policies import RoutingPolicy

WIDER = 4
"""Without --max-servers: so many times the servers that the work alone needs are tried at most."""


@dataclass(frozen=True, kw_only=True)
class Asked(InputFiles, RuledCluster, Shown):
    """What `gswarm-place size` was asked for."""

    se: float | None
    p99: float | None
    load: float
    varied: str | None
    max_servers: int | None
    curve: int
    repeat: int
    routing: str | RoutingPolicy
    time_limit: float
    seed: int
    ray: str | None
    gpus: int | None = None

    def one_server(self) -> Cluster:
        """The cluster of the file, or a single server."""
        if self.cluster_file is not None:
            return self.cluster()
        return replace(self, gpus=self.gpus_per_server).cluster()


@click.command(cls=Grouped)
@input_options
@server_options
@click.option(
    "--se",
    type=Number(0, 100, above_low=True),
    metavar="PERCENT",
    help="Server efficiency to reach: requests that run whole on one server, at mean rates.",
)
@click.option(
    "--p99",
    type=Number(above_low=True),
    metavar="SECONDS",
    help="P99 latency to reach, by simulation of the trace and of --repeat resampled ones.",
)
@click.option(
    "--load",
    type=Number(0, 1, above_low=True),
    default=0.8,
    show_default=True,
    help="Busy fraction that no GPU may exceed: what --max-utilization is to solve.",
)
@click.option(
    "--type",
    "varied",
    metavar="NAME",
    help="With --cluster: the server type whose number is sought; the last if not given.",
)
@click.option(
    "--max-servers",
    type=Count(1, 1_000_000),
    metavar="N",
    help=f"Most servers to try.  [default: {WIDER} times what the work alone needs]",
)
@click.option(
    "--curve",
    type=Count(0, 1000),
    default=3,
    show_default=True,
    metavar="N",
    help="Also say what up to N servers more would buy, one by one.",
)
@click.option(
    "--repeat",
    type=Count(2, 10_000),
    default=5,
    show_default=True,
    metavar="N",
    help="Resampled traces behind a P99 that is asked for.",
)
@gpu_sharing_option
@sharing_options
@rules_option
@routing_option("Of the simulated runs.")
@time_limit_option("Of each solve.")
@seed_option
@ray_option("Try several sizes at once over a Ray cluster: HOST:PORT of its head, or auto.")
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Find the fewest servers that reach a goal, and what one more would buy.

    A plan for n servers is one for n + 1, so where a bound proves that no plan of a size reaches
    the goal, no smaller cluster does: the answer says whether that is proven. Proofs are of the
    load and, with --se, of whole workflows; a P99 is simulated and proves nothing.

    \b
    Example:
      gswarm-place size --config configs/multimodal.yaml \\
          --requests configs/multimodal_requests.jsonl --gpus-per-server 8 --se 60
    """
    from placement.size import Goal

    efficiency = None if asked.se is None else asked.se / 100
    goal = Goal(asked.load, efficiency, asked.p99)
    sizing, most = _sizing(asked, goal)
    if asked.as_json:
        echo_json(_as_dict(sizing, goal))
    elif not asked.quiet:
        _show(sizing, goal, most, asked)
    if sizing.fewest is None:
        raise click.exceptions.Exit(1)


def _sizing(asked: Asked, goal: Goal) -> tuple[Sizing, int]:
    """Try sizes; also say how many servers were tried at most."""
    from placement.problem.instance_building import build_instance
    from placement.problem.outcome import Infeasible, SolveOptions
    from placement.problem.plan_building import route
    from placement.problem.rules import Rules
    from placement.size import Tail, fewest_servers, resized, servers_for_work, size_of
    from runtime.intervals import replicate, traffic_range
    from runtime.metrics import summarize
    from runtime.ray.spread import spread_over
    from runtime.simulate import Dispatch, simulate_placement

    base = asked.one_server()
    varied = _type_of(base, asked.varied)
    workload, trace = load_inputs(asked.config, asked.requests)
    objective: Objective = "mixed" if goal.server_efficiency is None else "workflow"
    options = SolveOptions(time_limit_s=asked.time_limit, seed=asked.seed)

    def instance_of(servers: int) -> Any:
        cluster = resized(base, varied, servers)
        rules = Rules(
            objective,
            exclusive=asked.exclusive,
            max_models_per_gpu=asked.max_models_per_gpu,
            placement=asked.placement_rules(cluster, workload),
        )
        return build_instance(workload, trace, cluster, rules)

    def tail(result: SolveResult) -> Tail:
        def run(requests: Any) -> Any:
            return simulate_placement(
                workload,
                requests,
                result.instance.cluster,
                result.solution.placement,
                route(result.instance, result.solution.flows),
                dispatch=Dispatch(policy=asked.routing),
            )

        def p99(summary: Any) -> float:
            return float(summary["request_latency"]["p99"])

        seconds = p99(summarize(run(trace)))
        if goal.p99_s is None:
            return Tail(seconds)
        others = [p99(s) for s in replicate(run, trace, asked.repeat, asked.seed)]
        found = traffic_range(others, least=0.0)
        return Tail(seconds, found.mean, found.low, found.high)

    def at(servers: int) -> Size:
        # What is sought is the number of one type; the others are as the file says.
        return replace(size_of(instance_of(servers), options, goal, tail), servers=servers)

    floor = servers_for_work(instance_of(1), varied, goal.load)
    most = asked.max_servers or WIDER * floor
    if most < floor:
        raise Infeasible(
            f"the work alone needs {counted(floor, 'server')} whose GPUs are busy at most "
            f"{goal.load:.0%} of the time, and --max-servers is {most}; raise it, or --load"
        )
    with Waiting("", quiet=asked.silent) as waiting, spread_over(asked.ray) as spread:

        def told(servers: int) -> Size:
            waiting.doing = f"trying {servers:,} server{'s' if servers > 1 else ''}"
            return at(servers)

        one = at if asked.ray is not None else told
        return fewest_servers(one, floor, most, beyond=asked.curve, mapped=spread), most


def _type_of(cluster: Cluster, name: str | None) -> int:
    """Position of the server type whose number is sought."""
    names = [t.name for t in cluster.server_types]
    if name is None:
        return len(names) - 1
    if name not in names:
        raise click.UsageError(f"--type {name}: no such server type; there are {', '.join(names)}")
    return names.index(name)


def _as_dict(sizing: Sizing, goal: Goal) -> dict[str, Any]:
    best = sizing.fewest
    return {
        "goal": {
            "load": goal.load,
            "server_efficiency": goal.server_efficiency,
            "p99": goal.p99_s,
        },
        "servers": None if best is None else best.servers,
        "gpus": None if best is None else best.gpus,
        "proven": sizing.proven,
        "least_possible": sizing.least_possible,
        "for_the_work_alone": sizing.floor,
        "sizes": [{**asdict(size), "meets": size.meets} for size in sizing.sizes],
    }


def _headline(sizing: Sizing, goal: Goal, most: int) -> str:
    """The answer in words, with how well it is known."""
    best = sizing.fewest
    if best is None:
        if sizing.least_possible > sizing.sizes[-1].servers:
            why = "proven: " + str(sizing.sizes[-1].impossible or "the work alone needs more")
            return f"no cluster of up to {most:,} servers reaches it ({why})"
        return f"no plan that reaches it was found on up to {most:,} servers; try --max-servers"
    said = f"{best.servers:,} server{'s' if best.servers > 1 else ''} ({best.gpus:,} GPUs) reach it"
    if best.servers == 1:
        return said
    fewer = next((s for s in sizing.sizes if s.servers == best.servers - 1), None)
    if sizing.proven:
        proof = None if fewer is None else fewer.impossible
        why = proof or "the work alone needs as many"
        return f"{said}, and fewer cannot: {why} (proven)"
    lower = sizing.least_possible
    missed = "" if fewer is None else f": the plan that was found has {', '.join(fewer.missed)}"
    return f"{said}; {best.servers - 1:,} do not{missed}. Proven is that {lower:,} are needed"


def _show(sizing: Sizing, goal: Goal, most: int, asked: Asked) -> None:
    from cli.terminal import output, plain, sentence_lines, table
    from cli.verdict import paste
    from placement.support.described import percent

    console = output()
    best = sizing.fewest
    console.print(plain(f"goal: {goal.text}"))
    style = "bold red" if best is None else "bold green" if sizing.proven else "bold yellow"
    for line in sentence_lines(console, _headline(sizing, goal, most)):
        console.print(plain(line), style=style)
    bounded = goal.server_efficiency is not None
    columns = ["servers", "GPUs", "SE", *(["SE at most"] if bounded else []), "busiest", "P99 s"]
    shown = table(*columns, "goal", "one more: SE", "P99 s", left=0)
    for size, after in zip(sizing.sizes, [*sizing.sizes[1:], None], strict=True):
        cells = [f"{size.servers:,}", f"{size.gpus:,}", _share(size.server_efficiency)]
        if bounded:
            cells.append(_share(size.most_efficiency))
        busiest = "" if size.busiest is None else percent(size.busiest)
        p99 = "" if size.tail is None else f"{size.tail.judged_s:,.1f}"
        word = "reached" if size.meets else "impossible" if size.impossible else "missed"
        shown.add_row(*cells, busiest, p99, word, *_bought(size, after))
    console.print(shown)
    if best is not None and asked.cluster_file is None:
        words = ["solve", *asked.input_words, *replace(asked, gpus=best.gpus).cluster_words]
        words += ["--max-utilization", f"{goal.load:g}"]
        words += ["--objective", "workflow"] if bounded else []
        console.print(f"  make the plan: [bold]{plain(paste(words))}[/bold]", soft_wrap=True)


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}%"


def _bought(size: Size, after: Size | None) -> tuple[str, str]:
    """Points of efficiency and seconds that the next size has more, if it is one server larger."""
    if after is None or after.servers != size.servers + 1 or size.server_efficiency is None:
        return "", ""
    if after.server_efficiency is None or size.tail is None or after.tail is None:
        return "", ""
    points = 100 * (after.server_efficiency - size.server_efficiency)
    seconds = after.tail.judged_s - size.tail.judged_s
    # A loss that is rounded away is none.
    return f"{round(points, 1) + 0.0:+.1f}", f"{round(seconds, 1) + 0.0:+,.1f}"
