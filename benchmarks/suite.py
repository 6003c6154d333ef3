"""Every placement, router and scheduler over the suite of cases, and the page that shows it.

    python -m benchmarks.suite [--quick] [--out FOLDER] [--time-limit S] [--processes N]
        [--ray ADDRESS] [--gpu-sharing time-sliced|serial|both] [--only PART]

Writes suite.jsonl (every row) and suite.md (medians, win rates, where the program does not win).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from benchmarks.kept import keep
from benchmarks.suite_cases import Case, inputs_of, suite
from benchmarks.suite_contest import collect, equal_pairs, lost
from benchmarks.suite_page import page
from placement.contest import SAME_CAP, Contest
from placement.problem.instance_building import build_instance
from placement.problem.names import SHARING_MODES, SWITCHING, Method
from placement.problem.outcome import Infeasible, SolveOptions, SolveResult
from placement.problem.rules import Rules
from placement.problem.trace import measure_demand
from runtime.compare import Comparison, Row
from runtime.policies import BUILT_IN
from runtime.ray.spread import Spread, spread_over
from runtime.scoring import latency_score

METHODS: tuple[Method, ...] = (
    "ilp",
    "local-search",
    "partition",
    "selective-replication",
    "greedy",
    "random",
)


def rows_of(case: Case, time_limit_s: float) -> list[Row]:
    """Solve and simulate one case by every method, policy and scheduler."""
    workload, trace, cluster = inputs_of(case)
    instance = build_instance(
        workload, measure_demand(workload, trace), cluster, Rules(exclusive=case.exclusive)
    )
    comparison = Comparison(workload, trace, cluster, instance, case.mode)
    score = latency_score(workload, trace, cluster, mode=case.mode)
    contest = Contest(instance, case.mode, score=score)
    about = {
        "case": case.name,
        "workload": case.workload,
        "cluster": case.cluster,
        "mode": case.mode,
        "load": case.load,
        "exclusive": case.exclusive,
        "gpu_sharing": case.gpu_sharing,
        "time_limit_s": time_limit_s,
    }
    rows: list[Row] = []
    plans: dict[Method, SolveResult] = {}
    for method in METHODS:
        try:
            plans[method] = contest.solve(_options(method, time_limit_s))
        except Infeasible as error:
            rows.append({**about, "method": method, "infeasible": str(error)})
            continue
        rows += _measured(comparison, plans[method], about)
    for rival, plan in _at_equal_headroom(contest, plans, time_limit_s):
        more = {**about, "at_cap_of": rival}
        rows += _measured(comparison, plan, more)
    for rival, plan in _for_whole_workflows(contest, rows, time_limit_s):
        more = {**about, "at_cap_of": rival, "whole_workflows": True}
        rows += _measured(comparison, plan, more)
    schedulers = SWITCHING if case.mode == "offline" else SWITCHING[:1]
    return rows + [about | row for row in comparison.rows(schedulers)]


def _measured(comparison: Comparison, plan: SolveResult, about: dict[str, Any]) -> list[Row]:
    """Run a plan under every policy."""
    return [about | row for row in comparison.rows([(plan, policy) for policy in BUILT_IN])]


def _options(method: Method, time_limit_s: float) -> SolveOptions:
    return SolveOptions(method=method, time_limit_s=time_limit_s, threads=1)


def _at_equal_headroom(
    contest: Contest, plans: dict[Method, SolveResult], time_limit_s: float
) -> Iterator[tuple[str, SolveResult]]:
    """Pair ilp with each rival under the looser cap of the two: name of that rival or ilp, plan.

    Only whoever had the tighter cap is solved again; rivals with one cap share a solve of ilp.
    """
    own = plans["ilp"]
    again: dict[float, SolveResult] = {}
    for rival, theirs in plans.items():
        cap = theirs.certificate.load_cap
        if own.certificate.load_cap < cap * (1 - SAME_CAP):
            known = _known(cap, again)
            if known not in again:
                again[known] = contest.solve_at_cap(_options("ilp", time_limit_s), own, cap)
            yield rival, again[known]
        elif cap < own.certificate.load_cap * (1 - SAME_CAP):
            options = _options(rival, time_limit_s)
            yield "ilp", contest.solve_at_cap(options, theirs, own.certificate.load_cap)


def _for_whole_workflows(
    contest: Contest, rows: list[Row], time_limit_s: float
) -> Iterator[tuple[str, SolveResult]]:
    """Ask ilp for whole workflows alone where a rival keeps more of them at equal headroom."""
    asked = replace(contest, instance=replace(contest.instance, alpha=1.0))
    solved: dict[float, SolveResult] = {}
    results = collect(rows)
    for rival in METHODS[1:]:
        for a, b in equal_pairs(results, rival, "plan"):
            if lost(a, b):
                cap = _known(max(a["load_cap"], b["load_cap"]), solved)
                if cap not in solved:
                    options = _options("ilp", time_limit_s)
                    solved[cap] = asked.solve(options, load_cap=cap)
                yield rival, solved[cap]


def _known(cap: float, caps: Iterable[float]) -> float:
    """The same cap among those seen, or itself."""
    return next((c for c in caps if abs(c - cap) <= SAME_CAP * cap), cap)


def main() -> None:
    """Run the suite and write its page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a sixth of the cases")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--time-limit", type=float, default=20.0, help="of each solve, seconds")
    parser.add_argument("--processes", type=int, default=2, help="cases at a time")
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="spread the cases over this Ray cluster: HOST:PORT, or auto",
    )
    parser.add_argument(
        "--gpu-sharing",
        choices=[*SHARING_MODES, "both"],
        default="time-sliced",
        help="how GPUs serve several replicas; both: a case under one way, then under the other",
    )
    parser.add_argument("--only", default="", metavar="PART", help="cases with this in their name")
    a = parser.parse_args()
    sharings = SHARING_MODES if a.gpu_sharing == "both" else (a.gpu_sharing,)
    cases = [c for c in suite(quick=a.quick, sharings=sharings) if a.only in c.name]
    begin = monotonic()
    rows: list[Row] = []
    with ExitStack() as stack:
        if a.ray is None:
            spread: Spread = stack.enter_context(ProcessPoolExecutor(a.processes)).map
        else:
            spread = stack.enter_context(spread_over(a.ray))
        for part in spread(partial(rows_of, time_limit_s=a.time_limit), cases):
            rows += part
            print(f"{monotonic() - begin:6.0f} s  {part[0]['case']}", flush=True)
    keep(a.out, "suite", page(rows), rows)


if __name__ == "__main__":
    main()
