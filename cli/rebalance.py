"""`gswarm-place rebalance`: a plan for new demand that moves few replicas of the old one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from cli.asked import InputFiles, Shown, takes
from cli.file_arguments import check_outputs, hash_inputs, load_run
from cli.json_output import echo_json
from cli.migration_report import migration_dict, seconds_to_load, show_migration
from cli.missing import Complete
from cli.options import Count, input_options, output_options, time_limit_option
from cli.waiting import SolveProgress

if TYPE_CHECKING:
    from placement.migration import Migration
    from placement.problem.plan import Plan
    from placement.problem.trace import Trace
    from placement.problem.workload import Workload
    from placement.rebalance import Offer

UNLIMITED = "any"
SOLVED = 0.5
"""Part of the time in which a plan without a limit is sought."""


@dataclass(frozen=True, kw_only=True)
class Asked(InputFiles, Shown):
    """What `gswarm-place rebalance` was asked for."""

    earlier: str
    max_moves: int | None
    time_limit: float
    output: str | None


@dataclass(frozen=True)
class Row:
    """A limit, and the plan within it; or why there is none."""

    most: int | None
    plan: Plan | None
    moves: Migration | None
    seconds: float
    bound_within: float | None
    why: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Lay it out for ``--json``."""
        found: dict[str, Any] = {"max_moves": self.most}
        if self.plan is None or self.moves is None:
            return {**found, "plan": None, "reason": self.why}
        expected, certificate = self.plan.expected, self.plan.certificate
        return {
            **found,
            "moves": len(self.moves.loaded),
            "loaded_gb": self.moves.loaded_gb,
            "load_seconds": self.seconds,
            "objective": certificate.objective,
            "bound_within": self.bound_within,
            "server_efficiency": expected["server_efficiency"],
            "edge_locality": expected["edge_locality"],
            "max_utilization": expected["max_utilization"],
            "headroom": expected["headroom"],
        }


@click.command(cls=Complete)
@click.option(
    "--from",
    "earlier",
    required=True,
    type=click.Path(),
    metavar="PLAN",
    help="The plan that runs; its cluster, sharing, rules and objective hold for the new one.",
)
@input_options
@click.option(
    "--max-moves",
    type=Count(0, 1_000_000),
    metavar="N",
    help="Most replicas that may be loaded anew; the plan with this limit is the answer. Without "
    "it, the plan without a limit.",
)
@time_limit_option("Of all plans together; half of it for the one without a limit.")
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="FILE",
    help="Write the new plan (YAML or JSON).",
)
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Adapt a plan that runs to new demand, moving no more replicas than you allow.

    A move is a replica that has to be loaded where it does not stand yet. The table shows what 0,
    1, 2, 4, ... moves buy; then come the steps to the chosen plan, in an order in which every load
    finds room and no model loses its last replica while there is another way.

    \b
    Example:
      gswarm-place rebalance --from plan.yaml --config configs/small.yaml \\
          --requests configs/small_requests.yaml --max-moves 3 -o new_plan.yaml
    """
    from placement.files.plan_file import check_plan_name, write_plan
    from placement.problem.outcome import Infeasible

    if asked.output is not None:
        check_plan_name(asked.output)
    check_outputs({"--output": asked.output}, (asked.earlier, asked.config, asked.requests))
    old, workload, trace = load_run(asked.earlier, asked.config, asked.requests)
    rows = _rows(old, workload, trace, asked)
    (chosen,) = [row for row in rows if row.most == asked.max_moves]
    if chosen.plan is None or chosen.moves is None:
        raise Infeasible(chosen.why or "no plan was found")
    if asked.output is not None:
        write_plan(asked.output, chosen.plan)
    if asked.as_json:
        table = [row.as_dict() for row in rows]
        echo_json({**migration_dict(chosen.moves, chosen.seconds), "table": table})
    elif not asked.quiet:
        _show(rows, chosen, asked)


def _rows(old: Plan, workload: Workload, trace: Trace, asked: Asked) -> list[Row]:
    """Find a plan without a limit, and one within each of several limits."""
    from placement.migration import migration
    from placement.problem.outcome import SolveOptions
    from placement.problem.plan_building import build_plan
    from placement.rebalance import instance_like, offers, running_replicas
    from placement.renumbering import renumbered
    from placement.solve import solve_instance
    from placement.solver.budget import Budget

    instance = instance_like(old, workload, trace)
    options = SolveOptions(
        mode=old.mode,
        max_utilization=old.max_utilization or old.certificate.load_cap,
        headroom_slack=old.certificate.headroom_slack,
        time_limit_s=SOLVED * asked.time_limit,
        seed=old.certificate.seed,
    )
    inputs = hash_inputs(config=asked.config, requests=asked.requests)
    budget = Budget(asked.time_limit)
    with SolveProgress(quiet=asked.silent, limit_s=asked.time_limit) as progress:
        best = solve_instance(instance, options, progress=progress, budget=budget.part(SOLVED))
        free = renumbered(build_plan(best, workload, inputs=inputs), old)
        running = running_replicas(old, instance)
        needed = len(migration(old, free).loaded)
        limits = _limits(needed, asked.max_moves)
        found = offers(running, best, free.placement, limits, budget)

    def row(most: int | None, plan: Plan, bound: float | None) -> Row:
        moves = migration(old, plan)
        seconds = seconds_to_load(moves, workload, asked.config)
        return Row(most, plan, moves, seconds, bound)

    def within(most: int, offer: Offer | str) -> Row:
        if isinstance(offer, str):
            return Row(most, None, None, 0.0, None, offer)
        return row(most, build_plan(offer.result, workload, inputs=inputs), offer.bound_within)

    rows = [within(most, offer) for most, offer in zip(limits, found, strict=True)]
    return [*rows, row(None, free, best.certificate.best_bound)]


def _limits(needed: int, most: int | None) -> list[int]:
    """0, 1, 2, 4, ... below what is needed without a limit, and the limit that is asked for."""
    limits, n = {0}, 1
    while n < needed:
        limits.add(n)
        n *= 2
    return sorted(limits if most is None else limits | {most})


def _show(rows: list[Row], chosen: Row, asked: Asked) -> None:
    from cli.terminal import output, plain, table

    console = output()
    shown = table(
        "moves allowed", "loaded", "GB", "s", "locality", "SE", "edges kept", "busiest", left=0
    )
    for row in rows:
        most = UNLIMITED if row.most is None else f"{row.most:,}"
        if row.plan is None or row.moves is None:
            shown.add_row(most, *[""] * 7)
            continue
        expected, style = row.plan.expected, "bold" if row is chosen else ""
        shown.add_row(
            most,
            f"{len(row.moves.loaded):,}",
            f"{row.moves.loaded_gb:,.0f}",
            f"{row.seconds:,.0f}",
            f"{row.plan.certificate.objective:.4f}",
            *(
                f"{100 * expected[key]:.1f}%"
                for key in ("server_efficiency", "edge_locality", "max_utilization")
            ),
            style=style,
        )
    console.print(shown)
    for row in rows:
        if row.why is not None:
            console.print(plain(f"{row.most} moves: {row.why}"))
    proven = [
        row.most
        for row in rows
        if row.plan is not None
        and row.bound_within is not None
        and row.bound_within <= row.plan.certificate.objective * (1 + 1e-6)
    ]
    if proven:
        said = ", ".join(UNLIMITED if most is None else str(most) for most in proven)
        console.print(f"proven to be the best with so many moves: {said}")
    assert chosen.moves is not None
    show_migration(chosen.moves, chosen.seconds)
    if asked.output is not None:
        console.print(f"written to {plain(asked.output)}")
