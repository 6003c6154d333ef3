"""What other commands answered is shown as they wrote it, or refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.views.findings import read_finding
from placement.support.faults import InputError
from tests.cli.inputs import gswarm, solve_plan, write_inputs
from tests.cli.views.pages import Page


def test_answers_of_both_commands_are_sections_of_the_report(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("text", ["[]", "{}", '{"sizes": [{}], "servers": 1}', '{"outcomes": 3}'])
def test_what_is_no_answer_is_named(text: str, tmp_path: Path) -> None:
    """With what would be one."""
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match="size --json or whatif --json"):
        read_finding(path)
