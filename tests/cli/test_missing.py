"""Whoever leaves something out is told all of it, and shown commands that work as they stand."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.cli.inputs import gswarm, solve_plan, write_inputs

ROOT = Path(__file__).parents[2]

CASES: list[tuple[str, tuple[str, ...]]] = [
    ("solve --method greedy", ("--config FILE", "--requests FILE", "--gpus N or --cluster FILE")),
    ("solve --method greedy --config config.json", ("--requests FILE", "--gpus N or --cluster")),
    ("solve --method greedy --requests=requests.jsonl --gpus 16", ("--config FILE",)),
    ("compare --methods greedy", ("--config FILE", "--requests FILE", "--gpus N or")),
    ("simulate", ("--config FILE", "--requests FILE", "--plan FILE")),
    ("simulate --config config.json --requests requests.jsonl", ("--plan FILE",)),
    ("simulate --scheduler baseline", ("--config FILE", "--requests FILE", "--gpus N or")),
    ("analyze", ("--config FILE", "--requests FILE")),
    ("report --plan greedy.json", ("--config FILE", "--requests FILE")),
    ("export", ("--plan FILE", "--format")),
    ("check", ("PLAN",)),
    ("rebalance --time-limit 4", ("--from", "--config FILE", "--requests FILE")),
    ("generate --requests 5", ("--requests-out FILE", "--config FILE or --config-out FILE")),
]


def shown(text: str) -> list[list[str]]:
    """The commands that an error shows."""
    return [
        shlex.split(line)[1:] for line in text.splitlines() if line.startswith("  gswarm-place")
    ]


@pytest.mark.parametrize(("command", "missing"), CASES)
@pytest.mark.parametrize("beside", ["nothing", "configs"])
def test_all_that_is_missing_is_named_and_the_commands_work(
    command: str,
    missing: tuple[str, ...],
    beside: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a folder with the project's examples and in one without, one command after the other."""
    monkeypatch.chdir(tmp_path)
    solve_plan(tmp_path, *write_inputs(tmp_path))
    if beside == "configs":
        Path("configs").symlink_to(ROOT / "configs")
    first = gswarm(*shlex.split(command))
    assert first.exit_code == 2
    (sentence,) = [line for line in first.stderr.splitlines() if "missing: " in line]
    assert len(sentence.split("; ")) == len(missing)
    for name in missing:
        assert name in sentence
    steps = shown(first.stderr)
    for step in steps:
        more = ["--time-limit", "1"] if step[0] == "solve" else []
        done = gswarm(*step, *more)
        assert done.exit_code == 0, (step, done.output)
    assert steps[-1][0] == command.split()[0]
    assert len(steps) == 1 or (beside == "nothing" or "solve" in (s[0] for s in steps))


def test_an_earlier_plan_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where plan.yaml is there, it is not made again."""
    monkeypatch.chdir(tmp_path)
    Path("plan.yaml").touch()
    assert shown(gswarm("check").stderr) == [["check", "plan.yaml"]]


@pytest.mark.parametrize("command", ["solve", "simulate", "check", "report"])
def test_help_and_other_mistakes_come_first(command: str) -> None:
    """Nothing is said to be missing of a command that was asked for help, or is misspelt."""
    assert gswarm(command, "--help").exit_code == 0
    wrong = gswarm(command, "--confg", "x")
    assert wrong.exit_code == 2
    assert "missing" not in wrong.stderr
