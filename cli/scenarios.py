"""`solve --scenarios` and `--windows`: one placement for several demands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.options import Count
from placement.problem.names import CRITERIA

if TYPE_CHECKING:
    from placement.problem.names import Criterion, Method
    from placement.problem.trace import Demand, Trace
    from placement.problem.workload import Workload
    from placement.robust import RobustOutcome

F = TypeVar("F", bound=Callable[..., Any])

SCENARIO = "scenario "
"""How the roles of further traces begin among the inputs that a plan names."""


def scenario_role(i: int) -> str:
    """Role of a further trace among a plan's inputs: --requests is the first."""
    return f"{SCENARIO}{i + 2}"


@dataclass(frozen=True, kw_only=True)
class Scenarios:
    """``--scenarios``, ``--windows`` and ``--scenario-criterion``."""

    scenarios: tuple[str, ...]
    windows: int | None
    scenario_criterion: Criterion


def scenario_options(function: F) -> F:
    """``--scenarios``, ``--windows`` and ``--scenario-criterion``."""
    for option in (
        click.option(
            "--scenario-criterion",
            type=click.Choice(CRITERIA),
            default="worst",
            show_default=True,
            help="What of the scenarios' localities is maximised.",
        ),
        click.option(
            "--windows",
            type=Count(2, 1000),
            metavar="N",
            help="Place for N windows of the trace at once, of equal duration, not for its mean.",
        ),
        click.option(
            "--scenarios",
            type=click.Path(),
            multiple=True,
            metavar="FILE",
            help="One more request trace to place for, beside --requests; may be repeated.",
        ),
    ):
        function = option(function)
    return function


def wants_scenarios(
    asked: Scenarios, *, method: Method, refine: str | None, allow_partial: bool
) -> bool:
    """Whether several demands are given; refuses what does not go with them.

    Parameters
    ----------
    asked : Scenarios
    method, refine, allow_partial
        The options of these names.

    Raises
    ------
    click.UsageError
    """
    if not asked.scenarios and asked.windows is None:
        return False
    if asked.scenarios and asked.windows is not None:
        raise click.UsageError("take either --scenarios or --windows")
    for name, clash in (
        ("--refine", refine is not None),
        ("--allow-partial", allow_partial),
        (f"--method {method}", method != "ilp"),
    ):
        if clash:
            raise click.UsageError(f"{name} does not go with several demands; leave it out")
    return True


def demands_of(
    workload: Workload, trace: Trace, scenarios: tuple[str, ...], windows: int | None
) -> tuple[Workload, Demand, list[tuple[str, Demand]]]:
    """Mean demand, and the demand of each scenario with a name for it.

    The workload has the variants of all traces.

    Parameters
    ----------
    workload : Workload
        Models and workflows.
    trace : Trace
        Of `--requests`.
    scenarios : tuple of str
        Paths of further traces.
    windows : int or None
        Equal parts of the time of `trace`, in place of further traces.

    Raises
    ------
    InputError
        As for each file.
    """
    from placement.files.request_file import read_requests
    from placement.problem.trace import measure_demand
    from placement.problem.variants import as_run
    from placement.programs.demands import mean_demand, window_demands

    if windows is not None:
        parts = window_demands(workload, trace, windows)
        named = [(f"window {i + 1}", d) for i, d in enumerate(parts)]
        return workload, measure_demand(workload, trace), named
    traces = [("--requests", trace)]
    for path in scenarios:
        traces.append((path, read_requests(path, workload)))
        workload = as_run(workload, traces[-1][1])
    named = [(path, measure_demand(workload, t)) for path, t in traces]
    return workload, mean_demand([d for _, d in named]), named


def scenario_summary(outcome: RobustOutcome, names: list[str]) -> dict[str, Any]:
    """What ``--json`` prints as ``scenarios``."""
    plain = outcome.plain_objective
    return {
        "criterion": outcome.criterion,
        "objective": outcome.objective,
        "best_bound": outcome.best_bound,
        "gap": outcome.gap,
        "proof": outcome.proof,
        "load_cap": outcome.load_cap,
        "plain_objective": plain if plain > float("-inf") else None,
        "each": [
            {
                "name": name,
                "rate": scenario.total_rate,
                "objective": e.objective,
                "server_efficiency": e.server_efficiency,
                "edge_locality": e.edge_locality,
                "max_utilization": e.max_utilization,
            }
            for name, scenario, e in zip(names, outcome.scenarios, outcome.evaluations, strict=True)
        ],
    }


def show_scenarios(report: dict[str, Any]) -> None:
    """Print what each scenario gets, and what is proven of all."""
    from cli.terminal import output, percent, plain, table

    console = output()
    shown = table("scenario", "requests/s", "locality", "SE", "edges kept", "busiest GPU")
    for row in report["each"]:
        shown.add_row(
            plain(row["name"]),
            f"{row['rate']:,.3f}",
            f"{row['objective']:.5f}",
            percent(row["server_efficiency"]),
            percent(row["edge_locality"]),
            percent(row["max_utilization"]),
        )
    console.print(shown)
    before = report["plain_objective"]
    console.print(
        f"{report['criterion']} locality {report['objective']:.5f}, within "
        f"{percent(report['gap'], 2)} of the best under a cap of {percent(report['load_cap'])}; "
        + (
            "the plan for the mean demand overloads a scenario"
            if before is None
            else f"{before:.5f} by the plan for the mean demand"
        )
    )
