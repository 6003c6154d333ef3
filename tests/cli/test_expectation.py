"""The line that says why a simulation shows another server efficiency than the plan expects."""

import json
from pathlib import Path

from cli.expectation import REASONS, difference
from placement.problem.names import ROUTERS
from tests.cli.inputs import gswarm, write_inputs


def test_every_router_has_its_reason() -> None:
    """Each policy that ships is explained in its own words."""
    assert set(REASONS) == set(ROUTERS)


def test_nothing_is_said_where_the_figures_agree() -> None:
    """Both at one decimal are the same figure."""
    assert difference(0.8, 80.04, "earliest") is None
    assert difference(0.8, 79.9, "earliest") is not None


def test_an_own_policy_is_not_given_the_reasons_of_another() -> None:
    """Whatever its name is."""
    said = difference(1.0, 50.0, "mine")
    assert said is not None
    assert "its own rules" in said


def test_simulate_states_both_figures(tmp_path: Path) -> None:
    """Wherever a router keeps less than the plan expects, one line names both figures."""
    config, requests = write_inputs(tmp_path, requests=200)
    plan = tmp_path / "plan.json"
    data = ("--config", config, "--requests", requests)
    servers = ("--gpus", "8", "--exclusive", "--time-limit", "5")
    assert gswarm("solve", *data, *servers, "-o", plan, "-q").exit_code == 0
    expected = json.loads(plan.read_text())["expected"]["server_efficiency"]
    run = ("simulate", "--plan", plan, *data)
    differing = 0
    for routing in ROUTERS:
        measured = json.loads(gswarm(*run, "--routing", routing, "--json", "-q").stdout)
        said = difference(expected, measured["summary"]["server_efficiency"], routing)
        differing += said is not None
        shown = " ".join(gswarm(*run, "--routing", routing).stdout.split())
        assert (said or "") in shown
        assert ("the plan expects" in shown) == (said is not None)
    assert differing
