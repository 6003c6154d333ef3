"""`solve --until-borne` lowers the target until the simulation bears the trace."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import placement
from cli.main import main
from cli.until_borne import MOST_SOLVES, Attempt, until_borne
from placement.problem.names import SIMULATED_HEADROOM
from placement.problem.plan import Plan
from runtime.engines.warm import ready

CONFIGS = Path(__file__).parents[2] / "configs"
INPUTS = [
    "--config",
    str(CONFIGS / "small.yaml"),
    "--requests",
    str(CONFIGS / "small_requests.yaml"),
]


@pytest.fixture(scope="module")
def plan() -> Plan:
    workload = placement.read_config(CONFIGS / "small.yaml")
    trace = placement.read_requests(CONFIGS / "small_requests.yaml", workload)
    return placement.solve(workload, trace, placement.Cluster.homogeneous(8))


def under(plan: Plan, target: float, borne: float, **certificate: object) -> Attempt:
    """A solve whose busiest GPU is as busy as it may be, and what the simulation says of it."""
    facts = {"load_cap": target, "deterministic": True} | certificate
    figures = {"max_utilization": facts["load_cap"], SIMULATED_HEADROOM: borne}
    other = replace(
        plan,
        certificate=replace(plan.certificate, **facts),  # type: ignore[arg-type]
        expected=plan.expected | figures,  # type: ignore[operator]
        max_utilization=target,
    )
    return None, other  # type: ignore[return-value]


def test_the_target_falls_by_what_the_headroom_lacks(plan: Plan) -> None:
    """0.8 that bears 0.84 of the rate becomes 0.8 * 0.84 / 1.05; what is borne ends it."""
    asked: list[float] = []

    def solved_under(target: float) -> Attempt:
        asked.append(target)
        return under(plan, target, 0.9 if len(asked) < 2 else 1.1)

    found = until_borne(under(plan, 0.8, 0.84), solved_under)[1]
    assert asked == [0.64, 0.54]
    assert found.expected[SIMULATED_HEADROOM] == 1.1
    assert found.max_utilization == 0.54
    assert found.certificate.deterministic


def test_what_is_borne_is_not_solved_again(plan: Plan) -> None:
    """A plan with room stays as it is."""
    first = under(plan, 0.8, 1.0)
    assert until_borne(first, lambda _: pytest.fail("solved again"))[1] == first[1]


def test_the_best_of_several_is_kept_where_none_is_borne(plan: Plan) -> None:
    """Solves end after a few, and a lower target that made it worse is not taken."""
    headroom = iter([0.7, 0.95, 0.8, 0.6, 0.5, 0.4])
    asked: list[float] = []

    def solved_under(target: float) -> Attempt:
        asked.append(target)
        return under(plan, target, next(headroom))

    found = until_borne(under(plan, 0.8, 0.9), solved_under)[1]
    assert len(asked) == MOST_SOLVES
    assert found.expected[SIMULATED_HEADROOM] == 0.95


def test_it_ends_where_no_placement_keeps_the_target(plan: Plan) -> None:
    """A cap above the target is that of the least bottleneck: a lower target changes nothing."""
    asked: list[float] = []

    def solved_under(target: float) -> Attempt:
        asked.append(target)
        return under(plan, target, 0.97, load_cap=0.75)

    found = until_borne(under(plan, 0.8, 0.9), solved_under)[1]
    assert len(asked) == 1
    assert found.expected[SIMULATED_HEADROOM] == 0.97


@pytest.mark.parametrize("cut", [True, False])
def test_a_clock_that_decides_is_said(plan: Plan, *, cut: bool) -> None:
    """Without time for another solve, or with one that was cut short, bytes may differ."""
    again = None if cut else under(plan, 0.6, 0.5, deterministic=False)
    found = until_borne(under(plan, 0.8, 0.9), lambda _: again)[1]
    assert found.expected[SIMULATED_HEADROOM] == 0.9
    assert not found.certificate.deterministic


def test_a_plan_that_is_borne_is_the_one_without_the_option(tmp_path: Path) -> None:
    """Asked for or not, equal bytes, and `check` accepts them."""
    assert ready(lambda: True)
    files = []
    for more in ((), ("--until-borne",)):
        files.append(tmp_path / f"{len(more)}.json")
        done = CliRunner().invoke(
            main, ["solve", *INPUTS, "--gpus", "8", "-o", str(files[-1]), "--json", *more]
        )
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["headroom_simulated"] >= 1
    assert files[0].read_bytes() == files[1].read_bytes()
    checked = CliRunner().invoke(main, ["check", str(files[1])])
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize(
    "more",
    [
        ["--mode", "offline"],
        ["--no-simulate-headroom"],
        ["--refine", "p99"],
        ["--windows", "2"],
    ],
)
def test_what_it_does_not_go_with_is_said(more: list[str], tmp_path: Path) -> None:
    """Exit code 2 and both options, before anything is read."""
    arguments = ["solve", *INPUTS, "--gpus", "8", "-o", str(tmp_path / "p.yaml"), "--until-borne"]
    done = CliRunner().invoke(main, [*arguments, *more])
    assert done.exit_code == 2
    assert "--until-borne does not go with" in done.stderr
    assert more[0] in done.stderr


def test_degrees_are_chosen_anew_under_each_target(tmp_path: Path) -> None:
    """The plan is of the degrees that it names, whichever the last solve took."""
    model = {"name": "m", "load_time_seconds": 1}
    degrees = [{"gpus": 1, "seconds": 4.0}, {"gpus": 2, "seconds": 1.8}]
    models = {
        "big": {**model, "memory_gb": 60, "gpus_required": degrees},
        "small": {**model, "memory_gb": 20, "gpus_required": 1, "inference_time_mean": 1.0},
    }
    nodes = [{"id": "x", "model": "big"}, {"id": "y", "model": "small"}]
    flows = {"w": {"nodes": nodes, "edges": [{"from": "x", "to": "y"}]}}
    config, requests = tmp_path / "c.json", tmp_path / "r.yaml"
    config.write_text(json.dumps({"models": models, "workflows": flows}))
    requests.write_text("rates: {w: 0.8}\nseconds: 2000\n")
    files = ["--config", str(config), "--requests", str(requests)]
    output = str(tmp_path / "p.json")
    cluster = ["--gpus", "4", "--gpus-per-server", "2", "--gpu-sharing", "serial"]
    options = ["--max-utilization", "0.99", "--until-borne", "-o", output, "--json"]
    done = CliRunner().invoke(main, ["solve", *files, *cluster, *options])
    assert done.exit_code == 0, done.output
    assert json.loads(Path(output).read_text())["certificate"]["load_cap"] < 0.99
    checked = CliRunner().invoke(main, ["check", output, *files])
    assert checked.exit_code == 0, checked.output
