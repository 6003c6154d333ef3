"""`simulate --rebalance-every`: plans that follow the demand, inside the simulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.options import Number

if TYPE_CHECKING:
    from placement.problem.plan import Plan
    from placement.problem.trace import Trace
    from placement.problem.workload import Workload
    from runtime.engines.events import ProgressCallback
    from runtime.policies import RoutingPolicy
    from runtime.run import Run

ADAPTS = {"window", "max_moves", "drain", "time_limit"}
"""Options that mean nothing without ``--rebalance-every``."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Adaptive:
    """``--rebalance-every`` with its companions."""

    rebalance_every: float | None
    window: float | None
    max_moves: int | None
    drain: float
    time_limit: float


def adaptive_options(function: F) -> F:
    """``--rebalance-every`` with its companions."""
    seconds = Number(above_low=True)
    for option in (
        click.option(
            "--time-limit",
            type=Number(),
            default=10.0,
            show_default=True,
            metavar="SECONDS",
            help="With --rebalance-every: of each solve.",
        ),
        click.option(
            "--drain",
            type=Number(),
            default=30.0,
            show_default=True,
            metavar="SECONDS",
            help="With --rebalance-every: a replica that is to go has so long to end its calls.",
        ),
        click.option(
            "--max-moves",
            type=click.IntRange(0, 1_000_000),
            metavar="N",
            help="With --rebalance-every: most replicas that one new plan may load.",
        ),
        click.option(
            "--window",
            type=seconds,
            metavar="SECONDS",
            help="With --rebalance-every: arrivals that a solve is for.  [default: as many]",
        ),
        click.option(
            "--rebalance-every",
            type=seconds,
            metavar="SECONDS",
            help="Solve anew every so often for the arrivals of the window before, and bring the "
            "new plan about while requests are served: loads take their time and their memory.",
        ),
    ):
        function = option(function)
    return function


def check_adaptive(asked: Adaptive, explicit: set[str], **others: bool) -> None:
    """Refuse what does not go together.

    Parameters
    ----------
    asked : Adaptive
    explicit : set of str
        Options that are given.
    **others : bool
        Options that do not go with ``--rebalance-every``, and whether they are given.

    Raises
    ------
    click.UsageError
    """
    if asked.rebalance_every is None:
        for name in sorted(explicit & ADAPTS):
            flag = name.replace("_", "-")
            raise click.UsageError(f"--{flag} is for --rebalance-every SECONDS; add it")
        return
    for name, given in others.items():
        if given:
            raise click.UsageError(f"--{name} does not go with --rebalance-every; leave one out")


def adaptive_run(
    asked: Adaptive,
    plan: Plan,
    workload: Workload,
    trace: Trace,
    policy: str | RoutingPolicy,
    progress: ProgressCallback | None,
) -> tuple[Run, list[dict[str, Any]]]:
    """Solve along a trace, and run it over the plans; also what each new plan took.

    Parameters
    ----------
    asked : Adaptive
    plan : Plan
        That runs at the beginning.
    workload : Workload
    trace : Trace
    policy : str or RoutingPolicy
    progress : callable or None
    """
    from placement.adaptive import Adaptation, follow_demand
    from placement.problem.changes import Change, Phase
    from placement.problem.outcome import SolveOptions
    from placement.rebalance import instance_like
    from runtime.changing import simulate_changing
    from runtime.simulate import Dispatch, match_plan

    every = asked.rebalance_every
    assert every is not None
    adaptation = Adaptation(every, asked.window or every, asked.drain, asked.max_moves)
    options = SolveOptions(
        max_utilization=plan.max_utilization or plan.certificate.load_cap,
        headroom_slack=plan.certificate.headroom_slack,
        time_limit_s=asked.time_limit,
        seed=plan.certificate.seed,
    )
    instance = instance_like(plan, workload, trace)
    placement, routing = match_plan(plan, workload)
    phases, rows = [Phase(0.0, placement, routing)], []
    changes: list[Change] = []
    for epoch in follow_demand(workload, trace, plan, instance, options, adaptation):
        phases.append(Phase(epoch.in_force_s, *match_plan(epoch.plan, workload)))
        changes += epoch.changes
        rows.append(
            {
                "decided": epoch.decided_s,
                "in_force": epoch.in_force_s,
                "loaded": len(epoch.moves.loaded),
                "unloaded": len(epoch.moves.unloaded),
                "loaded_gb": epoch.moves.loaded_gb,
            }
        )
    changes.sort(key=lambda change: change.time_s)
    run = simulate_changing(
        workload,
        trace,
        plan.cluster,
        phases,
        changes,
        dispatch=Dispatch(policy=policy),
        progress=progress,
    )
    return run, rows


def show_epochs(rows: list[dict[str, Any]]) -> None:
    """Print what each new plan took.

    Parameters
    ----------
    rows : list of dict
        Of `adaptive_run`.
    """
    from cli.terminal import output, table

    console = output()
    if not rows:
        console.print("no other plan was better than the one that ran")
        return
    shown = table("decided at s", "in force at s", "loaded", "unloaded", "GB", left=0)
    for row in rows:
        shown.add_row(
            f"{row['decided']:,.0f}",
            f"{row['in_force']:,.0f}",
            f"{row['loaded']:,}",
            f"{row['unloaded']:,}",
            f"{row['loaded_gb']:,.0f}",
        )
    console.print(shown)
