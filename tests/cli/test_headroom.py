"""The trade of headroom against locality, on the command line and in the plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.inputs import gswarm, write_inputs

CLUSTER = ("--gpus", "8", "--mode", "offline", "--time-limit", "10")


@pytest.mark.parametrize("slack", [0.0, 0.05, 0.5])
def test_the_plan_keeps_and_states_the_slack_asked_for(slack: float, tmp_path: Path) -> None:
    """Offline the cap is (1 + slack) times the least load attained; `check` holds the plan to it.

    Both come from other places: the cap from the rules, the least load from the certificate.
    """
    config, requests = write_inputs(tmp_path)
    plan = tmp_path / "plan.json"
    done = gswarm(
        "solve", "--config", config, "--requests", requests, *CLUSTER, "--exclusive", "-o", plan,
        "--headroom-slack", str(slack), "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    said, written = json.loads(done.stdout), json.loads(plan.read_text())
    assert said["headroom_slack"] == written["certificate"]["headroom_slack"] == slack
    cap = written["rules"]["load_cap"]
    assert cap == pytest.approx((1 + slack) * written["certificate"]["bottleneck_upper"])
    assert max(r["load"] for r in written["replicas"]) <= cap * (1 + 1e-6)
    assert gswarm("check", plan, "--bound").exit_code == 0


def test_below_the_target_the_slack_changes_nothing(tmp_path: Path) -> None:
    """Online, a load that fits under the target leaves the target as the cap."""
    config, requests = write_inputs(tmp_path)
    done = gswarm(
        "solve", "--config", config, "--requests", requests, "--gpus", "32", "--max-utilization",
        "0.9", "--headroom-slack", "0.5", "-o", tmp_path / "plan.json", "--json",
    )  # fmt: skip
    assert json.loads(done.stdout)["load_cap"] == 0.9


def test_at_equal_headroom_no_method_has_more_room_and_none_loses(tmp_path: Path) -> None:
    """One cap for all, the loosest of their own; more room makes no plan worse, and the integer
    program, with a proof, is best."""
    config, requests = write_inputs(tmp_path)
    arguments = (
        "compare", "--config", config, "--requests", requests, *CLUSTER, "--methods",
        "ilp,greedy,random", "--routings", "plan", "--schedulers", "none", "--json",
    )  # fmt: skip
    own, equal = (
        {row["method"]: row for row in json.loads(gswarm(*arguments, *more).stdout)["rows"]}
        for more in ((), ("--equal-headroom",))
    )
    caps = [row["load_cap"] for row in own.values()]
    assert min(caps) < max(caps), "the case is one in which the methods find different bottlenecks"
    best = equal["ilp"]
    for method, row in equal.items():
        assert row["load_cap"] == pytest.approx(max(caps))
        assert row["max_utilization"] <= max(caps) * (1 + 1e-6)
        assert row["objective"] >= own[method]["objective"] - 1e-9
        assert row["objective"] <= best["objective"] + 1e-6 <= best["best_bound"] + 2e-6
