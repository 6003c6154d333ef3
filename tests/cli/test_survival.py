"""`solve --survive`: the price is stated, and check judges the claim."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.inputs import gswarm, write_inputs


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command up to its options."""
    config, requests = write_inputs(tmp_path_factory.mktemp("survival"))
    return ["solve", "--config", str(config), "--requests", str(requests), "--gpus", "16"]


def test_the_price_is_stated_and_the_claim_is_judged(line: list[str], tmp_path: Path) -> None:
    """Figures with and without; no simulated loss of a server fails a request; check passes."""
    plan = str(tmp_path / "plan.json")
    more = ["--survive", "1", "--time-limit", "8", "--no-simulate-headroom"]
    done = gswarm(*line, *more, "-o", plan, "--json")
    assert done.exit_code == 0, done.output
    price = json.loads(done.stdout)["survive"]
    assert price["load_after_loss"] < 1
    assert price["without"]["objective"] >= price["with"]["objective"] - 1e-6
    assert gswarm("check", plan).exit_code == 0
    wrong = json.loads(Path(plan).read_text())
    assert wrong["expected"]["load_after_loss"] == pytest.approx(price["load_after_loss"])
    for server in range(4):
        run = gswarm(
            "simulate", "--plan", plan, *line[1:5], "--fail", f"server:{server}@5", "--json"
        )
        assert json.loads(run.stdout)["summary"]["failed_requests"] == 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--survive", "2"], "not of several"),
        (["--survive", "1", "--refine", "p99"], "--refine does not go with --survive"),
        (["--survive", "1", "--mode", "offline"], "--mode does not go with --survive"),
    ],
)
def test_faults_are_sentences(line: list[str], more: list[str], words: str) -> None:
    """Exit code 2, and what to leave out."""
    done = gswarm(*line, *more)
    assert done.exit_code == 2
    assert words in done.stderr


def test_a_single_server_cannot_survive(line: list[str]) -> None:
    """Exit code 1, with the rule that cannot be kept."""
    done = gswarm(*line, "--gpus-per-server", "16", "--survive", "1", "--time-limit", "5")
    assert done.exit_code == 1
    assert "no plan survives the loss of a server" in done.stderr
