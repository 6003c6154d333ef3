"""Plans made on one half of a trace, judged on other traffic: what they keep, and what helps.

    python -m benchmarks.robustness [--out FOLDER] [--time-limit S] [--evaluations N]
        [--ray ADDRESS]

Writes robustness.md. Every method plans on the first half. Judged
are the first half itself, the second half, the second half at 1.25 and 1.5 times its rate, and
with another mix (the shares of the workflows moved half way to those of their neighbours).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from benchmarks.kept import keep
from benchmarks.suite_cases import Case, inputs_of
from cli.refine import TRAINING, UNSEEN, refine_plan
from placement.problem.cluster import Cluster
from placement.problem.instance import Instance
from placement.problem.instance_building import build_instance
from placement.problem.names import Criterion, Method
from placement.problem.outcome import SolveOptions, SolveResult
from placement.problem.plan_building import route
from placement.problem.rules import Rules
from placement.problem.solution import evaluate
from placement.problem.trace import Demand, Trace, measure_demand
from placement.problem.workload import Workload
from placement.programs.demands import mean_demand, window_demands
from placement.programs.least_load import least_bottleneck
from placement.programs.routing import best_routing
from placement.refine import LOSS
from placement.robust import solve_scenarios
from placement.solve import solve_instance
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from runtime.judge import Judge
from runtime.metrics import measure
from runtime.ray.spread import spread_over
from runtime.simulate import simulate_placement

CASES = (
    Case("multimodal", "32/8", "online", 0.5, exclusive=False),
    Case("multimodal", "48/8", "online", 0.45, exclusive=True),
    Case("synthetic-16-12", "32/8", "online", 0.55, exclusive=False),
)
RATES = (1.25, 1.5)
WINDOWS = 4
HARD_CAP = 0.98
"""Cap under which a placement is routed anew for the traffic it is judged on."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Setup:
    """A case with its trace cut in two."""

    case: Case
    workload: Workload
    cluster: Cluster
    seen: Trace
    unseen: Trace

    def instance(self, demand: Demand) -> Instance:
        """The program for a demand."""
        return build_instance(
            self.workload, demand, self.cluster, Rules(exclusive=self.case.exclusive)
        )


def prepare(case: Case) -> Setup:
    """Read a case and cut its trace into halves."""
    workload, trace, cluster = inputs_of(case)
    half = trace.n_requests // 2
    return Setup(case, workload, cluster, take(trace, np.arange(half)),
                 take(trace, np.arange(half, trace.n_requests)))  # fmt: skip


def take(trace: Trace, requests: np.ndarray, arrival_s: np.ndarray | None = None) -> Trace:
    """Make a trace of some requests, at their own times or at given ones."""
    at = trace.arrival_s[requests] if arrival_s is None else arrival_s
    sizes = np.diff(trace.offset)[requests]
    offset = np.concatenate(([0], np.cumsum(sizes)))
    execution = np.arange(offset[-1]) + np.repeat(trace.offset[requests] - offset[:-1], sizes)
    return Trace(
        request_ids=[str(r) for r in range(len(requests))],
        arrival_s=at - at[0],
        workflow=trace.workflow[requests],
        service_s=trace.service_s[execution],
        offset=offset,
        start=trace.start,
    )


def shifted(trace: Trace, workflows: int, seed: int) -> Trace:
    """Draw requests anew: each workflow's share moves half way to that of the next."""
    rng = np.random.default_rng(seed)
    share = np.bincount(trace.workflow, minlength=workflows) / trace.n_requests
    there = share > 0
    target = share.copy()
    target[there] = (share[there] + np.roll(share[there], 1)) / 2
    kinds = rng.choice(workflows, trace.n_requests, p=target)
    by_kind = [np.flatnonzero(trace.workflow == w) for w in range(workflows)]
    requests = np.array([rng.choice(by_kind[w]) for w in kinds])
    return take(trace, requests, trace.arrival_s)


def judged_traffic(setup: Setup) -> dict[str, Trace]:
    """Name each trace that the plans are judged on."""
    unseen = setup.unseen
    return {
        "first half (planned on)": setup.seen,
        "second half": unseen,
        **{f"second half, rate x {r:g}": replace(unseen, arrival_s=unseen.arrival_s / r)
           for r in RATES},
        "second half, other mix": shifted(unseen, len(setup.workload.workflows), seed=1),
    }  # fmt: skip


def plain(method: Method) -> Callable[[Setup, SolveOptions, int], SolveResult]:
    """Plan for the mean of the first half."""

    def plan(setup: Setup, options: SolveOptions, evaluations: int) -> SolveResult:
        demand = measure_demand(setup.workload, setup.seen)
        return solve_instance(setup.instance(demand), replace(options, method=method))

    return plan


def for_windows(setup: Setup, options: SolveOptions, evaluations: int) -> SolveResult:
    """Plan for the worst of the windows of the first half."""
    demands = window_demands(setup.workload, setup.seen, WINDOWS)
    return _robust(setup, options, measure_demand(setup.workload, setup.seen), demands, "worst")


def for_scenarios(setup: Setup, options: SolveOptions, evaluations: int) -> SolveResult:
    """Plan for the average of the first half and two other mixes of it, the one judged unknown."""
    workflows = len(setup.workload.workflows)
    traces = [setup.seen, *(shifted(setup.seen, workflows, seed) for seed in (2, 3))]
    demands = [measure_demand(setup.workload, t) for t in traces]
    return _robust(setup, options, mean_demand(demands), demands, "average")


def _robust(
    setup: Setup, options: SolveOptions, mean: Demand, demands: list[Demand], how: Criterion
) -> SolveResult:
    instances = [setup.instance(d) for d in demands]
    return solve_scenarios(setup.instance(mean), instances, options, how).result


def refined(loss: float) -> Callable[[Setup, SolveOptions, int], SolveResult]:
    """Plan for the mean, then let the simulator correct it for P99 on the first half."""

    def plan(setup: Setup, options: SolveOptions, evaluations: int) -> SolveResult:
        result = plain("ilp")(setup, options, evaluations)
        judge = Judge(
            setup.workload, setup.seen, "online", "locality", "p99", options.seed, TRAINING, UNSEEN
        )
        found, _ = refine_plan(
            result, options, judge, evaluations=evaluations, loss=loss,
            budget=Budget(3 * (options.time_limit_s or 10.0)), progress=None,
        )  # fmt: skip
        return found

    return plan


METHODS: dict[str, Callable[[Setup, SolveOptions, int], SolveResult]] = {
    "greedy": plain("greedy"),
    "local-search": plain("local-search"),
    "ilp": plain("ilp"),
    f"ilp --windows {WINDOWS}": for_windows,
    "ilp --scenarios": for_scenarios,
    "ilp --refine p99": refined(LOSS),
    "ilp --refine p99, any loss": refined(1.0),
}


def rows_of(setup: Setup, options: SolveOptions, evaluations: int) -> list[Row]:
    """Plan by every method on the first half, and judge each plan on all traffic."""
    traffic = judged_traffic(setup)
    rows = []
    for method, plan in METHODS.items():
        begin = monotonic()
        result = plan(setup, options, evaluations)
        seconds = monotonic() - begin
        shares = route(result.instance, result.solution.flows)
        for name, trace in traffic.items():
            m = measure(
                simulate_placement(
                    setup.workload, trace, setup.cluster, result.solution.placement, shares
                )
            )
            rows.append(
                {
                    "case": setup.case.name,
                    "method": method,
                    "judged_on": name,
                    "server_efficiency": m.server_efficiency,
                    "csc_per_request": m.cross_server_communications / m.completed_requests,
                    "p99_s": m.request_latency.p99,
                    "mean_s": m.request_latency.mean,
                    "utilization_variance": m.utilization_variance,
                    **_routed_anew(setup, result, trace),
                    "objective": result.evaluation.objective,
                    "plan_s": seconds,
                }
            )
        print(f"{setup.case.name}: {method} planned in {seconds:.1f} s", flush=True)
    return rows


def _routed_anew(setup: Setup, result: SolveResult, trace: Trace) -> Row:
    """What the placement could do if its shares followed the traffic."""
    settings = SolverSettings()
    instance = setup.instance(measure_demand(setup.workload, trace))
    placement = result.solution.placement
    least, _ = least_bottleneck(instance, placement, settings)
    capped = replace(instance, load_cap=max(HARD_CAP, least * (1 + 1e-6)))
    routed = best_routing(capped, placement, settings)
    return {
        "least_bottleneck": least,
        "locality_routed_anew": None if routed is None else evaluate(capped, routed).objective,
    }


def page(rows: list[Row]) -> str:
    """Lay the rows out as Markdown, a table for each case and traffic."""
    lines = [
        "# Robustness: planned on one half of a trace, judged on other traffic",
        "",
        "Locality routing with the shares of the plan. *Anew*: locality of the placement if the "
        "shares followed the traffic; *least load*: of its busiest GPU then (above 1 it is "
        "overloaded, and P99 grows with the length of the trace).",
    ]
    seen: list[tuple[str, str]] = []
    for row in rows:
        key = (row["case"], row["judged_on"])
        if key not in seen:
            seen.append(key)
    for case, traffic in seen:
        lines += [
            "",
            f"## {case}: {traffic}",
            "",
            "| plan | SE % | CSC per request | P99 s | mean s | variance | anew | least load |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for r in (r for r in rows if (r["case"], r["judged_on"]) == (case, traffic)):
            anew = r["locality_routed_anew"]
            lines.append(
                f"| {r['method']} | {r['server_efficiency']:.1f} | {r['csc_per_request']:.2f} "
                f"| {r['p99_s']:.1f} | {r['mean_s']:.1f} | {r['utilization_variance']:.0f} "
                f"| {'-' if anew is None else f'{anew:.3f}'} | {r['least_bottleneck']:.2f} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run every case and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--time-limit", type=float, default=10.0, help="of each solve, seconds")
    parser.add_argument("--evaluations", type=int, default=80, help="of each refinement")
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="spread the cases over this Ray cluster: HOST:PORT, or auto",
    )
    arguments = parser.parse_args()
    options = SolveOptions(time_limit_s=arguments.time_limit)

    def one(case: Case) -> list[Row]:
        return rows_of(prepare(case), options, arguments.evaluations)

    with spread_over(arguments.ray) as spread:
        rows = [row for part in spread(one, CASES) for row in part]
    keep(arguments.out, "robustness", page(rows))
    print(f"written to {arguments.out / 'robustness.md'}")


if __name__ == "__main__":
    main()
