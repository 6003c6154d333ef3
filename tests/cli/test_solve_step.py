"""The command to paste after a solve answers the gravest doubt, and is one that runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import placement
from cli.main import main
from cli.solve import Asked
from cli.solve import command as solve
from cli.solve_step import next_step
from placement.problem.plan import Plan

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = [
    "--config",
    str(CONFIGS / "small.yaml"),
    "--requests",
    str(CONFIGS / "small_requests.yaml"),
]


@pytest.fixture(scope="module")
def plan() -> Plan:
    workload = placement.read_config(FILES[1])
    trace = placement.read_requests(FILES[3], workload)
    return placement.solve(workload, trace, placement.Cluster.homogeneous(8))


def asked(*cluster: str) -> Asked:
    """What the command line makes of these words."""
    return Asked(**solve.make_context("solve", [*FILES, *cluster]).params)


def changed(plan: Plan, least: float, **expected: float) -> Plan:
    certificate = replace(plan.certificate, bottleneck_upper=least)
    return replace(plan, certificate=certificate, expected=plan.expected | expected)


BY_NUMBER = ("--gpus", "8")
BY_FILE = ("--cluster", str(CONFIGS / "heterogeneous_cluster.yaml"))


@pytest.mark.parametrize(
    ("least", "figures", "cluster", "words"),
    [
        (0.3, {"headroom_simulated": 1.5}, BY_NUMBER, ["simulate", "--plan", "plan.yaml"]),
        # 0.8 x 0.97 / 1.05 leaves room, and can be kept.
        (0.3, {"headroom_simulated": 0.97}, BY_NUMBER, ["--max-utilization", "0.73"]),
        # It cannot: two servers of four at 0.76 bear it on a third.
        (0.76, {"headroom_simulated": 0.97}, BY_NUMBER, ["--gpus", "12"]),
        (0.76, {"headroom_simulated": 0.97}, BY_FILE, ["--add-servers", "1"]),
        (1.5, {"max_utilization": 1.6}, BY_NUMBER, ["--gpus", "16"]),
    ],
)
def test_the_next_step_answers_the_gravest_doubt(
    plan: Plan, least: float, figures: dict[str, Any], cluster: tuple[str, ...], words: list[str]
) -> None:
    """Less load where queues grow, more servers where less load is not to be had."""
    found = changed(plan, least, **({"max_utilization": 0.8} | figures))
    _, command = next_step(found, asked(*cluster))
    assert " ".join(words) in " ".join(command)
    ready = main.get_command(
        main.make_context("gswarm-place", [], resilient_parsing=True), command[0]
    )
    assert ready is not None
    assert ready.make_context(command[0], command[1:]).params


def test_what_was_asked_for_is_asked_for_again(plan: Plan, tmp_path: Path) -> None:
    """Cap, gap, mode, rules and objective are those of the solve; the target alone is lower."""
    said = (
        *("--gpus", "8", "--rules", str(tmp_path / "r.yaml"), "--gap", "0.1"),
        *("--max-utilization", "0.7", "--objective", "workflow", "--alpha", "0.25"),
    )
    greedy = replace(plan, certificate=replace(plan.certificate, status="heuristic"))
    _, again = next_step(greedy, asked(*said))
    assert again[0] == "solve"
    assert asked(*again[5:]) == asked(*said)
    _, roomier = next_step(changed(plan, 0.3, headroom_simulated=0.9), asked(*said))
    lower = asked(*roomier[5:])
    assert lower.max_utilization < 0.7
    assert replace(lower, max_utilization=0.7) == asked(*said)
