"""Rows of the suite in pairs: the integer program and a rival, each at its own cap or at one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

from placement.contest import SAME_CAP
from runtime.compare import Row

ROUTERS = ("plan", "locality", "earliest", "least-loaded")
NOISE = 1e-4
"""Relative difference of objectives that counts as none: the gap at which solves stop."""
POINTS = 0.05
"""Percentage points of server efficiency that count as none."""
CLEAR = 1.0
"""Percentage points of server efficiency that are more than a few requests of a trace."""

Runs = dict[str, dict[tuple[str, str], Row]]
"""Case -> (method or scheduler, router) -> row."""
Pair = tuple[Row, Row]
"""The row of the integer program, and the rival's."""


@dataclass(frozen=True)
class Results:
    """The rows of the suite by what they are for.

    Parameters
    ----------
    own : Runs
        Every method under the cap on GPU loads that its own least bottleneck gives.
    equal : dict
        Case -> (method, the method whose cap it was held to, router) -> row: only of whoever had
        the tighter cap of the two.
    whole : dict
        Case -> (rival, router) -> row of the integer program asked for whole workflows alone, at
        the cap of that pair.
    """

    own: Runs
    equal: dict[str, dict[tuple[str, str, str], Row]]
    whole: Runs


def collect(rows: Iterable[Row]) -> Results:
    """Sort the rows out; those without a plan are left out."""
    found = Results(defaultdict(dict), defaultdict(dict), defaultdict(dict))
    for row in rows:
        if "infeasible" in row:
            continue
        case, router, cap_of = row["case"], row["routing"] or "", row.get("at_cap_of")
        if cap_of is None:
            found.own[case][row["method"] or row["scheduler"], router] = row
        elif row.get("whole_workflows"):
            found.whole[case][cap_of, router] = row
        else:
            found.equal[case][row["method"], cap_of, router] = row
    return found


def own_pairs(results: Results, rival: str, router: str) -> list[Pair]:
    """Pair the runs of every case, each method at its own cap."""
    return [
        (run["ilp", router], run[rival, router])
        for run in results.own.values()
        if ("ilp", router) in run and (rival, router) in run
    ]


def equal_pairs(results: Results, rival: str, router: str) -> list[Pair]:
    """Pair the runs of every case, both at the looser cap of the two."""
    return [
        (
            results.equal[a["case"]].get(("ilp", rival, router), a),
            results.equal[a["case"]].get((rival, "ilp", router), b),
        )
        for a, b in own_pairs(results, rival, router)
    ]


def lower_cap(a: Row, b: Row) -> bool:
    """Whether the first row was held to the tighter cap."""
    return bool(a["load_cap"] < b["load_cap"] * (1 - SAME_CAP))


def lost(a: Row, b: Row, points: float = POINTS) -> bool:
    """Whether the first row has less server efficiency."""
    return bool(a["server_efficiency"] < b["server_efficiency"] - points)


def objective_as_good(a: Row, b: Row) -> bool:
    """Whether the first row's objective is no lower."""
    return bool(a["objective"] >= b["objective"] * (1 - NOISE))


CONTEST = (
    "SE as good", f"within {CLEAR:g} point", "CSC", "variance", "P99", "P99 as good", "makespan",
)  # fmt: skip
"""Headings of what `contest` gives."""


def contest(pairs: list[Pair]) -> list[str]:
    """Shares of cases won, and medians of ratios."""

    def ratio_of(metric: str) -> str:
        return f"{median(ratio(a[metric], b[metric]) for a, b in pairs):.2f}"

    def share(holds: Callable[[Row, Row], bool]) -> str:
        return f"{100 * sum(holds(a, b) for a, b in pairs) / len(pairs):.0f} %"

    return [
        share(lambda a, b: not lost(a, b)),
        share(lambda a, b: not lost(a, b, CLEAR)),
        ratio_of("cross_server_communications"),
        ratio_of("utilization_variance"),
        ratio_of("p99"),
        share(lambda a, b: a["p99"] <= 1.001 * b["p99"]),
        ratio_of("makespan"),
    ]


def ratio(a: float, b: float) -> float:
    """Divide; nothing over nothing is 1."""
    if b > 0:
        return a / b
    return 1.0 if a == 0 else float("inf")


def table(head: Iterable[str], lines: Iterable[Iterable[object]]) -> str:
    """Lay out a Markdown table."""
    names = list(head)
    body: list[list[object]] = [[*names], ["---"] * len(names), *(list(line) for line in lines)]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in body)
