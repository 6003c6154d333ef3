"""`check --bound` answers one of three, in words, by exit code and in JSON."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from placement.files.plan_file import plan_digest

CONFIGS = Path(__file__).parents[2] / "configs"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A plan whose bound lies well above it: tight, exclusive, and no small gap asked for."""
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    inputs = ["--config", CONFIGS / "multimodal.yaml"]
    inputs += ["--requests", CONFIGS / "multimodal_requests.jsonl"]
    cluster = ["--gpus", 32, "--gpus-per-server", 8, "--exclusive", "--form", "patterns"]
    done = call("solve", *inputs, *cluster, "--gap", 0.5, "--time-limit", 20, "-q", "-o", path)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(path.read_text())
    assert found["certificate"]["objective"] < found["certificate"]["best_bound"] < 1
    return found


def written(folder: Path, plan: dict[str, Any], **certificate: Any) -> Path:
    """A plan that states other things, with a digest that fits."""
    stated = plan["certificate"] | certificate
    stated["gap"] = (stated["best_bound"] - stated["objective"]) / stated["objective"]
    data = plan | {"certificate": stated}
    path = folder / "plan.json"
    path.write_text(json.dumps(data | {"digest": plan_digest(data)}))
    return path


@pytest.mark.parametrize("by", ["multipliers", "branch and bound"])
def test_a_bound_holds_does_not_or_stays_open(
    by: str, plan: dict[str, Any], tmp_path: Path
) -> None:
    """The stated bound holds; one just above the plan does not; without time, neither is said."""
    more: dict[str, Any] = {} if by == "multipliers" else {"duals": None}
    stated = plan["certificate"]
    weak = {} if by == "multipliers" else {"best_bound": 0.999, "status": "work limit"}
    path = written(tmp_path, plan, **more, **weak)
    done = call("check", path, "--bound", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert said["holds"] is True
    assert said["bound"]["verdict"] == "holds"
    for limit, verdict, holds in ((60, "does not hold", False), (1e-6, "not decided", None)):
        if by == "branch and bound" and holds is False:
            continue  # to refute it takes a better plan, which takes time
        lower = stated["objective"] * (1 + 1e-5)
        path = written(tmp_path, plan, **more, best_bound=lower, status="gap")
        done = call("check", path, "--bound", "--json", "--time-limit", limit)
        assert done.exit_code == 1
        said = json.loads(done.output)
        assert said["holds"] is holds
        assert said["bound"]["verdict"] == verdict
        assert (said["faults"] == []) is (holds is None)
        words = call("check", path, "--bound", "--time-limit", limit)
        assert words.exit_code == 1
        assert ("does not hold" in words.output) is (holds is False)
        assert ("not decided" in words.output) is (holds is None)


def test_a_load_that_a_placement_undercuts_is_no_lower_end(tmp_path: Path) -> None:
    """The stated end holds; one between it and the plan's own load does not."""
    path = tmp_path / "greedy.json"
    inputs = ["--config", CONFIGS / "small.yaml", "--requests", CONFIGS / "small_requests.yaml"]
    done = call("solve", *inputs, "--gpus", 32, "--method", "greedy", "-q", "-o", path)
    assert done.exit_code == 0, done.output
    plan = json.loads(path.read_text())
    done = call("check", path, "--bound", "--json")
    assert json.loads(done.output)["bottleneck"]["verdict"] == "holds"
    assert done.exit_code == 0
    load = plan["expected"]["max_utilization"]
    between = (plan["certificate"]["bottleneck_upper"] + load) / 2
    assert between < load
    path = written(tmp_path, plan, bottleneck_lower=between, bottleneck_upper=between)
    assert call("check", path).exit_code == 0
    done = call("check", path, "--bound", "--json")
    said = json.loads(done.output)
    assert done.exit_code == 1
    assert said["holds"] is False
    assert said["bottleneck"]["verdict"] == "does not hold"
    words = call("check", path, "--bound")
    assert "bottleneck_lower" in words.output
    assert "the bound holds" in words.output
