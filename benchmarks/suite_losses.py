"""Where the integer program does not win: the cases by rival and reason."""

from __future__ import annotations

from collections import Counter, defaultdict

from benchmarks.suite_contest import (
    NOISE,
    Pair,
    Results,
    equal_pairs,
    lost,
    lower_cap,
    objective_as_good,
    own_pairs,
    table,
)
from runtime.compare import Row

SLOWER = 1.05
"""Ratio of P99 latencies from which a case counts as lost."""
LISTED = "plan"
"""Router under which cases are listed: it adds nothing of its own to the plans."""


def losses(results: Results, rivals: list[str]) -> str:
    """Write the section."""
    lines = ["## Where the integer program does not win", ""]
    lines += _lower_caps(results, rivals)
    lines += [f"Server efficiency at equal headroom, router `{LISTED}`:"]
    found = 0
    for rival in rivals:
        grouped: dict[str, list[Pair]] = defaultdict(list)
        for a, b in equal_pairs(results, rival, LISTED):
            if lost(a, b):
                grouped[_why(a, b)].append((a, b))
        for reason, pairs in sorted(grouped.items()):
            lines += ["", f"**{rival}**, {len(pairs)} cases: {reason}.", ""]
            lines += [f"- {_line(results, rival, a, b)}" for a, b in pairs]
            found += len(pairs)
    if not found:
        lines.append("in no case.")
    return "\n".join([*lines, "", *_slower(results, rivals)])


def _lower_caps(results: Results, rivals: list[str]) -> list[str]:
    """Losses that only the order of the objectives makes: how many, and what is left of them."""
    lines = []
    for rival in rivals:
        own = [(a, b) for a, b in own_pairs(results, rival, LISTED) if lost(a, b)]
        tighter = {a["case"] for a, b in own if lower_cap(a, b)}
        still = sum(lost(a, b) for a, b in equal_pairs(results, rival, LISTED)
                    if a["case"] in tighter)  # fmt: skip
        if tighter:
            lines.append([rival, len(own), len(tighter), still])
    if not lines:
        return []
    return [
        "Each at its own headroom, ilp has less server efficiency in these cases. In those of the "
        "third column it had found a lower bottleneck load, and so had the tighter cap to keep; "
        "the fourth says in how many of them it has less at the rival's cap too. Whoever wants the "
        "locality rather than the headroom asks for it by `--headroom-slack`.",
        "",
        table(["rival", "lost", "with the tighter cap", "of these lost at equal headroom"], lines),
        "",
    ]


def _why(a: Row, b: Row) -> str:
    if a["objective"] > b["objective"] * (1 + NOISE):
        return (
            "ilp's objective is the higher one: it weighs edges kept as much as whole workflows; "
            "in brackets what ilp has when asked for whole workflows alone (`--objective workflow`)"
        )
    if objective_as_good(a, b):
        return "objectives are equal; the shares fall on requests of other lengths"
    return "the time limit ended the solve with its gap still open"


def _line(results: Results, rival: str, a: Row, b: Row) -> str:
    text = f"{a['case']}: SE {a['server_efficiency']:.1f} against {b['server_efficiency']:.1f}"
    whole = results.whole[a["case"]].get((rival, LISTED))
    if whole is not None and a["objective"] > b["objective"] * (1 + NOISE):
        return f"{text} ({whole['server_efficiency']:.1f})"
    if not objective_as_good(a, b):
        return f"{text}, gap {100 * a['gap']:.1f} %"
    return text


def _slower(results: Results, rivals: list[str]) -> list[str]:
    slow: Counter[tuple[str, str]] = Counter()
    for rival in rivals:
        for a, b in own_pairs(results, rival, LISTED):
            if a["p99"] > SLOWER * b["p99"]:
                slow[rival, _load(a["case"])] += 1
    loads = list(dict.fromkeys(map(_load, results.own)))
    return [
        f"P99 latency more than {100 * (SLOWER - 1):.0f} % above the rival's, router `{LISTED}`, "
        "each at its own headroom, by load. A plan keeps a request on one server although another "
        "may be free; a placement whose workflows have no home draws on all of them, which "
        "shortens queues and crosses. Under `earliest` both may use every replica, and the table "
        "above shows what is left.",
        "",
        table(["rival", *loads], ([r, *(slow[r, x] for x in loads)] for r in rivals)),
    ]


def _load(case: str) -> str:
    return case.split()[-1]
