"""`solve --refine`: the simulator corrects the plan, and traces it has not seen judge it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.options import Count, Number
from placement.problem.names import ROUTERS

if TYPE_CHECKING:
    from placement.problem.outcome import ProgressCallback, SolveOptions, SolveResult
    from placement.solver.budget import Budget
    from runtime.judge import Judge, Judgement

F = TypeVar("F", bound=Callable[..., Any])

LABELS = {
    "p99": "P99 latency s",
    "mean-latency": "mean latency s",
    "makespan": "makespan s",
    "se": "server efficiency %",
    "csc": "cross-server edges",
    "variance": "utilization variance",
}
"""What the table calls each metric of `runtime.judge`."""

TRAINING, UNSEEN = 5, 10
"""Resampled traces that score a candidate beside the trace itself, and that judge the best."""


def refine_options(function: F) -> F:
    """``--refine`` with its companions."""
    for option in (
        click.option(
            "--refine-budget",
            type=Number(),
            default=60.0,
            show_default=True,
            metavar="SECONDS",
            help="Ends the refinement before its evaluations are used up.",
        ),
        click.option(
            "--refine-evaluations",
            type=Count(1, 1_000_000),
            default=100,
            show_default=True,
            metavar="N",
            help="Candidates to simulate; where this ends it, equal inputs give equal plans.",
        ),
        click.option(
            "--refine-loss",
            type=Number(0, 1),
            default=0.02,
            show_default=True,
            metavar="FRACTION",
            help="Most locality that the refined plan may give up; 1 is any.",
        ),
        click.option(
            "--refine-routing",
            type=click.Choice(ROUTERS),
            default="locality",
            show_default=True,
            help="Routing policy of the simulations.",
        ),
        click.option(
            "--refine",
            type=click.Choice(list(LABELS)),
            metavar="METRIC",
            help="Let the simulator correct the plan for one metric, at little cost of locality. A "
            "candidate must be no worse than the plan on the trace, and better over it and "
            f"{TRAINING} resampled ones; the best is kept only if it is better over {UNSEEN} "
            "resampled traces that the search has not used.",
        ),
    ):
        function = option(function)
    return function


def refine_plan(
    plain: SolveResult,
    solve_options: SolveOptions,
    judge: Judge,
    *,
    evaluations: int,
    loss: float,
    budget: Budget,
    progress: ProgressCallback | None,
) -> tuple[SolveResult, dict[str, Any]]:
    """Refine, judge on unseen traces, and keep the better of the two; with a JSON-ready report.

    Parameters
    ----------
    plain : SolveResult
        The plan to begin with.
    solve_options : SolveOptions
        With which it was solved.
    judge : Judge
        Scores a plan by simulating it, on traces to search with and on others to judge by.
    evaluations : int
        Plans that are simulated at most.
    loss : float
        Part of the locality that may be given up.
    budget : Budget
        When to stop.
    progress : callable or None
        Told of every plan tried.

    Returns
    -------
    SolveResult
        The refined one where it is better on the unseen traces, else `plain`.
    dict
        What was tried and found.
    """
    from placement.refine import refine, refined_result

    found = refine(
        plain,
        judge.scorer(plain),
        solve_options,
        evaluations=evaluations,
        loss=loss,
        budget=budget,
        progress=progress,
    )
    refined = refined_result(plain, found, (plain.certificate.seconds or 0.0) + budget.elapsed_s)
    judgement = judge.compare(plain, refined)
    kept = bool(found.steps) and judgement.gained.mean > 0
    report = {
        "metric": judge.metric,
        "routing": judge.routing,
        "evaluations": found.evaluations,
        "kept": kept,
        **_figures(judge.metric, judgement, improved=bool(found.steps)),
        "locality": {
            "before": plain.evaluation.objective,
            "after": refined.evaluation.objective,
            "best_bound": refined.certificate.best_bound,
        },
        "deterministic": found.deterministic,
        "steps": [asdict(step) for step in found.steps],
    }
    return (refined if kept else plain), report


def _figures(metric: str, judgement: Judgement, *, improved: bool) -> dict[str, Any]:
    from runtime.intervals import traffic_range
    from runtime.judge import METRICS

    before, after = judgement.on_trace
    rows = {}
    for name, (value, _) in METRICS.items():
        rows[name] = {
            "before": value(before),
            "after": value(after),
            "unseen_before": traffic_range([value(b) for b, _ in judgement.unseen]).mean,
            "unseen_after": traffic_range([value(a) for _, a in judgement.unseen]).mean,
        }
    read, _ = METRICS[metric]
    gained = judgement.gained
    return {
        "gain": abs(read(before) - read(after)) if improved else 0.0,
        "unseen_gain": {
            "mean": gained.mean,
            "low": gained.low,
            "high": gained.high,
            "traces": len(judgement.unseen),
        },
        "metrics": rows,
    }


def show_refinement(report: dict[str, Any]) -> None:
    """Print before and after, on the trace and on traces that the search has not seen."""
    from cli.terminal import output, table

    console = output()
    shown = table(f"refined for {report['metric']}", "plain", "refined", "unseen: plain", "refined")
    for name, label in LABELS.items():
        row = report["metrics"][name]
        cells = (row["before"], row["after"], row["unseen_before"], row["unseen_after"])
        shown.add_row(label, *(f"{x:,.2f}" for x in cells))
    locality = report["locality"]
    shown.add_row("locality", f"{locality['before']:.5f}", f"{locality['after']:.5f}", "", "")
    console.print(shown)
    gain = report["unseen_gain"]
    judged = (
        f"{gain['mean']:,.3f} over {gain['traces']} unseen traces "
        f"(another: {gain['low']:,.3f}..{gain['high']:,.3f}, 95%)"
    )
    if report["kept"]:
        console.print(
            f"gained on {report['metric']}: {report['gain']:,.3f} on the trace, {judged} "
            f"({report['evaluations']} candidates simulated)"
        )
    elif report["steps"]:
        console.print(f"the plain plan stays: the refined one gained {judged}")
    else:
        console.print(
            f"the plain plan stays: none of {report['evaluations']} candidates was better"
        )
