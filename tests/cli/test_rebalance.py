"""`rebalance`, and `solve --max-moves`: few replicas move, and what that costs is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.inputs import gswarm, solve_plan, write_inputs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A plan that runs, and requests of another mix."""
    folder = tmp_path_factory.mktemp("rebalance")
    config, requests = write_inputs(folder)
    plan = solve_plan(folder, config, requests)
    later = folder / "later.jsonl"
    lines = requests.read_text().splitlines()
    others = [line for line in lines if '"search"' in line][2:]
    later.write_text("\n".join(line for line in lines if line not in others))
    return {"--from": str(plan), "--config": str(config), "--requests": str(later)}


def words(inputs: dict[str, str]) -> list[str]:
    return [word for pair in inputs.items() for word in pair]


def test_the_new_plan_is_within_the_limit(inputs: dict[str, str], tmp_path: Path) -> None:
    """Diff counts no more moves than are allowed; check passes; the table is ascending."""
    new = str(tmp_path / "new.json")
    line = ["rebalance", *words(inputs), "--max-moves", "1", "--time-limit", "8", "-o", new]
    done = gswarm(*line, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert len(found["loaded"]) <= 1
    assert gswarm("check", new).exit_code == 0
    moved = gswarm("diff", inputs["--from"], new, "--no-renumber", "--json")
    assert json.loads(moved.stdout)["loaded"] == found["loaded"]
    table = found["table"]
    assert table[-1]["max_moves"] is None
    assert {0, 1} <= {row["max_moves"] for row in table}
    assert all(row["moves"] <= row["max_moves"] for row in table[:-1] if "moves" in row)


def test_solve_from_with_a_limit(inputs: dict[str, str], tmp_path: Path) -> None:
    """The same limit on a plan that solve makes, under its own options."""
    new = str(tmp_path / "new.json")
    plan = json.loads(Path(inputs["--from"]).read_text())
    kind = plan["cluster"]["server_types"][0]
    line = ["solve", *words(inputs), "--max-moves", "0", "--time-limit", "6", "-o", new, "--json"]
    gpus = ["--gpus", str(kind["count"] * kind["gpus"]), "--gpus-per-server", str(kind["gpus"])]
    done = gswarm(*line, *gpus, "--no-simulate-headroom")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["migration"]["loaded"] == 0
    assert gswarm("check", new).exit_code == 0


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--max-moves", "1"], "add --from PLAN"),
        (["--max-moves", "1", "--from", "p.json", "--refine", "p99"], "does not go with"),
    ],
)
def test_faults_are_sentences(inputs: dict[str, str], more: list[str], text: str) -> None:
    """Exit code 2, and what to leave out or add."""
    line = ["solve", "--config", inputs["--config"], "--requests", inputs["--requests"]]
    done = gswarm(*line, "--gpus", "8", *more)
    assert done.exit_code == 2
    assert text in done.stderr
