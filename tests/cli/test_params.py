"""`solve --params FILE`: an experiment changes what it says, and the plan says that it is one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from placement.files.plan_file import read_plan

CONFIGS = Path(__file__).parents[2] / "configs"


def solve(folder: Path, params: str, *more: str) -> Result:
    """Run `solve` with a file of parameters."""
    (folder / "search.yaml").write_text(params)
    arguments = ["solve", "--gpus", "8", "--json", "--no-simulate-headroom", *more]
    arguments += ["--config", str(CONFIGS / "small.yaml")]
    arguments += ["--requests", str(CONFIGS / "small_requests.yaml")]
    arguments += ["--params", str(folder / "search.yaml"), "-o", str(folder / "plan.yaml")]
    return CliRunner().invoke(main, arguments)


def test_a_file_changes_what_it_says_and_the_plan_says_so(tmp_path: Path) -> None:
    """Without a server for the compact form, the program is one over patterns; and back."""
    forms = {}
    for servers in (2, 0):
        text = (
            f"portfolio: {{compact_servers: {servers}}}\nlocal_search: {{moves: 10}}\n"
            "compact: {first_rates: 0}\n"
        )
        done = solve(tmp_path, text, "--gap", "0.1")
        assert done.exit_code == 0, done.output
        forms[servers] = json.loads(done.stdout)["form"]
        stated = json.loads(done.stdout)["search_params"]
        plan = read_plan(tmp_path / "plan.yaml")
        assert plan.search_params == stated
        # What is as it always is goes without saying, also where a file states it.
        assert stated.pop("local_search") == {"moves": 10}
        assert stated.pop("compact") == {"first_rates": 0}
        assert stated == ({} if servers == 2 else {"portfolio": {"compact_servers": 0}})
        assert ("portfolio.compact_servers 0" in plan.summary()) == (servers == 0)
    assert forms == {2: "compact", 0: "patterns"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("local_serch: {}\n", "local_serch (line 1): is no section; did you mean 'local_search'?"),
        ("cuts: {loops: 0}\n", "cuts.loops (line 1): is 0; give it a whole number of at least 1"),
    ],
)
def test_a_fault_of_the_file_is_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    """Exit code 2, and nothing is written."""
    done = solve(tmp_path, text)
    assert done.exit_code == 2
    assert said in done.output
    assert not (tmp_path / "plan.yaml").exists()
