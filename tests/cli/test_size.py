"""`size` gives the fewest servers, with a proof, and a curve."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.inputs import gswarm, write_inputs


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command up to the goal."""
    config, requests = write_inputs(tmp_path_factory.mktemp("size"))
    files = ["--config", str(config), "--requests", str(requests)]
    return ["size", *files, "--gpus-per-server", "2", "--time-limit", "5"]


def test_fewest_servers_and_curve(line: list[str], tmp_path: Path) -> None:
    """The size is met by a plan that solve makes, and the one below it is not."""
    done = gswarm(*line, "--se", "90", "--curve", "1", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    best = found["servers"]
    by_size = {s["servers"]: s for s in found["sizes"]}
    assert by_size[best]["meets"]
    assert by_size[best]["server_efficiency"] >= 0.9 - 1e-6
    assert best + 1 in by_size
    assert found["proven"] == (best == found["least_possible"])
    assert all(not s["meets"] for n, s in by_size.items() if n < best)


def test_no_more_servers_are_tried_than_may_be(line: list[str]) -> None:
    """Where the work alone needs more, that is the answer, and nothing is solved."""
    done = gswarm(*line, "--se", "1", "--load", "0.01", "--max-servers", "1")
    assert done.exit_code == 1
    assert "and --max-servers is 1; raise it, or --load" in done.stderr


def test_what_cannot_be_reached_is_said(line: list[str]) -> None:
    """Exit code 1, with what was tried; a table without --json."""
    done = gswarm(*line, "--p99", "0.1", "--max-servers", "3", "--repeat", "2")
    assert done.exit_code == 1
    assert "no plan that reaches it was found on up to 3 servers" in " ".join(done.stdout.split())
    assert "missed" in done.stdout


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--type", "x"], "there are server"),
        (["--se", "101"], "at most 100"),
        (["--load", "0"], "more than 0"),
    ],
)
def test_faults_are_sentences(line: list[str], more: list[str], words: str) -> None:
    """Exit code 2, and what to do."""
    done = gswarm(*line, *more)
    assert done.exit_code == 2
    assert words in done.stderr


def test_the_number_of_one_type_is_sought(line: list[str], tmp_path: Path) -> None:
    """The others stay as the file says, and count as GPUs only."""
    cluster = tmp_path / "cluster.yaml"
    cluster.write_text(
        "server_types:\n"
        "  fixed: {count: 1, gpus: 2, gpu_memory_gb: 80}\n"
        "  more: {count: 9, gpus: 4, gpu_memory_gb: 80}\n"
    )
    files = [line[0], *line[1:5], "--cluster", str(cluster), "--time-limit", "3"]
    done = gswarm(*files, "--max-servers", "3", "--curve", "0", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert 1 <= found["servers"] <= 3
    assert all(s["gpus"] == 2 + 4 * s["servers"] for s in found["sizes"])
