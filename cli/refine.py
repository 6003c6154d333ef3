"""`solve --refine`: the simulator corrects the plan, and traces it has not seen judge it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.common import Number

if TYPE_CHECKING:
    from placement.problem.outcome import ProgressCallback, SolveOptions, SolveResult
    from placement.problem.solution import Solution
    from placement.problem.trace import Mode, Trace
    from placement.problem.workload import Workload
    from placement.refine import Refinement, Score
    from placement.solver.budget import Budget
    from runtime.metrics import Metrics
    from runtime.result import RunResult

F = TypeVar("F", bound=Callable[..., Any])

METRICS: dict[str, tuple[str, Callable[[Metrics], float], int]] = {
    "p99": ("P99 latency s", lambda m: m.request_latency.p99, 1),
    "mean-latency": ("mean latency s", lambda m: m.request_latency.mean, 1),
    "makespan": ("makespan s", lambda m: m.makespan_s, 1),
    "se": ("server efficiency %", lambda m: m.server_efficiency, -1),
    "csc": ("cross-server edges", lambda m: float(m.cross_server_communications), 1),
    "variance": ("utilization variance", lambda m: m.utilization_variance, 1),
}
"""Name -> what the table calls it, its value, and 1 where less is better."""

TRAINING, UNSEEN = 5, 10
"""Resampled traces that score a candidate beside the trace itself, and that judge the best."""

STREAM = 1_000_000
"""Number of the first resampled trace, beyond any that `simulate --repeat` shows."""


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
            type=click.IntRange(1, 1_000_000),
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
            type=click.Choice(["locality", "plan", "earliest", "least-loaded"]),
            default="locality",
            show_default=True,
            help="Routing policy of the simulations.",
        ),
        click.option(
            "--refine",
            type=click.Choice(list(METRICS)),
            metavar="METRIC",
            help="Let the simulator correct the plan for one metric, at little cost of locality. A "
            "candidate must be no worse than the plan on the trace, and better over it and "
            f"{TRAINING} resampled ones; the best is kept only if it is better over {UNSEEN} "
            "resampled traces that the search has not used.",
        ),
    ):
        function = option(function)
    return function


@dataclass
class Judge:
    """Simulates solutions on the trace and on resampled ones; metrics are negated to minimise."""

    workload: Workload
    trace: Trace
    mode: Mode
    routing: str
    metric: str
    seed: int
    plain: float = float("inf")

    def value(self, metrics: Metrics) -> float:
        """The chosen metric, the less the better."""
        _, read, sign = METRICS[self.metric]
        return sign * read(metrics)

    def run(self, result: SolveResult, solution: Solution, trace: Trace) -> RunResult:
        """Simulate one trace."""
        from placement.problem.plan import route
        from runtime.simulate import simulate

        return simulate(
            self.workload,
            trace,
            result.instance.cluster,
            solution.placement,
            route(result.instance, solution.flows),
            mode=self.mode,
            policy=self.routing,
            engine="compiled",
        )

    def traces(self, first: int, count: int) -> list[Trace]:
        """Resampled traces by their number."""
        from runtime.resample import block_length, resample

        block = block_length(self.trace)
        return [
            resample(self.trace, self.seed, STREAM + i, block) for i in range(first, first + count)
        ]

    def scorer(self, result: SolveResult) -> Callable[[Solution], Score]:
        """Mean over the trace and the training traces; infinite where the trace alone is worse."""
        import numpy as np

        from placement.refine import Score
        from runtime.metrics import measure

        training = self.traces(0, TRAINING)
        models = len(self.workload.models)
        self.plain = self.value(measure(self.run(result, result.solution, self.trace)))

        def score(solution: Solution) -> Score:
            run = self.run(result, solution, self.trace)
            waited = (run.start_s - run.ready_s)[run.ran]
            model = solution.placement.model[run.replica[run.ran]]
            pressure = np.bincount(model, waited, models)
            own = self.value(measure(run))
            if own > self.plain:
                return Score(float("inf"), pressure)
            others = [self.value(measure(self.run(result, solution, t))) for t in training]
            return Score(float(np.mean([own, *others])), pressure)

        return score


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
    """Refine, judge on unseen traces, and keep the better of the two; with a JSON-ready report."""
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
    report = _report(plain, refined, found, judge)
    return (refined if report["kept"] else plain), report


def _report(
    plain: SolveResult, refined: SolveResult, found: Refinement, judge: Judge
) -> dict[str, Any]:
    from runtime.intervals import traffic_range
    from runtime.metrics import measure

    pair = (plain, refined)
    on_trace = [measure(judge.run(r, r.solution, judge.trace)) for r in pair]
    unseen = [
        [measure(judge.run(r, r.solution, trace)) for r in pair]
        for trace in judge.traces(TRAINING, UNSEEN)
    ]
    gains = [judge.value(before) - judge.value(after) for before, after in unseen]
    gained = traffic_range(gains)
    _, read, _ = METRICS[judge.metric]
    rows = {}
    for name, (_, value, _) in METRICS.items():
        rows[name] = {
            "before": value(on_trace[0]),
            "after": value(on_trace[1]),
            "unseen_before": traffic_range([value(b) for b, _ in unseen]).mean,
            "unseen_after": traffic_range([value(a) for _, a in unseen]).mean,
        }
    return {
        "metric": judge.metric,
        "routing": judge.routing,
        "evaluations": found.evaluations,
        "kept": bool(found.steps) and gained.mean > 0,
        "gain": abs(read(on_trace[0]) - read(on_trace[1])) if found.steps else 0.0,
        "unseen_gain": {
            "mean": gained.mean,
            "low": gained.low,
            "high": gained.high,
            "traces": UNSEEN,
        },
        "metrics": rows,
        "locality": {
            "before": plain.evaluation.objective,
            "after": refined.evaluation.objective,
            "best_bound": refined.certificate.best_bound,
        },
        "deterministic": found.deterministic,
        "steps": [asdict(step) for step in found.steps],
    }


def show_refinement(report: dict[str, Any]) -> None:
    """Print before and after, on the trace and on traces that the search has not seen."""
    from cli.terminal import output, table

    console = output()
    shown = table(f"refined for {report['metric']}", "plain", "refined", "unseen: plain", "refined")
    for name, (label, _, _) in METRICS.items():
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
