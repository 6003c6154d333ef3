"""`gswarm-place compare`: every method and routing policy on one's own data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import click

from cli.asked import Shown, Solvable, takes
from cli.file_arguments import check_outputs, load_inputs
from cli.interruption import last_words
from cli.json_output import echo_json
from cli.missing import needs_cluster
from cli.notices import say
from cli.option_groups import Grouped
from cli.options import (
    Count,
    cluster_options,
    gap_option,
    headroom_options,
    input_options,
    mode_option,
    output_options,
    ray_option,
    rules_option,
    seed_option,
    sharing_options,
    time_limit_option,
)
from cli.waiting import RunProgress, SolveProgress
from placement.problem.names import METHODS, ROUTERS, SHARING_MODES, SWITCHING
from placement.support.escaping import visible

if TYPE_CHECKING:
    from placement.problem.names import Method, Router, SharingMode, SwitchingScheduler
    from placement.problem.outcome import SolveResult
    from runtime.compare import Entrant, Row

N = TypeVar("N", bound=str)

DEFAULT_METHODS = ("ilp", "local-search", "greedy")
BOTH = "both"


@dataclass(frozen=True, kw_only=True)
class Asked(Solvable, Shown):
    """What `gswarm-place compare` was asked for."""

    methods: str
    routings: str
    schedulers: str | None
    repeat: int | None
    equal_headroom: bool
    time_limit: float
    seed: int
    csv_file: str | None
    ray: str | None
    sharing: str | None
    gpu_sharing: SharingMode | None = None

    @property
    def sharings(self) -> list[SharingMode | None]:
        """Ways of sharing GPUs to compare under; None is what the cluster says."""
        if self.sharing == BOTH:
            return list(SHARING_MODES)
        return [next((mode for mode in SHARING_MODES if mode == self.sharing), None)]


@click.command(cls=Grouped, needs=needs_cluster)
@input_options
@cluster_options
@click.option(
    "--gpu-sharing",
    "sharing",
    type=click.Choice([*SHARING_MODES, BOTH]),
    help="How a GPU serves several replicas: evenly, as the driver does with processes "
    "(time-sliced, the default), one execution at a time (serial), or both: every placement is "
    "made and run under each, and the rows say which. Overrides the file.",
)
@mode_option
@sharing_options
@rules_option
@click.option(
    "--methods",
    default=",".join(DEFAULT_METHODS),
    show_default=True,
    help=f"Placement methods, of: {', '.join(METHODS)}; or all.",
)
@click.option(
    "--routings",
    default=",".join(r for r in ROUTERS if r != "sticky"),
    show_default=True,
    help="Routing policies.",
)
@click.option(
    "--schedulers",
    help="Schedulers without a plan to run beside them: baseline and, in mode offline, offline; "
    "or none.  [default: those that the mode allows]",
)
@click.option(
    "--repeat",
    type=Count(2, 100_000),
    metavar="N",
    help="Also run N resampled traces and say where each figure falls on another trace of this "
    "traffic, 95 times of 100; every row sees the same traces.",
)
@headroom_options
@click.option(
    "--equal-headroom",
    is_flag=True,
    help="Hold all methods to one cap on GPU loads, the loosest that any of them needs: whoever "
    "found a lower bottleneck may use the room that the others use. Without it each keeps its own.",
)
@time_limit_option("Of each solve.")
@gap_option
@seed_option
@click.option("--csv", "csv_file", type=click.Path(), metavar="FILE", help="Write the rows as CSV.")
@ray_option(
    "Spread solves and runs over a Ray cluster: HOST:PORT of its head, or auto. The figures are "
    "the same, but for the seconds of the solves."
)
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Run every method, routing policy and scheduler on your data: one ranked table.

    Placement and routing are each shown for themselves: every placement runs under every policy,
    on the same trace; schedulers without a plan, which switch models, run beside them. Ranked by
    server efficiency, then cross-server communications (CSC), then P99 latency.

    In overload and offline a method that finds a lower bottleneck load has a tighter cap, and so
    less room for locality; --equal-headroom compares them under one.

    \b
    Example:
      gswarm-place compare --config configs/multimodal.yaml \\
          --requests configs/multimodal_requests.jsonl --gpus 32 --gpus-per-server 8
    """
    methods = _chosen(asked.methods, METHODS, "--methods")
    routings = _chosen(asked.routings, ROUTERS, "--routings")
    schedulers = _schedulers(asked.schedulers, asked.mode)
    check_outputs(
        {"--csv": asked.csv_file},
        (asked.config, asked.requests, asked.cluster_file, asked.rules_file),
    )
    several = len(asked.sharings) > 1
    wanted = [
        (method, routing, (mode or "") if several else "")
        for mode in asked.sharings
        for method in methods
        for routing in routings
    ]
    found = Findings([*wanted, *((scheduler, "", "") for scheduler in schedulers)])
    with last_words(partial(_say_unfinished, found, asked)):
        for mode in asked.sharings:
            # Schedulers that switch models serve one execution at a time, whatever plans do.
            beside = schedulers if mode == asked.sharings[-1] else []
            _run(found, methods, routings, beside, replace(asked, gpu_sharing=mode))
    if asked.csv_file is not None and found.rows:
        from cli.comparison_tables import write_csv
        from runtime.compare import ranked

        write_csv(asked.csv_file, ranked(found.rows))
    _say(found, asked)
    if not any(r["scheduler"] == "static" for r in found.rows):
        for miss in found.failed:
            text = f"error: {miss['method']}: no plan: {miss['reason']}"
            click.echo(visible(" ".join(text.splitlines())), err=True)
        raise click.exceptions.Exit(1)


@dataclass
class Findings:
    """What is to be compared, and what is known of it so far.

    Parameters
    ----------
    wanted : list of (str, str, str)
        Method and routing policy of every row, and how GPUs are shared where that is compared; a
        scheduler and nothing.
    rows : list of Row
        Those measured.
    failed : list of dict
        Methods that found no plan, with what they said.
    """

    wanted: list[tuple[str, str, str]]
    rows: list[Row] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)

    @property
    def missing(self) -> list[str]:
        """Rows that are not there yet, in words."""
        there = {(*_entrant(r), mode) for r in self.rows for mode in ("", r["gpu_sharing"])}
        without = {f["method"] for f in self.failed}
        return [
            f"{method} under {routing}{f' ({mode})' if mode else ''}" if routing else method
            for method, routing, mode in self.wanted
            if (method, routing, mode) not in there and method not in without
        ]


def _entrant(row: Row) -> tuple[str, str]:
    """Method and routing policy of a row; a scheduler and nothing."""
    return (
        (row["method"], row["routing"]) if row["scheduler"] == "static" else (row["scheduler"], "")
    )


def _say(found: Findings, asked: Asked) -> None:
    from runtime.compare import comparison_verdict, ranked

    rows = ranked(found.rows)
    if asked.as_json:
        echo_json(
            {
                "rows": rows,
                "failed": found.failed,
                "missing": found.missing,
                "equal_headroom": asked.equal_headroom,
                "verdict": comparison_verdict(_judged(rows, asked)).as_dict() if rows else None,
            }
        )
    elif not asked.quiet:
        _show(rows, found.failed, asked)


def _say_unfinished(found: Findings, asked: Asked) -> None:
    """Show what there is when the comparison is interrupted, and what is not there."""
    if found.rows:
        _say(found, asked)
    missing = found.missing
    unwritten = f"; {visible(asked.csv_file)} is not written" if asked.csv_file else ""
    say(
        f"missing, {len(missing)} of {len(found.wanted)} rows: {', '.join(missing)}{unwritten}",
        err=True,
    )


def _chosen(text: str, known: Sequence[N], option: str) -> list[N]:
    names = [n.strip() for n in text.split(",") if n.strip()]
    if names == ["all"]:
        return list(known)
    wrong = [n for n in names if n not in known]
    if wrong or not names:
        raise click.UsageError(
            f"{option}: {', '.join(wrong) or 'nothing'} given; take from {', '.join(known)}"
        )
    by_name: dict[str, N] = {name: name for name in known}
    return list(dict.fromkeys(by_name[name] for name in names))


def _schedulers(text: str | None, mode: str) -> list[SwitchingScheduler]:
    if text is None:
        return list(SWITCHING if mode == "offline" else SWITCHING[:1])
    if text.strip() == "none":
        return []
    names = _chosen(text, SWITCHING, "--schedulers")
    if "offline" in names and mode != "offline":
        raise click.UsageError(
            "--schedulers offline knows all requests at time 0; add --mode offline"
        )
    return names


def _run(
    found: Findings,
    methods: list[Method],
    routings: list[Router],
    schedulers: list[SwitchingScheduler],
    asked: Asked,
) -> None:
    """Find every row that is wanted."""
    from placement.contest import Contest
    from placement.files.cluster_file import check_fits
    from placement.files.rules_file import check_config_rules
    from placement.problem.instance_building import build_instance
    from placement.problem.outcome import Infeasible, SolveOptions
    from placement.problem.rules import Rules
    from runtime.compare import Comparison
    from runtime.ray.spread import spread_over
    from runtime.scoring import latency_score

    cluster = asked.cluster()
    workload, trace = load_inputs(asked.config, asked.requests)
    check_config_rules(asked.config, workload, cluster)
    instance = build_instance(
        workload,
        trace,
        cluster,
        Rules(
            exclusive=asked.exclusive,
            max_models_per_gpu=asked.max_models_per_gpu,
            placement=asked.placement_rules(cluster, workload),
        ),
    )
    cluster = instance.cluster
    check_fits(asked.config, workload, cluster, instance.used_models)
    mode, seed = asked.mode, asked.seed
    score = latency_score(workload, trace, cluster, mode=mode)
    contest = Contest(instance, mode, seed, score)
    comparison = Comparison(
        workload, trace, cluster, instance, mode, seed=seed, repeat=asked.repeat or 0
    )
    quiet = asked.silent
    plans: dict[Method, SolveResult] = {}
    solving = SolveOptions(
        max_utilization=asked.max_utilization,
        headroom_slack=asked.headroom_slack,
        time_limit_s=asked.time_limit,
        gap=asked.gap,
    )

    def solve(method: Method) -> SolveResult | str:
        what = f"{methods.index(method) + 1} of {len(methods)} {method}"
        try:
            with SolveProgress(quiet=quiet, limit_s=asked.time_limit, what=what) as progress:
                return contest.solve(replace(solving, method=method), progress)
        except Infeasible as error:
            return str(error)

    def measure(entrants: Sequence[Entrant]) -> None:
        with RunProgress(quiet=quiet) as progress:
            for row in comparison.rows(entrants, progress, spread):
                found.rows.append(row)  # one by one: an interruption shows those that are there

    with spread_over(asked.ray) as spread:
        for method, plan in zip(methods, spread(solve, methods), strict=True):
            if isinstance(plan, str):
                if all(miss["method"] != method for miss in found.failed):
                    found.failed.append({"method": method, "reason": plan})
                continue
            plans[method] = plan
            if not asked.equal_headroom:
                measure([(plan, routing) for routing in routings])
        if asked.equal_headroom and plans:
            cap = max(plan.certificate.load_cap for plan in plans.values())

            def solve_again(method: Method) -> SolveResult:
                what = f"{list(plans).index(method) + 1} of {len(plans)} {method}"
                with SolveProgress(quiet=quiet, limit_s=asked.time_limit, what=what) as progress:
                    options = replace(solving, method=method)
                    return contest.solve_at_cap(options, plans[method], cap, progress)

            for plan in spread(solve_again, list(plans)):
                measure([(plan, routing) for routing in routings])
        for scheduler in schedulers:
            measure([scheduler])


def _judged(rows: list[Row], asked: Asked) -> list[Row]:
    """The rows under one way of sharing, which a verdict can compare: the first that is there."""
    ways = [r["gpu_sharing"] for r in rows if r["scheduler"] == "static"]
    if len(asked.sharings) == 1 or not ways:
        return rows
    first = next(mode for mode in asked.sharings if mode in ways)
    return [r for r in rows if r["scheduler"] != "static" or r["gpu_sharing"] == first]


def _show(rows: list[Row], failed: list[dict[str, str]], asked: Asked) -> None:
    from cli.comparison_tables import show_rows
    from cli.terminal import output, plain
    from cli.verdict import show_verdict
    from runtime.compare import comparison_verdict

    console = output()
    if rows:
        verdict = comparison_verdict(_judged(rows, asked))
        words = replace(asked, gpu_sharing=asked.sharings[0]).solve_words
        step = ("make that plan", words)
        if verdict.level == "fair" and not asked.equal_headroom:
            step = ("on equal terms", ["compare", *words[1:], "--equal-headroom"])
        show_verdict(console, verdict, step)
    show_rows(console, rows, asked.repeat, several=len(asked.sharings) > 1)
    for miss in failed:
        console.print(plain(f"{miss['method']}: no plan: {miss['reason']}"), style="bold red")
