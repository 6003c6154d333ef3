"""What other commands answered is shown as they wrote it, or refused in a sentence."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

import pytest

from cli.views.findings import read_finding
from placement.support.faults import InputError
from tests.cli.inputs import gswarm, solve_plan, write_inputs
from tests.cli.views.pages import Page


def test_sizes_and_outcomes_are_sections_of_the_report(tmp_path: Path) -> None:
    """With the sizes that were tried, and the outcomes by their names."""
    config, requests = write_inputs(tmp_path)
    plan = solve_plan(tmp_path, config, requests)
    inputs = ["--config", config, "--requests", requests]
    size, whatif = tmp_path / "size.json", tmp_path / "whatif.json"
    size.write_text(gswarm("size", *inputs, "--curve", 1, "--time-limit", 5, "--json").stdout)
    asked = [plan, *inputs, "--traffic", 1.5, "--no-solve", "--json"]
    whatif.write_text(gswarm("whatif", *asked).stdout)
    page = tmp_path / "page.html"
    more = ["--plan", plan, "--answer", size, "--answer", whatif, "--against", "none"]
    done = gswarm("report", *inputs, *more, "-o", page, "-q")
    assert done.exit_code == 0, done.output
    shown = Page(page.read_text())
    assert len(shown.rows("Sizes that were tried")) >= 2
    assert shown.rows("The plan with 1.5 times the traffic")


def test_what_was_asked_of_a_plan_is_shown_as_it_was_answered(tmp_path: Path) -> None:
    """Moves, reasons, losses and outages: the figures on the page are those in the files."""
    config, requests = write_inputs(tmp_path)
    inputs = ["--config", config, "--requests", requests]
    wide, plan = [*inputs, "--gpus", 16, "--gpus-per-server", 8], tmp_path / "plan.yaml"
    assert gswarm("solve", *wide, "--method", "greedy", "-o", plan, "-q").exit_code == 0
    asked: dict[str, list[object]] = {
        "survive": [
            "solve", *wide, "--survive", 1, "--time-limit", 10, "-o", tmp_path / "bears.yaml",
        ],
        "rebalance": ["rebalance", "--from", plan, *inputs, "--time-limit", 5],
        "diff": ["diff", plan, tmp_path / "bears.yaml", "--no-renumber"],
        "explain": ["explain", plan],
        "fail": ["simulate", "--plan", plan, *inputs, "--fail", "gpu:0/0@1-2"],
    }  # fmt: skip
    found: dict[str, dict[str, Any]] = {}
    options: list[object] = []
    for name, words in asked.items():
        done = gswarm(*words, "--json")
        assert done.exit_code == 0, done.output
        found[name] = json.loads(done.stdout)
        (tmp_path / f"{name}.json").write_text(done.stdout)
        options += ["--answer", tmp_path / f"{name}.json"]
    page = tmp_path / "page.html"
    done = gswarm(
        "report", "--plan", plan, *inputs, *options, "--against", "none", "-o", page, "-q"
    )
    assert done.exit_code == 0, done.output
    text = page.read_text()
    shown = Page(text)

    price = {row[0]: row[1:] for row in shown.rows("What surviving costs")}
    kept = found["survive"]["survive"]["with"]
    assert price["Headroom by mean rates"][1] == f"{kept['headroom']:.2f}×"
    moves = shown.rows("Moves against gain")
    assert len(moves) == len(found["rebalance"]["table"])
    assert moves[-1][0] == "any"
    steps = shown.rows("Steps, in order")
    assert [row[2] for row in steps] == [step["model"] for step in found["diff"]["steps"]]
    for remarks in found["explain"]["explained"].values():
        assert all(escape(remark["text"]) in text for remark in remarks)
    lost = dict(shown.rows("What was interrupted"))
    assert lost["Calls interrupted"] == f"{found['fail']['failures']['interrupted_calls']:,}"
    assert "GPU 0 of server 0 away from 1" in text


@pytest.mark.parametrize("text", ["[]", "{}", '{"sizes": [{}], "servers": 1}', '{"outcomes": 3}'])
def test_what_is_no_answer_is_named(text: str, tmp_path: Path) -> None:
    """With what would be one."""
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match="with --json of size, whatif"):
        read_finding(path)
