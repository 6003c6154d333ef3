"""`simulate --rebalance-every` runs a trace over plans that follow it."""

from __future__ import annotations

import json

import pytest

from tests.cli.inputs import gswarm, solve_plan, write_inputs


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command up to its options."""
    folder = tmp_path_factory.mktemp("adaptive")
    config, requests = write_inputs(folder)
    plan = solve_plan(folder, config, requests)
    files = ["--config", str(config), "--requests", str(requests)]
    return ["simulate", "--plan", str(plan), *files]


def test_every_request_is_served_and_every_plan_is_listed(line: list[str]) -> None:
    """The summary adds up; each plan is in force after it was decided, within the limit."""
    more = ["--rebalance-every", "20", "--max-moves", "1", "--time-limit", "1", "--drain", "5"]
    done = gswarm(*line, *more, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    summary = found["summary"]
    assert summary["completed_requests"] + summary["failed_requests"] == summary["total_requests"]
    assert summary["failed_requests"] == 0
    for epoch in found["epochs"]:
        assert epoch["decided"] % 20 == 0
        assert epoch["in_force"] >= epoch["decided"]
        assert epoch["loaded"] <= 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--max-moves", "1"], "--max-moves is for --rebalance-every"),
        (["--rebalance-every", "9", "--mode", "offline"], "--mode does not go with"),
        (["--rebalance-every", "9", "--fail", "server:0@1"], "--fail does not go with"),
    ],
)
def test_faults_are_sentences(line: list[str], more: list[str], words: str) -> None:
    """Exit code 2, and what to add or leave out."""
    done = gswarm(*line, *more)
    assert done.exit_code == 2
    assert words in done.stderr


def test_schedulers_without_a_plan_follow_no_demand(line: list[str]) -> None:
    """What only a plan can do is refused there, not passed over."""
    inputs = line[: line.index("--plan")] + line[line.index("--plan") + 2 :]
    for option in ("--max-moves", "--window", "--drain", "--time-limit"):
        done = gswarm(*inputs, "--scheduler", "baseline", "--gpus", "4", option, "1")
        assert done.exit_code == 2
        assert f"{option}: the baseline scheduler has no plan" in done.stderr
