"""`explain` prints what was asked for, or every workflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.inputs import HOSTILE_MODEL, gswarm, solve_plan, write_inputs


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A greedy plan of three models."""
    folder = tmp_path_factory.mktemp("explain")
    return solve_plan(folder, *write_inputs(folder))


def test_subjects_are_those_asked_for(plan: Path) -> None:
    """Models, servers and workflows in turn; every workflow where nothing is said."""
    line = ("explain", plan, "--model", HOSTILE_MODEL, "--server", 1, "--workflow", "chat")
    found = json.loads(gswarm(*line, "--json").stdout)["explained"]
    assert list(found) == [f"model {HOSTILE_MODEL}", "server 1", "workflow chat"]
    assert all(remark["text"] for remarks in found.values() for remark in remarks)
    every = json.loads(gswarm("explain", plan, "--json").stdout)["explained"]
    assert list(every) == ["workflow chat", "workflow search"]
    words = gswarm(*line).stdout
    assert "from end to end" in words
    assert "without it" in words


def test_a_wrong_name_is_a_sentence(plan: Path) -> None:
    """Exit code 2, the nearest name."""
    done = gswarm("explain", plan, "--workflow", "chatt")
    assert done.exit_code == 2
    assert "did you mean 'chat'?" in done.stderr
