"""`generate` from the command line: arrivals of three kinds, and what goes wrong."""

import json
from pathlib import Path

import pytest

from tests.cli.inputs import gswarm, write_inputs


@pytest.mark.parametrize("arrivals", ["poisson", "bursty", "file"])
def test_a_new_config_and_trace_can_be_solved(arrivals: str, tmp_path: Path) -> None:
    """What generate writes, solve reads; the summary says what was written."""
    config, requests = tmp_path / "c.yaml", tmp_path / "r.jsonl"
    more = []
    if arrivals == "file":
        recorded = tmp_path / "times.csv"
        recorded.write_text("t\n" + "".join(f"2026-01-01 00:{i:02d}:00\n" for i in range(50)))
        more = ["--arrivals-file", recorded]
    else:
        more = ["--requests", "50"]
    done = gswarm(
        "generate", "--models", "4", "--workflows", "2", "--largest-block", "2", "--load", "0.3",
        "--gpus", "8", "--arrivals", arrivals, *more, "--config-out", config,
        "--requests-out", requests, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert (said["requests"], said["models"], said["workflows"]) == (50, 4, 2)
    plan = tmp_path / "plan.yaml"
    done = gswarm(
        "solve", "--config", config, "--requests", requests, "--gpus", "8", "--method", "greedy",
        "-o", plan, "--quiet",
    )  # fmt: skip
    assert done.exit_code == 0, done.output


def test_recorded_arrivals_keep_their_own_pace_unless_a_rate_is_asked_for(tmp_path: Path) -> None:
    """50 requests a minute apart last 49 minutes; at 2 per second, 25 s."""
    config, _ = write_inputs(tmp_path)
    recorded = tmp_path / "times.csv"
    recorded.write_text("t\n" + "".join(f"2026-01-01 00:{i:02d}:00\n" for i in range(50)))
    given = ("generate", "--config", config, "--arrivals", "file", "--arrivals-file", recorded,
             "--requests-out", tmp_path / "r.csv", "--json")  # fmt: skip
    assert json.loads(gswarm(*given).output)["span_s"] == pytest.approx(49 * 60)
    assert json.loads(gswarm(*given, "--requests", "10").output)["span_s"] == pytest.approx(540)
    assert json.loads(gswarm(*given, "--rate", "2").output)["span_s"] == pytest.approx(25.0)


def test_a_bad_arrivals_file_leaves_no_config_behind(tmp_path: Path) -> None:
    """All inputs are read before the first output is written."""
    recorded = tmp_path / "times.csv"
    recorded.write_text("a,b\n1,2\n")
    done = gswarm(
        "generate", "--arrivals", "file", "--arrivals-file", recorded,
        "--config-out", tmp_path / "c.yaml", "--requests-out", tmp_path / "r.csv",
    )  # fmt: skip
    assert done.exit_code == 2
    assert "has no column of time stamps" in done.output
    assert [p.name for p in tmp_path.iterdir()] == ["times.csv"]


def test_a_trace_of_many_centuries_is_refused(tmp_path: Path) -> None:
    """Its time stamps would leave the calendar."""
    config, _ = write_inputs(tmp_path)
    done = gswarm("generate", "--config", config, "--rate", "1e-9", "--requests-out", "r.csv")
    assert done.exit_code == 2
    assert "years; ask for a higher --rate" in done.output


def test_a_config_without_service_times_is_named(tmp_path: Path) -> None:
    """The sentence says which file holds the model that states none."""
    config = tmp_path / "config.json"
    model = {"name": "M", "memory_gb": 1, "gpus_required": 1, "load_time_seconds": 1}
    flow = {"nodes": [{"id": "n", "model": "mute"}]}
    config.write_text(json.dumps({"models": {"mute": model}, "workflows": {"w": flow}}))
    done = gswarm("generate", "--config", config, "--requests-out", tmp_path / "trace.jsonl")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {config}: model 'mute' states no service time")
    assert list(tmp_path.iterdir()) == [config]
