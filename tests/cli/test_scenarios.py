"""`solve --scenarios` and `--windows` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.inputs import gswarm, write_inputs


def test_scenarios_and_windows_give_a_plan_that_holds(tmp_path: Path) -> None:
    """The report covers every demand, its bound holds, and the plan is one like any other."""
    config, requests = write_inputs(tmp_path)
    (tmp_path / "other").mkdir()
    _, other = write_inputs(tmp_path / "other", requests=40, seed=3)
    plan = tmp_path / "plan.yaml"
    base = ["solve", "--config", config, "--requests", requests, "--gpus", 8, "-o", plan]
    base += ["--gpus-per-server", 2, "--exclusive", "--gap", 0.01]
    for more, count in ((["--scenarios", other], 2), (["--windows", 3], 3)):
        result = gswarm(*base, *more, "--json")
        assert result.exit_code == 0, result.output
        solved = json.loads(result.output)
        found = solved["scenarios"]
        assert len(found["each"]) == count
        worst = min(row["objective"] for row in found["each"])
        assert found["objective"] == pytest.approx(worst)
        assert found["objective"] <= found["best_bound"] + 1e-9
        for row in found["each"]:
            assert row["max_utilization"] <= found["load_cap"] + 1e-6
        assert json.loads(gswarm("check", plan, "--bound", "--json").output)["holds"]
        against = ["check", plan, "--config", config, "--requests", requests]
        if "--scenarios" in more:
            assert "give each with --scenarios" in gswarm(*against).output
            swapped = gswarm("check", plan, "--config", config, "--requests", other, *more)
            assert "SHA-256 differs" in swapped.output
            against += more
        assert gswarm(*against).exit_code == 0, gswarm(*against).output
    shown = gswarm(*base, "--windows", 3, "--scenario-criterion", "average")
    assert "average locality" in shown.output


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--windows", "2", "--scenarios", "x.jsonl"], "either"),
        (["--windows", "2", "--refine", "p99"], "--refine"),
        (["--windows", "2", "--method", "greedy"], "--method greedy"),
        (["--scenarios", "none.jsonl"], "none.jsonl"),
    ],
)
def test_what_does_not_go_together_is_refused(more: list[str], words: str, tmp_path: Path) -> None:
    """Exit code 2, a sentence, and no plan."""
    config, requests = write_inputs(tmp_path)
    plan = tmp_path / "plan.yaml"
    result = gswarm(
        "solve", "--config", config, "--requests", requests, "--gpus", 8, "-o", plan, *more
    )
    assert result.exit_code == 2
    assert words in result.output
    assert not plan.exists()
