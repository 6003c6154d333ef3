"""The answer before the figures: each doubt decides the level it must, and says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import placement
from placement.problem.placement_rules import PlacementRules
from placement.problem.plan import Plan
from placement.problem.rules import Rules
from placement.problem.verdict import Verdict, covered, more_servers, plan_verdict, roomier_target

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.fixture(scope="module")
def plan() -> Plan:
    workload = placement.read_config(CONFIGS / "small.yaml")
    trace = placement.read_requests(CONFIGS / "small_requests.yaml", workload)
    rules = Rules(placement=PlacementRules(spares="fill"))
    return placement.solve(workload, trace, placement.Cluster.homogeneous(8), rules=rules)


def changed(plan: Plan, **fields: Any) -> Verdict:
    """The verdict on a plan with other figures, each where it belongs."""
    certificate = {k: v for k, v in fields.items() if hasattr(plan.certificate, k)}
    own = {k: v for k, v in fields.items() if k in ("dropped", "mode")}
    expected = {k: v for k, v in fields.items() if k not in certificate and k not in own}
    return plan_verdict(
        replace(
            plan,
            certificate=replace(plan.certificate, **certificate),
            expected=plan.expected | expected,
            **own,
        )
    )


@pytest.mark.parametrize(
    ("fields", "level", "words"),
    [
        ({}, "good", "no plan keeps more"),
        ({"max_utilization": 1.3}, "poor", "130%"),
        ({"max_utilization": 1.3, "mode": "offline"}, "good", "no plan keeps more"),
        ({"dropped": ("answer",)}, "poor", "answer cannot be served"),
        ({"headroom_simulated": 0.9}, "poor", "0.90 of the trace's rate"),
        ({"headroom_simulated": 1.02}, "fair", "little to spare"),
        ({"headroom_simulated": 1.5}, "good", "no plan keeps more"),
        ({"max_utilization": 0.9}, "fair", "target of 80%"),
        ({"status": "heuristic", "method": "greedy"}, "fair", "greedy is a heuristic"),
        ({"status": "time limit", "best_bound": 1.0, "gap": 0.5}, "poor", "nothing is proven"),
        ({"status": "time limit", "best_bound": 0.9, "gap": 0.5}, "fair", "0.9000"),
        ({"status": "gap", "gap": 0.003}, "good", "0.30%"),
        # A bound of 1 is known without a proof, and says all of a plan that comes to it.
        ({"status": "refined", "best_bound": 1.0, "gap": 1e-5}, "good", "no plan is better"),
        # The gravest doubt is the headline; the others are said too.
        ({"status": "heuristic", "max_utilization": 2.0}, "poor", "overload"),
    ],
)
def test_each_doubt_has_its_level(
    plan: Plan, fields: dict[str, Any], level: str, words: str
) -> None:
    """Red where requests cannot be served or nothing is proven, amber where there is a doubt."""
    verdict = changed(plan, **fields)
    assert verdict.level == level
    assert words in verdict.headline
    if "heuristic" in fields.values() and level == "poor":
        assert any("heuristic" in r.text for r in verdict.remarks)


def test_the_remarks_are_of_the_plan(plan: Plan) -> None:
    """The busiest GPU is one, and what is named as most of its work is; spares are counted."""
    evaluation = placement.problem.solution.evaluate(plan.instance, plan.solution())
    busiest = next(r.text for r in plan_verdict(plan).remarks if r.text.startswith("busiest"))
    gpu = int(busiest.split("GPU ")[1].split()[0])
    assert evaluation.gpu_load[gpu] == evaluation.max_utilization
    spare = sum(1 for load in plan.load if load <= 1e-9)
    assert spare
    assert any(f"{spare} replicas are spare" in r.text for r in plan_verdict(plan).remarks)


def test_a_workflow_that_is_spread_is_named(plan: Plan) -> None:
    """The one with the smallest share kept whole, with that share; nobody where all are whole."""
    whole = [r for r in plan.routing if r is not None]
    assert all(r.home.share.sum() == pytest.approx(1) for r in whole)
    assert not any("spread" in r.text for r in plan_verdict(plan).remarks)
    halves = [
        r if r is None or i else replace(r, home=replace(r.home, share=r.home.share / 2))
        for i, r in enumerate(plan.routing)
    ]
    halves[0] = replace(halves[0], spill=tuple(halves[0].home for _ in halves[0].spill))
    text = " ".join(r.text for r in plan_verdict(replace(plan, routing=tuple(halves))).remarks)
    assert f"{plan.workflow_ids[0]} is spread most: 50.0%" in text


def test_gpus_that_hold_something(plan: Plan) -> None:
    """Counted replica by replica."""
    held = np.zeros(plan.cluster.n_gpus, dtype=bool)
    for m, first in zip(plan.placement.model, plan.first_gpu, strict=True):
        held[first : first + plan.instance.gpus_required[m]] = True
    np.testing.assert_array_equal(covered(plan), held)
    fewer = replace(plan, placement=replace_first(plan), load=plan.load[:1])
    assert covered(fewer).sum() == plan.instance.gpus_required[plan.placement.model[0]]


def replace_first(plan: Plan) -> Any:
    """A placement of the first replica alone."""
    p = plan.placement
    return replace(p, model=p.model[:1], server=p.server[:1], start=p.start[:1])


@pytest.mark.parametrize(("busiest", "more"), [(0.8, 0), (1.6, 2), (1.0, 1), (2.4, 4)])
def test_servers_that_are_missing(plan: Plan, busiest: float, more: int) -> None:
    """Twice the servers halve every load."""
    assert plan.cluster.n_servers == 2
    assert more_servers(plan, busiest, 0.8) == more


@pytest.mark.parametrize(
    ("busiest", "borne", "target"),
    [(0.8, 0.97, 0.73), (0.9, 0.5, 0.42), (0.8, 1.0, None), (0.8, 1.4, None), (0.8, None, None)],
)
def test_a_target_that_leaves_room_for_queues(
    plan: Plan, busiest: float, borne: float | None, target: float | None
) -> None:
    """The load at which the simulated headroom, were it in proportion, would be narrow, or none."""
    expected = {k: v for k, v in plan.expected.items() if k != "headroom_simulated"}
    expected["max_utilization"] = busiest
    if borne is not None:
        expected["headroom_simulated"] = borne
    found = roomier_target(replace(plan, expected=expected))
    assert found == target
    if found is not None and borne is not None:
        assert busiest * borne / found >= 1.05


def test_a_doubt_is_known_as_its_figure_is(plan: Plan) -> None:
    """What a simulation bears out is simulated, also where another doubt is graver."""
    found = changed(plan, max_utilization=0.9, headroom_simulated=1.02)
    assert "target" in found.headline
    assert found.remarks[0].text.startswith("little to spare")
    assert found.remarks[0].known == "simulated"
