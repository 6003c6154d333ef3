"""`diff` tells what moves, `solve --from` keeps what can stay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.inputs import gswarm, write_inputs


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A greedy and a random plan of one config, for two servers."""
    folder = tmp_path_factory.mktemp("diff")
    config, requests = write_inputs(folder)
    made = {"config": config, "requests": requests}
    for method in ("greedy", "random"):
        made[method] = folder / f"{method}.yaml"
        assert solve(made, method, made[method]).exit_code == 0
    return made


def solve(files: dict[str, Path], method: str, plan: Path, *more: str | Path):  # type: ignore[no-untyped-def]
    where = ["--gpus", "8", "--gpus-per-server", "4", "--exclusive"]
    inputs = ["--config", files["config"], "--requests", files["requests"]]
    return gswarm("solve", *inputs, *where, "--method", method, "-o", plan, "--json", *more)


def test_the_steps_are_those_of_the_loads(plans: dict[str, Path], tmp_path: Path) -> None:
    """Every load and unload is a step; the plan it writes moves nothing more and holds."""
    moved = tmp_path / "moved.yaml"
    line = ("diff", plans["greedy"], plans["random"])
    done = gswarm(*line, "--config", plans["config"], "-o", moved, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["loaded"]
    assert found["load_seconds"] > 0
    actions = [s["action"] for s in found["steps"]]
    assert actions.count("load") == len(found["loaded"])
    assert actions.count("unload") == len(found["unloaded"])
    assert gswarm("check", moved, "--config", plans["config"]).exit_code == 0
    again = json.loads(gswarm("diff", moved, plans["random"], "--json").stdout)
    assert again["steps"] == []
    plainly = json.loads(gswarm(*line, "--no-renumber", "--json").stdout)
    assert len(plainly["loaded"]) >= len(found["loaded"])
    words = gswarm(*line, "--config", plans["config"]).stdout
    assert f"{len(found['loaded'])} are loaded" in words
    assert "where servers load side by side" in words


def test_solve_from_an_earlier_plan_says_what_stays(plans: dict[str, Path], tmp_path: Path) -> None:
    """The same plan again moves nothing; another moves what `diff` says."""
    done = solve(plans, "greedy", tmp_path / "a.yaml", "--from", plans["greedy"])
    assert json.loads(done.stdout)["migration"]["loaded"] == 0
    assert (tmp_path / "a.yaml").read_text().count("model:") > 0
    done = solve(plans, "random", tmp_path / "b.yaml", "--from", plans["greedy"])
    stays = json.loads(done.stdout)["migration"]
    diff = gswarm("diff", plans["greedy"], tmp_path / "b.yaml", "--no-renumber", "--json")
    assert json.loads(diff.stdout)["kept"] == stays["kept"]


def test_faults_are_sentences(plans: dict[str, Path], tmp_path: Path) -> None:
    """Another cluster, a config without the models, no plan."""
    wider = tmp_path / "wider.yaml"
    inputs = ["--config", plans["config"], "--requests", plans["requests"]]
    assert gswarm("solve", *inputs, "--gpus", 12, "--method", "greedy", "-o", wider).exit_code == 0
    done = gswarm("diff", plans["greedy"], wider)
    assert done.exit_code == 2
    assert "different clusters" in done.stderr
    other = tmp_path / "other.json"
    config = json.loads(plans["config"].read_text())
    config["models"] = {f"x{m}": v for m, v in config["models"].items()}
    for workflow in config["workflows"].values():
        for node in workflow["nodes"]:
            node["model"] = f"x{node['model']}"
    other.write_text(json.dumps(config))
    done = gswarm("diff", plans["greedy"], plans["random"], "--config", other)
    assert done.exit_code == 2
    assert "missing, which the new plan loads" in done.stderr
    assert gswarm("diff", plans["config"], plans["greedy"]).exit_code == 2
