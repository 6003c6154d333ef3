"""`whatif` shows a plan as it is, as it runs after a change, and solved anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.inputs import gswarm, solve_plan, write_inputs


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command up to what changes."""
    folder = tmp_path_factory.mktemp("whatif")
    config, requests = write_inputs(folder)
    plan = solve_plan(folder, config, requests)
    return ["whatif", str(plan), "--config", str(config), "--requests", str(requests)]


def test_twice_the_traffic(line: list[str]) -> None:
    """Loads double where nothing is solved; the run takes longer; one object on stdout."""
    done = gswarm(*line, "--traffic", "2", "--no-solve", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["change"] == "2 times the traffic"
    before, after = found["outcomes"]["as planned"], found["outcomes"]["as it runs"]
    assert after["headroom"] < before["headroom"]
    assert after["mean_latency"] > before["mean_latency"]
    assert "migration" not in found


def test_a_lost_gpu_solved_anew(line: list[str], tmp_path: Path) -> None:
    """The new plan leaves the GPU alone, holds, and says what moves."""
    output = tmp_path / "new.yaml"
    done = gswarm(*line, "--without-gpu", "0", "--time-limit", "5", "-o", output)
    assert done.exit_code == 0, done.output
    assert "without GPU 0" in done.stdout
    assert "solved anew" in done.stdout
    assert "replicas stay" in done.stdout
    assert gswarm("check", output).exit_code == 0
    replicas = gswarm("export", "--plan", output, "--format", "json").stdout
    assert replicas


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "say what changes"),
        (["--without-server", "9"], "there is no server 9"),
        (["--traffic", "0"], "more than 0"),
        (["--traffic", "2", "--no-solve", "-o", "x.yaml"], "--no-solve"),
    ],
)
def test_faults_are_sentences(line: list[str], more: list[str], words: str) -> None:
    """Exit code 2, and what to do."""
    done = gswarm(*line, *more)
    assert done.exit_code == 2
    assert words in done.stderr
