"""One scale for every program: nothing depends on the unit of time, and nothing rare is lost."""

from dataclasses import replace

import numpy as np
import pytest

from placement.problem.instance import Instance
from placement.problem.normalization import normalize, restore
from placement.problem.outcome import SolveOptions
from placement.problem.solution import Flows, Solution, evaluate, settle
from placement.problem.violations import violations
from placement.programs.least_load import in_proportion, least_bottleneck
from placement.programs.routing import RoutingProgram, best_routing
from placement.solve import solve_instance
from placement.solver.milp import SolverSettings
from tests.placement import oracle

SETTINGS = SolverSettings(threads=1)
SECONDS = {"days": 86_400.0, "microseconds": 1e-6, "a seventh": 1 / 7, "decades": 3.1536e8}


def in_unit(instance: Instance, seconds: float) -> Instance:
    """The same instance by a clock whose unit is that many seconds."""
    return replace(
        instance,
        workflows=tuple(
            replace(w, rate=w.rate * seconds, work_s=w.work_s / seconds) for w in instance.workflows
        ),
    )


def drawn(seed: int, *, exclusive: bool = False, rare: float = 1.0) -> Instance:
    """A tiny instance whose last workflow has only a part of its rate."""
    rng = np.random.default_rng([seed, exclusive])
    while True:
        instance = oracle.random_instance(rng, exclusive=exclusive, load_cap=0.8)
        if len(instance.workflows) > 1:
            break
    *others, last = instance.workflows
    return replace(instance, workflows=(*others, replace(last, rate=last.rate * rare)))


@pytest.mark.parametrize("unit", SECONDS)
@pytest.mark.parametrize("seed", range(20))
def test_the_unit_of_time_leaves_no_trace(seed: int, unit: str) -> None:
    """Instances that differ by their clock alone are one instance, bit by bit."""
    instance = drawn(seed, rare=1e-7)
    assert normalize(in_unit(instance, SECONDS[unit])) == normalize(instance)


@pytest.mark.parametrize("form", ["compact", "patterns"])
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_every_clock_gives_the_same_plan(mode: str, form: str) -> None:
    """Objective, bound, placement and rates are the same in seconds and microseconds."""
    instance = drawn(4)
    options = SolveOptions(mode=mode, form=form, time_limit_s=30.0)  # type: ignore[arg-type]
    first = solve_instance(instance, options)
    unit = SECONDS["microseconds"]
    other = solve_instance(in_unit(instance, unit), options)
    assert other.certificate.objective == first.certificate.objective
    assert other.certificate.best_bound == first.certificate.best_bound
    assert other.solution.placement == first.solution.placement
    assert other.certificate.load_cap == pytest.approx(first.certificate.load_cap, rel=1e-12)
    np.testing.assert_allclose(
        other.solution.flows.rate, first.solution.flows.rate * unit, rtol=1e-12
    )
    np.testing.assert_allclose(other.solution.load, first.solution.load, rtol=1e-9)


@pytest.mark.parametrize("rare", [1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("form", ["compact", "patterns"])
def test_a_rare_workflow_is_served_in_full(form: str, exclusive: bool, rare: float) -> None:
    """However rare, every request has its replicas, and the bound is that of brute force."""
    instance = drawn(7, exclusive=exclusive, rare=rare)
    options = SolveOptions(form=form, time_limit_s=30.0)  # type: ignore[arg-type]
    result = solve_instance(instance, options)
    assert not violations(result.instance, result.solution)
    best = oracle.best_locality(result.instance)
    assert result.certificate.objective <= best + 1e-6 <= result.certificate.best_bound + 2e-6
    for w, flow in enumerate(result.instance.workflows):
        mine = result.solution.flows.workflow == w
        for v in range(len(flow.node_model)):
            rate = result.solution.flows.rate[mine & (result.solution.flows.node == v)].sum()
            assert rate == pytest.approx(flow.rate, rel=1e-14)


@pytest.mark.parametrize("slow", [1e-6, 1.0, 1e6])
def test_slow_and_fast_services_give_the_optimum(slow: float) -> None:
    """Services of microseconds and of weeks, at rates to match, leave no solver in the dark."""
    instance = in_unit(drawn(11), 1 / slow)
    for form in ("compact", "patterns"):
        options = SolveOptions(form=form, time_limit_s=30.0, gap=0.0)  # type: ignore[arg-type]
        result = solve_instance(instance, options)
        best = oracle.best_locality(drawn(11))
        assert result.certificate.objective == pytest.approx(best, abs=1e-6)


def test_a_normalized_instance_is_one_already() -> None:
    """Whoever normalizes what is normalized gets it back."""
    normal = normalize(drawn(1))
    assert normalize(normal) is normal
    assert all(w.rate == 0 or w.rate >= 1 for w in normal.workflows)
    assert normal.total_rate == pytest.approx(1.0)


@pytest.mark.parametrize("most_load", [None, 0.0, 0.3, 5.0])
def test_only_the_units_differ(most_load: float | None) -> None:
    """Requests, work and cap are those of the instance, in units that make them short numbers."""
    for seed in range(20):
        instance = replace(
            drawn(seed, exclusive=seed % 2 > 0, rare=10.0 ** -(seed % 7)), load_cap=0.7
        )
        normal = normalize(instance, most_load)
        unit = normal.load_unit
        assert unit is not None
        wanted = max(instance.load_cap if most_load is None else most_load, instance.load_floor)
        assert unit == pytest.approx(wanted)
        assert normal.load_cap * unit == pytest.approx(instance.load_cap)
        np.testing.assert_allclose(normal.model_work * unit, instance.model_work)
        for flow, given in zip(normal.workflows, instance.workflows, strict=True):
            assert flow.request_rate == pytest.approx(given.rate / instance.total_rate)
            # Units of about what one server serves, or all that there is.
            share = max(
                given.rate / instance.total_rate,
                given.rate * given.work_s @ instance.gpus_required[given.node_model]
                / instance.offered_load.sum(),
            )  # fmt: skip
            assert (
                abs(np.log2(flow.rate) - max(0.0, np.log2(instance.cluster.n_servers * share)))
                < 0.51
            )
            for number in (flow.rate, flow.unit, normal.load_cap, *flow.work_s):
                assert float(np.frexp(number)[0] * 2.0**32).is_integer()


@pytest.mark.parametrize("seed", range(5))
def test_what_is_found_is_worth_the_same_restored(seed: int) -> None:
    """Locality and loads of a normalized solution are those of the restored one."""
    instance = drawn(seed, rare=1e-4)
    normal = normalize(instance)
    placement = solve_instance(instance, SolveOptions(method="greedy")).solution.placement
    _, found = least_bottleneck(normal, placement, SETTINGS)
    given, scaled = evaluate(instance, restore(instance, normal, found)), evaluate(normal, found)
    assert given.objective == pytest.approx(scaled.objective, rel=1e-9)
    np.testing.assert_allclose(given.gpu_load, scaled.gpu_load * (normal.load_unit or 0.0))


def test_rates_and_loads_are_settled() -> None:
    """What a solver leaves over is spread in proportion; what it does not serve stays unserved."""
    instance = drawn(2)
    placement = solve_instance(instance, SolveOptions(method="greedy")).solution.placement
    exact = best_routing(replace(instance, load_cap=100.0), placement, SETTINGS)
    assert exact is not None
    rough = Solution(
        placement,
        replace(exact.flows, rate=exact.flows.rate * (1 - 3e-7)),
        exact.load * (1 + 1e-6),
    )
    mended = settle(instance, rough)
    np.testing.assert_allclose(mended.flows.rate, exact.flows.rate, rtol=1e-12)
    np.testing.assert_allclose(mended.load, exact.load, rtol=1e-9)
    idle = settle(instance, replace(rough, load=np.zeros(placement.n_replicas)))
    assert not violations(replace(instance, load_cap=100.0), idle)
    half = settle(
        instance,
        replace(rough, flows=replace(exact.flows, rate=exact.flows.rate / 2)),
        elastic=True,
    )
    np.testing.assert_allclose(half.flows.rate, exact.flows.rate / 2)
    np.testing.assert_allclose(half.load, exact.load / 2, rtol=1e-9)
    nothing = np.zeros(0, dtype=np.int64)
    empty = settle(instance, replace(rough, flows=Flows(nothing, nothing, nothing, np.zeros(0))))
    assert not empty.load.any()


def test_a_program_is_scaled_whoever_makes_it() -> None:
    """Coefficients of a program over microseconds lie within what solvers tell apart."""
    instance = in_unit(drawn(3), 1e-6)
    placement = solve_instance(instance, SolveOptions(method="greedy")).solution.placement
    program = RoutingProgram(instance, placement, -1)
    sizes = [abs(c) for row in program.problem.constraints.values() for c in row.values()]
    assert 1e-4 < min(sizes) <= max(sizes) < 1e4


def test_requests_of_a_model_without_load_are_routed() -> None:
    """Where a solver sees no load at all for a model, its replicas share its requests."""
    instance = drawn(2)
    placement = solve_instance(instance, SolveOptions(method="greedy")).solution.placement
    load = np.where(placement.model == placement.model[0], 0.0, 1.0)
    assert not violations(
        replace(instance, load_cap=100.0), in_proportion(instance, placement, load)
    )


@pytest.mark.parametrize("seconds", [1.0, 1e9])
def test_loads_are_judged_by_the_load_that_there_is(seconds: float) -> None:
    """A cap of a billionth is a cap: a plan that is a tenth above it is told."""
    instance = drawn(5)
    rare = replace(
        instance,
        workflows=tuple(replace(w, rate=w.rate / seconds) for w in instance.workflows),
    )
    result = solve_instance(rare, SolveOptions(mode="offline", time_limit_s=20.0))
    assert not violations(result.instance, result.solution)
    tight = replace(result.instance, load_cap=result.evaluation.max_utilization / 1.1)
    assert any("exceeds the cap" in fault for fault in violations(tight, result.solution))
