"""`simulate --fail` says what was lost and what became of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.inputs import gswarm, solve_plan, write_inputs


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command up to what is lost."""
    folder = tmp_path_factory.mktemp("fail")
    config, requests = write_inputs(folder)
    plan = solve_plan(folder, config, requests)
    files = ["--config", str(config), "--requests", str(requests)]
    return ["simulate", "--plan", str(plan), *files]


def test_completed_and_failed_add_up(line: list[str], tmp_path: Path) -> None:
    """With all servers lost for good, what comes later fails; the log says the same."""
    log = tmp_path / "log.json"
    done = gswarm(
        *line, "--fail", "server:0@1", "--fail", "server:1@1", "--json", "--log", str(log)
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    summary, failures = found["summary"], found["failures"]
    assert summary["failed_requests"] > 0
    assert summary["completed_requests"] + summary["failed_requests"] == summary["total_requests"]
    assert failures["failed_requests"] == summary["failed_requests"]
    assert [o["server"] for o in failures["outages"]] == [0, 1]
    assert json.loads(log.read_text())["summary"] == summary
    assert found["verdict"]["level"] == "poor"


def test_the_table_says_what_was_interrupted(line: list[str]) -> None:
    """In words, with when it is up again."""
    done = gswarm(*line, "--fail", "gpu:0/0@0.5-2")
    assert done.exit_code == 0, done.output
    assert "GPU 0 of server 0 lost at 0.5 s and up again at 2 s" in " ".join(done.stdout.split())
    assert "interrupted calls" in done.stdout


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--fail", "server:77@1"], "there is no server 77"),
        (["--fail", "server:0"], "is no outage"),
    ],
)
def test_faults_are_sentences(line: list[str], more: list[str], words: str) -> None:
    """Exit code 2, and how it is written."""
    done = gswarm(*line, *more)
    assert done.exit_code == 2
    assert words in done.stderr
