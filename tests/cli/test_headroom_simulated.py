"""`solve` states the headroom that the simulation bears out, and says why it is less."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from runtime.engines.warm import ready

CONFIGS = Path(__file__).parents[2] / "configs"
INPUTS = ["--config", CONFIGS / "small.yaml", "--requests", CONFIGS / "small_requests.yaml"]


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """Let nobody wait for a compiler inside a time limit."""
    assert ready(lambda: True)


def solve(path: Path, *more: object) -> Result:
    arguments = ["solve", *INPUTS, "--gpus", 8, "-o", path, *more]
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_the_plan_and_json_state_what_the_simulation_bears_out(tmp_path: Path) -> None:
    """One figure in both, near the one by mean rates, and the same again."""
    said = []
    for name in ("a.json", "b.json"):
        done = solve(tmp_path / name, "--json")
        assert done.exit_code == 0, done.output
        said.append(json.loads(done.stdout))
        plan = json.loads((tmp_path / name).read_text())
        assert plan["expected"]["headroom_simulated"] == said[-1]["headroom_simulated"]
    assert said[0]["headroom_simulated"] == said[1]["headroom_simulated"]
    # The router may spread what the plan puts on one GPU, and shares cost less where few are busy.
    assert 0.8 < said[0]["headroom_simulated"] / said[0]["headroom"] < 1.2
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    checked = CliRunner().invoke(main, ["check", str(tmp_path / "a.json")])
    assert checked.exit_code == 0, checked.output


def test_whoever_does_not_ask_gets_none(tmp_path: Path) -> None:
    """Switched off, offline, or on a scenario of one instant: no figure."""
    for more in (["--no-simulate-headroom"], ["--mode", "offline"]):
        done = solve(tmp_path / "p.json", "--json", *more)
        assert done.exit_code == 0, done.output
        assert "headroom_simulated" not in json.loads(done.stdout)
        assert "headroom_simulated" not in json.loads((tmp_path / "p.json").read_text())["expected"]


def test_a_figure_that_falls_short_is_explained(tmp_path: Path) -> None:
    """Sharing that costs half of a GPU is nothing that mean loads know."""
    cluster = tmp_path / "cluster.yaml"
    cluster.write_text(
        "server_types:\n  node: {count: 1, gpus: 4, gpu_memory_gb: 80}\nsharing_efficiency: 0.5\n"
    )
    arguments = ["solve", *INPUTS, "--cluster", cluster, "-o", tmp_path / "p.yaml"]
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output
    assert "times as fast, less than the mean loads say" in " ".join(done.stdout.split())


def test_refining_takes_nothing_off_the_time_for_the_headroom(tmp_path: Path) -> None:
    """It has a limit of its own: what the solve left is still there, and no clock had a say."""
    more = ["--refine", "p99", "--refine-evaluations", 2, "--json"]
    done = solve(tmp_path / "p.json", *more)
    assert done.exit_code == 0, done.output
    assert "headroom_simulated" in json.loads(done.stdout)
    assert json.loads((tmp_path / "p.json").read_text())["certificate"]["deterministic"] is True
