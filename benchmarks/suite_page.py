"""The results page of the suite: medians, win rates, and where the program does not win."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from statistics import median

from cli.comparison import Row

ROUTERS = ("plan", "locality", "earliest", "least-loaded")
NOISE = 1e-4
"""Relative difference of objectives that counts as none: the gap at which solves stop."""
POINTS = 0.05
"""Percentage points of server efficiency that count as none."""
SLOWER = 1.05
"""Ratio of P99 latencies from which a case counts as lost."""

Runs = dict[str, dict[tuple[str, str], Row]]
"""Case -> (method or scheduler, router) -> row."""


def page(rows: list[Row]) -> str:
    """Write the page."""
    runs: Runs = defaultdict(dict)
    for row in rows:
        if "infeasible" not in row:
            who = row["method"] or row["scheduler"]
            runs[row["case"]][who, row["routing"] or ""] = row
    methods = list(dict.fromkeys(r["method"] for r in rows if r["method"]))
    sections = [
        _head(runs, methods),
        _against(runs, methods),
        _ablation(runs, methods),
        _proof(runs, methods),
        _losses(runs, methods),
        _switching(runs),
        _infeasible(rows),
    ]
    return "\n\n".join(s for s in sections if s) + "\n"


def _table(head: Iterable[str], lines: Iterable[Iterable[object]]) -> str:
    head = list(head)
    body = [head, ["---"] * len(head), *(list(line) for line in lines)]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in body)


def _head(runs: Runs, methods: list[str]) -> str:
    table = _table(
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
        "benchmarks.suite` from `suite.json`. Every placement runs under every router, on the "
        "same trace, in the same engine.\n\n"
        "## Medians under the router `plan`\n\n" + table
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
    return float(row["cross_server_communications"]) / max(1, row["completed_requests"])


def _pairs(runs: Runs, other: str, router: str) -> list[tuple[Row, Row]]:
    return [
        (run["ilp", router], run[other, router])
        for run in runs.values()
        if ("ilp", router) in run and (other, router) in run
    ]


def _against(runs: Runs, methods: list[str]) -> str:
    lines = []
    for router in ROUTERS:
        for other in methods:
            pairs = [] if other == "ilp" else _pairs(runs, other, router)
            if pairs:
                lines.append([router, other, *_contest(pairs)])
    head = ["router", "against", "SE as good", "CSC", "variance", "P99", "P99 as good", "makespan"]
    return (
        "## The integer program against each method, under the same router\n\n"
        "CSC, variance, P99 and makespan are medians of the ratio ilp : other (below 1 is better "
        "for ilp; a case without crossings on either side counts as 1). *As good*: share of cases "
        f"in which ilp is no worse (SE within {POINTS:g} points, P99 within 0.1 %).\n\n"
        + _table(head, lines)
    )


def _contest(pairs: list[tuple[Row, Row]]) -> list[str]:
    def ratio(metric: str) -> str:
        return f"{median(_ratio(a[metric], b[metric]) for a, b in pairs):.2f}"

    def share(holds: Callable[[Row, Row], bool]) -> str:
        return f"{100 * sum(holds(a, b) for a, b in pairs) / len(pairs):.0f} %"

    return [
        share(lambda a, b: a["server_efficiency"] >= b["server_efficiency"] - POINTS),
        ratio("cross_server_communications"),
        ratio("utilization_variance"),
        ratio("p99"),
        share(lambda a, b: a["p99"] <= 1.001 * b["p99"]),
        ratio("makespan"),
    ]


def _ratio(a: float, b: float) -> float:
    if b > 0:
        return a / b
    return 1.0 if a == 0 else float("inf")


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
        return _table(["placement", *ROUTERS], lines)

    def tail(row: Row, run: dict[tuple[str, str], Row]) -> float:
        return float(row["p99"]) / min(r["p99"] for (_, router), r in run.items() if router)

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


def _proof(runs: Runs, methods: list[str]) -> str:
    lines = []
    for other in methods:
        if other == "ilp":
            continue
        pairs = _pairs(runs, other, "plan")
        same = [p for p in pairs if abs(p[0]["load_cap"] - p[1]["load_cap"]) <= 1e-6]
        good = sum(a["objective"] >= b["objective"] * (1 - NOISE) for a, b in same)
        bounded = sum(b["objective"] <= a["best_bound"] * (1 + NOISE) for a, b in same)
        lower = sum(a["load_cap"] < b["load_cap"] - 1e-6 for a, b in pairs)
        higher = len(pairs) - len(same) - lower
        lines.append([other, f"{good} of {len(same)}", f"{bounded} of {len(same)}", lower, higher])
    return (
        "## Its own objective\n\n"
        "Headroom comes before locality, so objectives compare where both methods found the same "
        f"cap on GPU loads. *As good*: ilp's objective is no lower than the other's (to {NOISE:g}, "
        "the gap at which solves stop). *Bounded*: the other's objective is under the bound that "
        "ilp proved.\n\n"
        + _table(["other", "as good", "bounded", "cases where ilp's cap is lower", "higher"], lines)
    )


def _losses(runs: Runs, methods: list[str]) -> str:
    grouped: dict[tuple[str, str], list[str]] = defaultdict(list)
    slow: Counter[tuple[str, str]] = Counter()
    for other in methods:
        if other == "ilp":
            continue
        for a, b in _pairs(runs, other, "plan"):
            if a["server_efficiency"] < b["server_efficiency"] - POINTS:
                text = f"{a['case']}: SE {a['server_efficiency']:.1f} against "
                text += f"{b['server_efficiency']:.1f}"
                grouped[other, _why(a, b)].append(text)
            if a["p99"] > SLOWER * b["p99"]:
                slow[other, a["case"].split()[-1]] += 1
    lines = ["## Where the integer program does not win", "", "Server efficiency, router `plan`:"]
    for (other, reason), cases in sorted(grouped.items()):
        lines += ["", f"**{other}**, {len(cases)} cases: {reason}."]
        lines += [f"- {case}" for case in cases]
    if not grouped:
        lines.append("in no case.")
    lines += [
        "",
        f"P99 latency more than {100 * (SLOWER - 1):.0f} % above the other's, router `plan`, by "
        "load. A plan keeps a request on one server although another may be free; a placement "
        "whose workflows have no home draws on all of them, which shortens queues and crosses. "
        "Under `earliest` both may use every replica, and the table above shows what is left.",
        "",
    ]
    loads = list(dict.fromkeys(case.split()[-1] for case in runs))
    others = [m for m in methods if m != "ilp"]
    lines.append(_table(["other", *loads], ([m, *(slow[m, x] for x in loads)] for m in others)))
    return "\n".join(lines)


def _why(a: Row, b: Row) -> str:
    if a["load_cap"] < b["load_cap"] - 1e-6:
        return (
            "ilp found a lower bottleneck load, which counts before locality, and so has a "
            "tighter cap to keep"
        )
    if a["objective"] >= b["objective"] * (1 - NOISE):
        if a["objective"] > b["objective"] * (1 + NOISE):
            return (
                "ilp's objective is the higher one: it weighs edges kept as much as whole "
                "workflows (`--objective workflow` asks for these alone)"
            )
        return "objectives are equal; the shares fall on requests of other lengths"
    if a["gap"] is not None and a["gap"] > NOISE:
        return "the time limit ended the solve with its gap still open"
    return "the other's cap on GPU loads is looser"


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
                f"{median(_ratio(row['p99'], plan['p99']) for row, plan in pairs):.2f}",
                f"{median(_ratio(row['makespan'], plan['makespan']) for row, plan in pairs):.2f}",
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
        + _table(
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
