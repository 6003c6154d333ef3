"""What `check` refuses: figures that contradict each other, and traffic that goes nowhere."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from click.testing import CliRunner

from cli.main import main
from placement.check import check_plan
from placement.files.plan_file import read_plan, write_plan
from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance_building import build_instance
from placement.problem.model_rules import ModelRules
from placement.problem.names import Objective
from placement.problem.outcome import SolveOptions
from placement.problem.placement_rules import PlacementRules
from placement.problem.plan import Plan, Shares, WorkflowRouting
from placement.problem.plan_building import build_plan
from placement.problem.rules import Rules
from placement.problem.solution import Flows, Placement, Solution, evaluate, settle
from placement.problem.trace import Demand, Trace
from placement.problem.violations import violations
from placement.solve import solve_instance
from runtime.simulate import simulate
from tests.cli.inputs import write_inputs
from tests.placement.two_workflows import RATES, result_of, workload


@pytest.fixture(scope="module")
def plan() -> Plan:
    return build_plan(result_of(SolveOptions(time_limit_s=5)), workload())


@pytest.mark.parametrize("objective", ["mixed", "workflow", "edges", "cooccurrence"])
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_plan_states_what_was_solved(objective: Objective, mode: Any, tmp_path: Path) -> None:
    """Objective, alpha, mode, target and gap come from the result itself, and hold when read."""
    options = SolveOptions(
        method="greedy", mode=mode, max_utilization=0.7, gap=0.01, headroom_slack=0.1
    )
    write_plan(
        tmp_path / "plan.json", build_plan(result_of(options, objective=objective), workload())
    )
    stated = read_plan(tmp_path / "plan.json")
    assert stated.objective == objective
    assert stated.instance.alpha == {"mixed": 0.5, "workflow": 1.0}.get(objective, 0.0)
    assert (stated.mode, stated.max_utilization, stated.gap) == (mode, 0.7, 0.01)
    assert stated.certificate.headroom_slack == 0.1
    assert check_plan(stated) == []


@pytest.mark.parametrize("rate", [1.0, 20.0])
@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("method", ["ilp", "greedy", "local-search"])
def test_honest_plans_hold(method: str, mode: Any, rate: float) -> None:
    """Under the target and in overload, online and offline, by program and by heuristic."""
    options = SolveOptions(method=method, mode=mode, time_limit_s=5)
    assert check_plan(build_plan(result_of(options, rate=rate), workload())) == []


def test_noise_on_a_slow_server_takes_its_load_along() -> None:
    """A share too small to be stated is much load where a server is a million times slower."""
    result = result_of(SolveOptions(method="greedy"))
    slow = ServerType("slow", 1, 3, 80.0, speed=1e-6)
    cluster = Cluster((ServerType("fast", 1, 3, 80.0), slow))
    instance = replace(result.instance, cluster=cluster)
    placement = Placement.sorted(
        np.array([0, 1, 2] * 2), np.repeat([0, 1], 3), np.array([0, 1, 2] * 2)
    )
    noise = 4e-10
    columns = [
        (w, v, s, RATES[w] * (noise if s else 1 - noise))
        for w, nodes in enumerate((2, 1))
        for v in range(nodes)
        for s in (0, 1)
    ]
    w, v, s, rate = (np.array(c) for c in zip(*columns, strict=True))
    rough = Solution(placement, Flows(w, v, s, rate), np.ones(6))
    solution = settle(instance, rough)
    assert solution.load[3] > 1e-4
    evaluation = evaluate(instance, solution)
    noisy = replace(result, instance=instance, solution=solution, evaluation=evaluation)
    plan = build_plan(noisy, workload())
    assert [len(r.home.server) for r in plan.routing if r is not None] == [1, 1]
    assert not plan.load[3:].any()
    assert violations(plan.instance, plan.solution()) == []


def claiming(plan: Plan, **figures: Any) -> Plan:
    """State other figures in the certificate."""
    return replace(plan, certificate=replace(plan.certificate, **figures))


def apart(plan: Plan, gap: float) -> Plan:
    """State a bound that leaves this gap."""
    objective = plan.certificate.objective
    return claiming(plan, best_bound=objective * (1 + gap), gap=gap)


LIES = [
    ("optimal with a gap", 1e-3, "ilp", "optimal", 1e-4, "is 'work limit'"),
    ("optimal within the gap asked for", 1e-3, "ilp", "optimal", 1e-2, "is 'gap'"),
    ("within a gap that is not reached", 1e-3, "ilp", "gap", 1e-4, "is 'work limit'"),
    ("stopped by time although close enough", 1e-3, "ilp", "time limit", 1e-2, "is 'gap'"),
    ("a gap asked for that nobody states", 1e-3, "ilp", "gap", None, "no gap asked for"),
    ("a heuristic that proves", 0.0, "greedy", "optimal", 1e-4, "is 'heuristic'"),
    ("a program that proves nothing", 1e-3, "ilp", "heuristic", 1e-4, "is 'work limit'"),
    ("an unknown status", 1e-3, "ilp", "perfect", 1e-4, "is no status"),
]


@pytest.mark.parametrize(("name", "gap", "method", "status", "wanted", "words"), LIES)
def test_a_status_is_what_its_gap_says(
    name: str, gap: float, method: str, status: Any, wanted: float | None, words: str, plan: Plan
) -> None:
    """Optimal up to 1e-6, gap up to the one asked for, heuristic for every heuristic."""
    far = apart(replace(plan, gap=wanted), gap)
    faults = check_plan(claiming(far, method=method, status=status))
    assert len(faults) == 1, name
    assert words in faults[0]


@pytest.mark.parametrize(
    ("gap", "status", "wanted"),
    [(9e-7, "optimal", 1e-4), (1e-3, "gap", 1e-3), (1e-3, "time limit", 1e-4), (1e-3, "work limit",
     1e-4), (1e-3, "interrupted", None), (1e-3, "refined", 1e-2)],
)  # fmt: skip
def test_a_status_that_is_earned_holds(
    gap: float, status: Any, wanted: float | None, plan: Plan
) -> None:
    """The other side of every limit."""
    assert check_plan(claiming(apart(replace(plan, gap=wanted), gap), status=status)) == []


def test_the_gap_is_that_of_the_figures_beside_it(plan: Plan) -> None:
    """A gap just under the limit of optimality is found out where the bound says otherwise."""
    far = apart(plan, 1.5e-6)
    assert any("gap" in f for f in check_plan(claiming(far, gap=9e-7, status="optimal")))


def test_a_bound_is_not_below_the_plan(plan: Plan) -> None:
    """Not even where the gap, which is never negative, and the status agree with it."""
    objective = plan.certificate.objective
    for below, wrong in ((1e-3, True), (1e-9, False)):
        stated = claiming(plan, best_bound=objective - below, gap=0.0, status="optimal")
        faults = check_plan(stated)
        assert [f[:35] for f in faults] == ["certificate: no bound can be below "] * wrong


def test_the_cap_follows_from_the_least_load_and_the_mode(plan: Plan) -> None:
    """A looser or a tighter cap, another mode, another target, another slack: each is said."""
    upper = plan.certificate.bottleneck_upper
    assert upper < 0.8
    offline = (1 + plan.certificate.headroom_slack) * upper
    for cap, mode, target, slack in (
        (0.9, "online", 0.8, 0.05),
        (0.8, "offline", 0.8, 0.05),
        (0.8, "online", 0.9, 0.05),
        (0.8, "online", upper / 2, 0.05),
        (0.8, "online", 0.8, -0.1),
    ):
        stated = claiming(plan, load_cap=cap, headroom_slack=slack)
        stated = replace(
            stated,
            instance=replace(plan.instance, load_cap=cap),
            mode=mode,
            max_utilization=target,
        )
        assert any("load_cap" in f or "slack" in f for f in check_plan(stated)), (cap, mode)
    assert offline < 0.8
    # Routed for the mean of several demands, a plan may need the cap of all, and claims nothing.
    for status, bound, cap, said in (
        ("refined", 1.0, 0.9, False),
        ("refined", 0.999, 0.9, True),
        ("refined", 1.0, 0.7, True),
        ("gap", 1.0, 0.9, True),
    ):
        stated = claiming(plan, load_cap=cap, status=status, best_bound=bound)
        stated = replace(stated, instance=replace(plan.instance, load_cap=cap))
        assert any(f.startswith("rules: load_cap") for f in check_plan(stated)) == said
    for upper, lower in ((0.1, 0.2), (0.9, 0.89), (0.5, -0.1)):
        stated = claiming(plan, bottleneck_lower=lower, bottleneck_upper=upper)
        assert any("bottleneck" in f for f in check_plan(stated))


def with_rare(plan: Plan, home: Shares, spill: Shares) -> Plan:
    """Route the second workflow, of which one request comes in ten million, in this way."""
    common, rare = plan.instance.workflows
    instance = replace(plan.instance, workflows=(common, replace(rare, rate=1e-7)))
    routing = (plan.routing[0], WorkflowRouting(home, (spill,)))
    return replace(plan, instance=instance, routing=routing)


def of_rare(plan: Plan) -> list[str]:
    return [f for f in check_plan(plan) if "rare" in f or "without a replica" in f]


def test_a_rare_workflow_is_served_like_any_other(plan: Plan) -> None:
    """One request in ten million: routed nowhere, by half, or where no replica is, it is missed."""
    none = Shares(np.zeros(0, dtype=np.int64), np.zeros(0))
    held = {
        s
        for m, s in zip(plan.placement.model, plan.placement.server, strict=True)
        if plan.model_ids[m] == "c"
    }
    here = np.array([min(held)])
    assert of_rare(with_rare(plan, Shares(here, np.ones(1)), none)) == []
    for share in (0.0, 0.5, 1.001):
        assert of_rare(with_rare(plan, Shares(here, np.array([share])), none))
    assert of_rare(with_rare(plan, none, none))
    one_server = Placement(np.array([0, 1, 2]), np.zeros(3, dtype=np.int64), np.array([0, 0, 1]))
    away = replace(plan, placement=one_server, load=np.zeros(3))
    routed = with_rare(away, Shares(np.array([1]), np.ones(1)), none)
    assert any("no replica of c" in f for f in of_rare(routed))


def test_check_and_simulate_read_replicas_in_any_order(plan: Plan, tmp_path: Path) -> None:
    """A file whose replicas are out of order is read as if they were in it; both commands agree."""
    write_plan(tmp_path / "plan.json", plan)
    data = orjson.loads((tmp_path / "plan.json").read_bytes())
    data["replicas"].reverse()
    (tmp_path / "other.json").write_bytes(orjson.dumps(data))
    one, other = read_plan(tmp_path / "plan.json"), read_plan(tmp_path / "other.json")
    assert other.placement == one.placement
    assert (other.load == one.load).all()
    assert check_plan(replace(other, intact=True)) == []
    trace = Trace(
        request_ids=("r0", "r1"),
        arrival_s=np.array([0.0, 1.0]),
        workflow=np.array([0, 1]),
        offset=np.array([0, 2, 3]),
        service_s=np.full(3, 0.3),
        start=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert simulate(workload(), trace, other) == simulate(workload(), trace, one)


def test_check_and_simulate_refuse_a_file_in_the_same_words(plan: Plan, tmp_path: Path) -> None:
    """A replica twice, a full GPU, an id twice: both name the file, what is wrong, and a remedy."""
    config, requests = write_inputs(tmp_path)
    write_plan(tmp_path / "plan.json", plan)
    data = orjson.loads((tmp_path / "plan.json").read_bytes())
    first = data["replicas"][0]
    for replica, words in (
        ({**first, "id": 99}, "same GPUs"),
        ({**first, "id": 99, "model": "a" if first["model"] != "a" else "b"}, "GB placed"),
        ({**data["replicas"][-1], "id": 0}, "appears twice"),
    ):
        data["models"] = [m | {"memory_per_gpu_gb": 79.0} for m in data["models"]]
        bad = data | {"replicas": [*data["replicas"], replica]}
        (tmp_path / "bad.json").write_bytes(orjson.dumps(bad))
        said = []
        for arguments in (
            ["check", "bad.json"],
            ["simulate", "--plan", "bad.json", "--config", config, "--requests", requests],
        ):
            arguments = [str(tmp_path / a if a == "bad.json" else a) for a in arguments]
            done = CliRunner().invoke(main, arguments)
            assert done.exit_code == (1 if arguments[0] == "check" else 2), done.output
            lines = [line.split(": ", 1)[1] for line in done.output.splitlines() if words in line]
            assert "bad.json" in lines[0] and "; " in lines[0], done.output
            said.append(lines)
        assert said[0] == said[1]


def test_a_plan_is_judged_by_its_rules(plan: Plan, tmp_path: Path) -> None:
    """They come back from the file, and whatever breaks them is named."""
    rules = PlacementRules(models={"a": ModelRules(min_replicas=1, spread=2), "c": ModelRules(1)})
    demand = Demand(np.array([1, 1]), RATES, (np.full(2, 0.3), np.full(1, 0.3)), 1.0)
    instance = build_instance(workload(), demand, Cluster.homogeneous(4, 2), Rules(placement=rules))
    made = build_plan(solve_instance(instance, SolveOptions(time_limit_s=5)), workload())
    write_plan(tmp_path / "plan.yaml", made)
    read = read_plan(tmp_path / "plan.yaml")
    assert read.instance.placement_rules == rules
    assert check_plan(read) == []
    wrong = PlacementRules(models={"b": ModelRules(min_replicas=20), "c": ModelRules(spread=9)})
    broken = replace(plan, instance=replace(plan.instance, placement_rules=wrong))
    faults = check_plan(broken)
    assert any("min_replicas is 20" in fault for fault in faults)
    assert any("spread is 9" in fault for fault in faults)
