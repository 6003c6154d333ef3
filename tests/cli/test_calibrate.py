"""`calibrate` on logs that the simulator wrote as if they were real."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from cli.main import main
from placement.files.cluster_file import read_cluster
from placement.files.config_file import read_config
from placement.files.plan_file import plan_digest

CONFIGS = Path(__file__).parents[2] / "configs"
INPUTS = ["--config", CONFIGS / "small.yaml", "--requests", CONFIGS / "small_requests.yaml"]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan, and the log of a run in which sharing a GPU costs a third."""
    folder = tmp_path_factory.mktemp("run")
    plan, real = folder / "plan.json", folder / "real.json"
    assert call("solve", *INPUTS, "--gpus", 4, "-q", "-o", plan).exit_code == 0
    data = json.loads(plan.read_text())
    data["cluster"]["sharing_efficiency"] = 0.67
    real.write_text(json.dumps(data | {"digest": plan_digest(data)}))
    for form in ("json", "parquet"):
        done = call("simulate", *INPUTS, "--plan", real, "--log", folder / f"log.{form}", "-q")
        assert done.exit_code == 0, done.output
    return folder


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_the_efficiency_of_the_log_is_found_and_written(
    run: Path, tmp_path: Path, form: str
) -> None:
    """The simulation with it is that of the log; config and cluster can be read back."""
    config, cluster = tmp_path / "config.yaml", tmp_path / "cluster.yaml"
    picture = tmp_path / "fit.svg"
    done = call(
        "calibrate", *INPUTS, "--plan", run / "plan.json", "--log", run / f"log.{form}", "--json",
        "-o", config, "--cluster-out", cluster, "--plot", picture,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    said: dict[str, Any] = json.loads(done.stdout)
    found = {(e["name"], e["model"]): e["after"] for e in said["estimates"]}
    assert found["sharing_efficiency", None] == pytest.approx([0.67], abs=1e-3)
    assert said["errors"]["after"]["per_request"] < 1e-3 < said["errors"]["before"]["per_request"]
    assert read_cluster(cluster).sharing.efficiency == pytest.approx((0.67,), abs=1e-3)
    assert len(read_config(config).models) == len(read_config(CONFIGS / "small.yaml").models)
    assert picture.read_text().lstrip().startswith("<?xml")


def test_people_read_what_was_fitted_and_how_far_off_it_was(run: Path) -> None:
    """Two tables: the figures with their standard errors, the errors before and after."""
    done = call("calibrate", *INPUTS, "--plan", run / "plan.json", "--log", run / "log.json")
    assert done.exit_code == 0, done.output
    assert "sharing_efficiency" in done.stdout
    assert "P99 latency (s)" in done.stdout
    assert "a request's latency, mean" in done.stdout


def test_what_is_missing_is_said_at_once() -> None:
    """Every missing file in one sentence."""
    done = call("calibrate", "--log", "l.json")
    assert done.exit_code == 2
    for option in ("--plan", "--config", "--requests"):
        assert option in done.output


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not a log", "neither JSON nor Parquet"),
        ("[]", "has no 'executions'"),
        ('{"executions": []}', "do not say request_id"),
        ('{"executions": [{"request_id": "r"}]}', "do not say workflow_id"),
    ],
)
def test_no_log_is_a_sentence(run: Path, tmp_path: Path, text: str, says: str) -> None:
    """Which file, what is wrong, and how to get one."""
    log = tmp_path / "log.json"
    log.write_text(text)
    done = call("calibrate", *INPUTS, "--plan", run / "plan.json", "--log", log)
    assert done.exit_code == 2
    assert says in done.output
    assert "log.json" in done.output


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("request_id", "who?", "request 'who?'"),
        ("node_id", "what?", "node 'what?'"),
        ("model_name", "m?", "model 'm?'"),
        ("server_id", 99, "name server 99"),
        ("end_time", "soon", "end_time"),
        ("end_time", -1.0, "ends before it starts"),
        ("gpu_ids", [], "gpu_ids"),
    ],
)
def test_a_log_of_something_else_is_a_sentence(
    run: Path, tmp_path: Path, field: str, value: object, says: str
) -> None:
    """Ids that are not in config and trace are named; nothing is dropped in silence."""
    data = json.loads((run / "log.json").read_text())
    data["executions"][3][field] = value
    log = tmp_path / "log.json"
    log.write_text(json.dumps(data))
    done = call("calibrate", *INPUTS, "--plan", run / "plan.json", "--log", log)
    assert done.exit_code == 2, done.output
    assert says in done.output


def test_a_batching_model_gets_its_slowdown_into_the_config(tmp_path: Path) -> None:
    """From a config that says a batch costs nothing, to one that says what the log shows."""
    config: dict[str, Any] = yaml.safe_load((CONFIGS / "small.yaml").read_text())
    config["models"]["chat-8b"] |= {"max_concurrency": 4, "slowdown": 0.4}
    real, stated = tmp_path / "real.yaml", tmp_path / "stated.yaml"
    real.write_text(yaml.safe_dump(config))
    config["models"]["chat-8b"]["slowdown"] = 0
    stated.write_text(yaml.safe_dump(config))
    requests = ["--requests", CONFIGS / "small_requests.yaml"]
    plan, log, found = (tmp_path / n for n in ("plan.yaml", "log.json", "found.json"))
    assert (
        call("solve", "--config", stated, *requests, "--gpus", 4, "-q", "-o", plan).exit_code == 0
    )
    done = call(
        "simulate", "--config", real, *requests, "--plan", plan, "--log", log, "-q",
        "--mode", "offline",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    done = call(
        "calibrate", "--config", stated, *requests, "--plan", plan, "--log", log,
        "--mode", "offline", "-o", found, "-q",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    slowdown = json.loads(found.read_text())["models"]["chat-8b"]["slowdown"]
    assert slowdown == pytest.approx([1.0, 1.4, 1.8, 2.2], rel=0.03)
