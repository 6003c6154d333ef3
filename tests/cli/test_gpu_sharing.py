"""`--gpu-sharing`: what the plan carries, what overrides it, and that it makes a difference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from cli.main import main

CONFIGS = Path(__file__).parents[2] / "configs"
INPUTS = (
    "--config", CONFIGS / "small.yaml", "--requests", CONFIGS / "small_requests.yaml",
)  # fmt: skip


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cluster") / "cluster.yaml"
    kinds = {"server": {"count": 1, "gpus": 4}}
    path.write_text(yaml.safe_dump({"server_types": kinds, "sharing_efficiency": [0.9, 0.8]}))
    return path


def solved(cluster: Path, folder: Path, *more: object) -> Path:
    path = folder / "plan.yaml"
    done = call(
        "solve", *INPUTS, "--cluster", cluster, "--method", "greedy", *more, "-q", "-o", path
    )
    assert done.exit_code == 0, done.output
    return path


def p99(plan: Path, *more: object) -> float:
    done = call("simulate", "--plan", plan, *INPUTS, *more, "--json")
    assert done.exit_code == 0, done.output
    summary: dict[str, Any] = json.loads(done.stdout)["summary"]
    return float(summary["request_latency"]["p99"])


@pytest.mark.parametrize("mode", ["time-sliced", "serial"])
def test_a_plan_carries_how_gpus_are_shared(mode: str, cluster: Path, tmp_path: Path) -> None:
    """What the command line says in place of the cluster file, and check finds nothing wrong."""
    plan = solved(cluster, tmp_path, "--gpu-sharing", mode)
    part = yaml.safe_load(plan.read_text())["cluster"]
    assert (part["gpu_sharing"], part["sharing_efficiency"]) == (mode, [0.9, 0.8])
    assert call("check", plan, *INPUTS, "--cluster", cluster).exit_code == 0
    # Simulated as it says, unless the command line says otherwise.
    other = "serial" if mode == "time-sliced" else "time-sliced"
    assert p99(plan) == p99(plan, "--gpu-sharing", mode) != p99(plan, "--gpu-sharing", other)


def test_time_slices_are_the_default(cluster: Path, tmp_path: Path) -> None:
    """Neither file nor command line need say it."""
    plan = solved(cluster, tmp_path)
    assert p99(plan) == p99(plan, "--gpu-sharing", "time-sliced")


def test_compare_puts_both_ways_side_by_side(cluster: Path) -> None:
    """Each row is that of a comparison under its way alone; switching schedulers stand once."""
    common = [
        "compare", *INPUTS, "--cluster", cluster, "--methods", "greedy,random", "--routings",
        "plan", "--json",
    ]  # fmt: skip

    def rows(*more: object) -> list[dict[str, Any]]:
        done = call(*common, *more)
        assert done.exit_code == 0, done.output
        said = json.loads(done.stdout)
        assert said["missing"] == []
        for row in said["rows"]:
            row.pop("solve_seconds")
        found: list[dict[str, Any]] = said["rows"]
        return found

    both = rows("--gpu-sharing", "both")
    apart = [r for mode in ("time-sliced", "serial") for r in rows("--gpu-sharing", mode)]
    assert all(r in apart for r in both)
    assert sorted((r["scheduler"], r["method"] or "", r["gpu_sharing"]) for r in both) == [
        ("baseline", "", "serial"),
        ("static", "greedy", "serial"),
        ("static", "greedy", "time-sliced"),
        ("static", "random", "serial"),
        ("static", "random", "time-sliced"),
    ]


def test_schedulers_without_a_plan_refuse_it() -> None:
    """They serve one execution on a GPU at a time; that is said, not passed over."""
    done = call(
        "simulate", "--scheduler", "baseline", "--gpus", 8, *INPUTS, "--gpu-sharing", "serial"
    )
    assert done.exit_code == 2
    assert "--gpu-sharing" in done.stderr
