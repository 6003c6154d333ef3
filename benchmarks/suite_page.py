"""The results page of the suite: medians, win rates, and where the program does not win."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from statistics import median

from benchmarks.suite_contest import (
    CLEAR,
    CONTEST,
    NOISE,
    POINTS,
    ROUTERS,
    Pair,
    Results,
    Runs,
    collect,
    contest,
    equal_pairs,
    lower_cap,
    objective_as_good,
    own_pairs,
    ratio,
    table,
)
from benchmarks.suite_losses import losses
from runtime.compare import Row

PairsOf = Callable[[Results, str, str], list[Pair]]
"""`own_pairs` or `equal_pairs`."""


def page(rows: list[Row]) -> str:
    """Write the page."""
    results = collect(rows)
    methods = list(dict.fromkeys(r["method"] for r in rows if r["method"]))
    rivals = [m for m in methods if m != "ilp"]
    sections = [
        _head(results.own, methods, max(r["time_limit_s"] for r in rows)),
        _own_headroom(results, rivals),
        _equal_headroom(results, rivals),
        _ablation(results.own, methods),
        losses(results, rivals),
        _switching(results.own),
        _infeasible(rows),
    ]
    return "\n\n".join(s for s in sections if s) + "\n"


def _head(runs: Runs, methods: list[str], limit_s: float) -> str:
    medians = table(
        [
            "placement",
            "cases",
            "solve s",
            "gap",
            "objective",
            "SE %",
            "CSC/request",
            "variance",
            "req/s",
        ],
        (_method_line(runs, m) for m in methods),
    )
    return (
        "# Every placement, router and scheduler over the suite\n\n"
        f"{len(runs)} cases: workload, cluster, shared or exclusive GPUs, and offered load as a "
        "fraction of the cluster (or offline, all requests at time 0). Written by `python -m "
        "benchmarks.suite` from `suite.jsonl`. Every placement runs under every router, on the "
        f"same trace, in the same engine. A solve has one thread and {limit_s:g} s.\n\n"
        "## Medians under the router `plan`\n\n" + medians
    )


def _method_line(runs: Runs, method: str) -> list[object]:
    found = [run[method, "plan"] for run in runs.values() if (method, "plan") in run]
    if not found:
        return [method, 0, *[""] * 7]
    gaps = [r["gap"] for r in found if r["gap"] is not None]
    return [
        method,
        len(found),
        f"{median(r['solve_seconds'] for r in found):.1f}",
        f"{100 * median(gaps):.2f} %" if gaps else "no bound",
        f"{median(r['objective'] for r in found):.3f}",
        f"{median(r['server_efficiency'] for r in found):.1f}",
        f"{median(_crossings(r) for r in found):.2f}",
        f"{median(r['utilization_variance'] for r in found):.0f}",
        f"{median(r['throughput'] for r in found):.2f}",
    ]


def _crossings(row: Row) -> float:
    return float(row["cross_server_communications"]) / max(1, int(row["completed_requests"]))


def _contests(results: Results, rivals: list[str], pairs_of: PairsOf) -> str:
    lines = []
    for router in ROUTERS:
        for rival in rivals:
            pairs = pairs_of(results, rival, router)
            if pairs:
                lines.append([router, rival, *contest(pairs)])
    return table(["router", "against", *CONTEST], lines)


def _own_headroom(results: Results, rivals: list[str]) -> str:
    requests = [row["completed_requests"] for run in results.own.values() for row in run.values()]
    return (
        "## The integer program against each method, each at its own headroom\n\n"
        "As `compare` runs them, under the same router. Headroom comes before locality: above a "
        "load of 0.8, and offline, a method's cap on GPU loads is 5 % above the least bottleneck "
        "load that *it* found. Whoever finds a lower one has less room for locality, and a less "
        "busy busiest GPU.\n\n"
        "CSC, variance, P99 and makespan are medians of the ratio ilp : other (below 1 is better "
        "for ilp; a case without crossings on either side counts as 1). *As good*: share of cases "
        f"in which ilp is no worse (SE within {POINTS:g} points, P99 within 0.1 %). One request is "
        f"{100 / max(requests):.2g} to {100 / min(requests):.2g} points of SE; the column *within "
        f"{CLEAR:g} point* leaves a few of them to chance.\n\n"
        + _contests(results, rivals, own_pairs)
    )


def _equal_headroom(results: Results, rivals: list[str]) -> str:
    lines = []
    for rival in rivals:
        own, equal = own_pairs(results, rival, "plan"), equal_pairs(results, rival, "plan")
        if not own:
            continue
        good = sum(objective_as_good(a, b) for a, b in equal)
        bounded = sum(b["objective"] <= a["best_bound"] * (1 + NOISE) for a, b in equal)
        lines.append(
            [
                rival,
                len(own),
                sum(lower_cap(a, b) for a, b in own),
                sum(lower_cap(b, a) for a, b in own),
                f"{good} of {len(equal)}",
                f"{bounded} of {len(equal)}",
            ]
        )
    head = ["other", "cases", "ilp's cap lower", "higher", "objective as good", "bounded"]
    return (
        "## At equal headroom\n\n"
        "Each pair is held to one cap on GPU loads, the looser of its two: whoever had the tighter "
        "one, ilp or rival, is solved again under it, and keeps its first plan if that is better "
        "(`compare --equal-headroom` does the same for all methods at once). So objectives, and "
        "the server efficiency they stand for, compare like with like. *Objective as good*: ilp's "
        f"own objective is no lower than the other's (to {NOISE:g}, the gap at which solves stop). "
        "*Bounded*: the other's objective is under the bound that ilp proved.\n\n"
        + table(head, lines)
        + "\n\nThe runs, as above:\n\n"
        + _contests(results, rivals, equal_pairs)
    )


def _ablation(runs: Runs, methods: list[str]) -> str:
    def cells(value: Callable[[Row, dict[tuple[str, str], Row]], float], form: str) -> str:
        lines = []
        for method in methods:
            line: list[object] = [method]
            for router in ROUTERS:
                found = [
                    value(run[method, router], run)
                    for run in runs.values()
                    if (method, router) in run
                ]
                line.append(format(median(found), form) if found else "")
            lines.append(line)
        return table(["placement", *ROUTERS], lines)

    def tail(row: Row, run: dict[tuple[str, str], Row]) -> float:
        return float(row["p99"]) / min(float(r["p99"]) for (_, router), r in run.items() if router)

    return (
        "## Placement and router, each for itself\n\n"
        "Median server efficiency in %:\n\n"
        + cells(lambda row, _: float(row["server_efficiency"]), ".1f")
        + "\n\nMedian P99 latency over the least of any placement and router in the case:\n\n"
        + cells(tail, ".2f")
        + "\n\nThe network of the suite costs nothing, except on the heterogeneous cluster, so "
        "crossing is free and a router that may use every replica waits least: what `earliest` "
        "gains in P99 is the price of staying on one server. Where crossing costs time, that "
        "price falls."
    )


def _switching(runs: Runs) -> str:
    lines = []
    for name in ("baseline", "offline"):
        found = [(run[name, ""], run) for run in runs.values() if (name, "") in run]
        if not found:
            continue
        pairs = [(row, run["ilp", "plan"]) for row, run in found if ("ilp", "plan") in run]
        lines.append(
            [
                name,
                len(found),
                f"{median(row['switches'] for row, _ in found):.0f}",
                f"{median(row['switch_overhead'] for row, _ in found):.1f} %",
                f"{median(row['server_efficiency'] for row, _ in found):.1f}",
                f"{median(ratio(row['p99'], plan['p99']) for row, plan in pairs):.2f}",
                f"{median(ratio(row['makespan'], plan['makespan']) for row, plan in pairs):.2f}",
                sum(row["p99"] < plan["p99"] for row, plan in pairs),
            ]
        )
    if not lines:
        return ""
    return (
        "## Schedulers that switch models\n\n"
        "Medians; P99 and makespan as ratios to ilp under `plan`. Static plans switch nothing. "
        "Last column: cases in which switching has the shorter tail, mostly where load times are "
        "short against the queues that a fixed placement leaves.\n\n"
        + table(
            ["scheduler", "cases", "switches", "overhead", "SE %", "P99", "makespan", "P99 wins"],
            lines,
        )
    )


def _infeasible(rows: list[Row]) -> str:
    missing: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if "infeasible" in row:
            missing[row["method"]].append(row["case"])
    if not missing:
        return ""
    lines = [f"- {method}: {', '.join(cases)}" for method, cases in missing.items()]
    return "## No plan found\n\n" + "\n".join(lines)
