"""The verifier of bounds: honest certificates hold, forged ones do not, nothing false is proven."""

import ast
import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import placement.verify
from placement.heuristics import HEURISTICS
from placement.patterns import solve_patterns
from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.outcome import FormOutcome, SolveOptions
from placement.problem.plan import Plan
from placement.problem.plan_building import expected_metrics, route
from placement.problem.solution import evaluate
from placement.programs.routing import best_routing
from placement.solve import solve_instance
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from placement.verify import check_bound, proven_bound
from placement.verify.matrix_program import Clock, OutOfTime
from placement.verify.scaled_problem import Scaled
from placement.verify.whole_program import DirectProgram
from tests.placement import oracle
from tests.placement.cases import case
from tests.placement.heuristics.cases import random_instance
from tests.placement.patterns.trees import tree_of

HIGHS = SolverSettings(threads=1)
HERE = Path(placement.verify.__file__).parent


def test_the_verifier_imports_no_solver_of_plans() -> None:
    """Only the problem's data, what is stated, and libraries: no bound is proven by its maker."""
    allowed = {
        "placement.problem.blocks", "placement.problem.cluster", "placement.problem.instance",
        "placement.problem.gpu_sharing", "placement.problem.placement_rules",
        "placement.problem.plan", "placement.problem.shared_capacity", "placement.problem.space",
        "placement.support.equality", "placement.support.quiet",
    }  # fmt: skip
    assert len(list(HERE.glob("*.py"))) > 5
    for file in HERE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                ours = name.split(".")[0] in ("placement", "runtime", "cli")
                assert not ours or name in allowed or name.startswith("placement.verify"), file


def drawn(instance: Instance, rng: np.random.Generator, depth: int = 0) -> dict[str, object]:
    """Any multipliers for any rows that a file can name, and any splits."""
    flows = [instance.workflows[w] for w in instance.active_workflows]
    scale = float(rng.choice([0.0, 0.1, 0.5]))
    data: dict[str, object] = {
        "demand": {f.id: rng.normal(scale / 3, scale, len(f.node_model)).tolist() for f in flows},
        "replicas": rng.normal(0, scale, 40).tolist(),
    }
    if depth == 0:
        rows: list[dict[str, object]] = []
        for f in flows:
            links: list[dict[str, object]] = [{}, *({"link": e} for e in range(len(f.links)))]
            for link in links:
                for m in set(f.node_model.tolist()):
                    for kind in instance.cluster.server_types:
                        name = {"model": instance.model_ids[m], "speed": kind.speed}
                        rows.append({"workflow": f.id, **link, **name})
                rows.append({"workflow": f.id, **link, "share": float(rng.uniform(0.05, 1.2))})
        data["kept"] = rows
    if rng.random() < 0.4:
        data["enumerated"] = float(rng.uniform(0, 1))
    if depth < 2 and rng.random() < 0.5:
        count = int(rng.integers(1, 3))
        used = [instance.model_ids[m] for m in instance.used_models]
        names = [str(n) for n in rng.choice(used, count)]
        data["split"] = {
            "models": names,
            "threshold": int(rng.integers(0, 3)) if count == 1 else int(rng.integers(1, 3)),
            "most": float(rng.integers(0, 3)),
            "below": drawn(instance, rng, depth + 1),
            "above": drawn(instance, rng, depth + 1),
        }
    return data


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("block", range(2))
def test_no_certificate_whatever_proves_a_bound_below_the_optimum(
    block: int, exclusive: bool
) -> None:
    """Drawn multipliers, rows and splits: no bound falls below the best of brute force."""
    rng = np.random.default_rng(block)
    for seed in range(12):
        instance = case(9000 + 100 * block + seed, exclusive=exclusive)
        best = oracle.best_locality(instance)
        for _ in range(4):
            data = drawn(instance, rng)
            for goal in (None, best - 1e-3, best + 0.05):
                assert proven_bound(instance, data, goal=goal) >= best - 1e-6


@pytest.mark.parametrize("exclusive", [True, False])
def test_the_direct_bound_is_the_optimum_of_brute_force(exclusive: bool) -> None:
    """The whole program, written anew, has the optimum that all placements have."""
    for seed in range(25):
        instance = case(9500 + seed, exclusive=exclusive)
        scaled = Scaled(instance)
        answer = DirectProgram(scaled).program.maximise(Clock(None))
        bound = answer.bound / scaled.servers + scaled.constant
        assert bound == pytest.approx(oracle.best_locality(instance), abs=1e-5)


def plan_of(instance: Instance, found: FormOutcome, *, form: str) -> Plan:
    """A plan that states what a form of the program found."""
    options = SolveOptions(method="greedy", time_limit_s=5)
    result = solve_instance(instance, options)
    instance = replace(instance, load_cap=instance.load_cap)
    evaluation = evaluate(instance, found.solution)
    return Plan(
        instance=instance,
        node_ids=tuple(tuple(str(v) for v in range(len(w.node_model))) for w in instance.workflows),
        placement=found.solution.placement,
        load=found.solution.load,
        routing=route(instance, found.solution.flows),
        expected=expected_metrics(instance, evaluation),
        certificate=replace(
            result.certificate,
            method="ilp",
            form=form,
            objective=evaluation.objective,
            best_bound=found.best_bound,
            duals=found.duals,
        ),
        inputs={},
    )


def stating(plan: Plan, bound: float) -> Plan:
    return replace(plan, certificate=replace(plan.certificate, best_bound=bound))


@pytest.mark.parametrize("exclusive", [True, False])
def test_honest_bounds_hold_and_lower_ones_do_not(exclusive: bool) -> None:
    """By multipliers or by branch and bound: what is stated holds, less does not."""
    kinds = list[object]()
    for seed in range(40):
        if len(kinds) == 3:
            break
        instance = random_instance(
            seed, servers=3, gpus=4, models=5, workflows=3, load=0.6, exclusive=exclusive
        )
        instance = replace(instance, memory_per_gpu_gb=2.2 * instance.memory_per_gpu_gb)
        start = best_routing(instance, HEURISTICS["greedy"](instance, 0, None), HIGHS)
        if start is None:
            continue
        found = solve_patterns(instance, HIGHS, Budget(10), start=start, gap=1e-3)
        plan = plan_of(instance, found, form="patterns")
        if plan.certificate.best_bound >= 1:
            continue
        kinds.append("none" if found.duals is None else "enumerated" in str(found.duals))
        assert check_bound(plan).verdict == "holds", seed
        least = plan.certificate.objective - 1e-4
        lower = check_bound(stating(plan, least))
        assert lower.verdict == "does not hold"
        assert lower.recomputed > least
        direct = replace(plan, certificate=replace(plan.certificate, duals=None))
        assert check_bound(direct).verdict == "holds"
        assert check_bound(stating(direct, least)).verdict == "does not hold"
    assert len(kinds) == 3, kinds


@pytest.fixture(scope="module")
def tree() -> tuple[Instance, float, dict[str, Any]]:
    """An instance, its bound, and a certificate with splits, count rows and kept rows."""
    for seed in (2, 6, 7, 8, 12):
        instance = random_instance(seed, servers=3, gpus=3, models=5, workflows=3, load=0.6)
        instance = replace(instance, load_cap=0.9)
        direct = DirectProgram(scaled := Scaled(instance)).program.maximise(Clock(None))
        best = direct.bound / scaled.servers + scaled.constant
        node, bound, root = tree_of(instance, best, rounded=True)
        if root > bound + 1e-4:
            return instance, bound, node.as_json(normalize(instance))
    raise AssertionError("no case needs to branch")


def leaves(node: dict[str, Any]) -> list[dict[str, Any]]:
    split = node.get("split")
    return [node] if split is None else [*leaves(split["below"]), *leaves(split["above"])]


def test_an_honest_tree_holds(tree: tuple[Instance, float, dict[str, Any]]) -> None:
    """What branch and price proved is proven anew, and nothing much lower is."""
    instance, bound, data = tree
    assert len(leaves(data)) >= 2
    assert proven_bound(instance, data) == pytest.approx(bound, abs=1e-5)


def _no_split(data: dict[str, Any]) -> None:
    del data["split"]


def _lost_branch(name: str) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        data["split"][name] = {"demand": {}, "replicas": []}

    return change


def _every_dual(factor: float) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for leaf in leaves(data):
            leaf["demand"] = {k: [factor * x for x in v] for k, v in leaf["demand"].items()}

    return change


def _every_row(factor: float) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for leaf in leaves(data):
            leaf["replicas"] = [factor * x for x in leaf["replicas"]]

    return change


def _flipped(data: dict[str, Any]) -> None:
    split = data["split"]
    split["below"], split["above"] = split["above"], split["below"]


def _other_limit(data: dict[str, Any]) -> None:
    data["split"]["most"] += 1


FORGERIES: dict[str, Callable[[dict[str, Any]], None]] = {
    "no splits": _no_split,
    "a branch below without multipliers": _lost_branch("below"),
    "a branch above without multipliers": _lost_branch("above"),
    "branches crossed": _flipped,
    "another limit": _other_limit,
    "a limit that is no whole number": lambda d: d["split"].update(most=d["split"]["most"] + 0.5),
    "a feature of nobody": lambda d: d["split"].update(models=["nobody"]),
    "a negative threshold": lambda d: d["split"].update(threshold=-1),
    "cheaper demand": _every_dual(0.9),
    "dearer demand": _every_dual(1.2),
    "demand for nothing": _every_dual(0.0),
    "rows without multipliers": _every_row(0.0),
    "rows of the wrong sign": _every_row(-1.0),
    "heavier rows": _every_row(3.0),
    "multipliers that are no numbers": lambda d: leaves(d)[0].update(demand=float("nan")),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_tree_is_refused(name: str, tree: tuple[Instance, float, dict[str, Any]]) -> None:
    """Each change weakens what is proven, or changes nothing; it never makes it stronger."""
    instance, bound, data = tree
    forged = copy.deepcopy(data)
    FORGERIES[name](forged)
    proven = proven_bound(instance, forged)
    assert proven >= bound - 1e-5
    # A bound between the true one and what is proven is refused.
    assert proven > bound + 1e-5, "the change does not show: take another"
    claim = proven_bound(instance, forged, goal=bound)
    assert claim > bound


def test_stated_figures_that_say_more_than_the_rows_do_are_not_read() -> None:
    """Limits, weights or rates beside a row's name change nothing: rows come from the instance."""
    instance = random_instance(13, servers=12, gpus=4, models=7, workflows=5, load=0.6)
    start = best_routing(instance, HEURISTICS["greedy"](instance, 0, None), HIGHS)
    found = solve_patterns(instance, HIGHS, Budget(), start=start, gap=1e-4)
    assert found.duals is not None
    honest = proven_bound(instance, found.duals)
    assert honest == pytest.approx(found.best_bound, abs=1e-6)
    forged = copy.deepcopy(found.duals)
    for row in forged["kept"]:  # type: ignore[attr-defined]
        row |= {"limit": -9.0, "most": -9.0, "weight": [0.0], "rate": 1e-9}
    assert proven_bound(instance, forged) == pytest.approx(honest, abs=1e-9)


def test_the_unit_of_time_changes_no_verdict() -> None:
    """The same certificate for rates in seconds, days and microseconds proves the same bound."""
    instance = random_instance(13, servers=12, gpus=4, models=7, workflows=5, load=0.6)
    start = best_routing(instance, HEURISTICS["greedy"](instance, 0, None), HIGHS)
    found = solve_patterns(instance, HIGHS, Budget(), start=start, gap=1e-4)
    assert found.duals is not None
    for unit in (86400.0, 1e-6):
        flows = tuple(
            replace(w, rate=w.rate * unit, work_s=w.work_s / unit) for w in instance.workflows
        )
        again = proven_bound(replace(instance, workflows=flows), found.duals)
        assert again == pytest.approx(found.best_bound, abs=1e-6)


def test_no_time_decides_nothing() -> None:
    """Where the limit ends first, neither answer is given, by multipliers or without."""
    instance = random_instance(3, servers=3, gpus=4, models=5, workflows=3, load=0.7)
    start = best_routing(instance, HEURISTICS["greedy"](instance, 0, None), HIGHS)
    assert start is not None
    found = solve_patterns(instance, HIGHS, Budget(5), start=start, gap=1e-3)
    plan = plan_of(instance, found, form="patterns")
    for bound in (plan.certificate.best_bound, plan.certificate.objective - 0.01):
        for duals in (found.duals or {}, None):
            stated = replace(plan.certificate, best_bound=min(0.999, bound), duals=duals)
            checked = check_bound(replace(plan, certificate=stated), time_limit_s=0.0)
            assert checked.verdict == "not decided"
            assert "time limit" in checked.why
    many = Cluster((ServerType("s", 3_000_000, 4, 80.0),))
    large = replace(plan, instance=replace(instance, cluster=many))
    stated = replace(plan.certificate, best_bound=0.5, duals=None)
    checked = check_bound(replace(large, certificate=stated))
    assert (checked.verdict, "too large" in checked.why) == ("not decided", True)
    with pytest.raises(OutOfTime):
        proven_bound(instance, {}, clock=Clock(0.0))


@pytest.mark.parametrize("exclusive", [True, False])
def test_another_solver_says_the_same(exclusive: bool) -> None:
    """CBC, through PuLP, proves what HiGHS does."""
    for seed in range(4):
        instance = case(9700 + seed, exclusive=exclusive)
        data: dict[str, object] = {}
        one, two = (proven_bound(instance, data, solver=name) for name in ("HiGHS", "PULP_CBC_CMD"))
        assert one == pytest.approx(two, abs=1e-6)
        scaled = Scaled(instance)
        bounds = [
            DirectProgram(scaled).program.maximise(Clock(None), name).bound
            for name in ("HiGHS", "PULP_CBC_CMD")
        ]
        assert bounds[0] == pytest.approx(bounds[1], abs=1e-5)
