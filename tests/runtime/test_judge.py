"""Plans judged by simulation: what a score is made of, and that the judge's traces are unseen."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from placement.problem.cluster import Cluster
from placement.problem.instance_building import build_instance
from placement.problem.outcome import SolveOptions, SolveResult
from placement.problem.plan_building import route
from placement.problem.trace import Trace
from placement.problem.workload import Workload
from placement.solve import solve_instance
from runtime.judge import METRICS, Judge
from runtime.metrics import measure
from runtime.result import RunResult
from runtime.simulate import Dispatch, simulate_placement
from tests.runtime.cases import chain, model, trace_of

WORKLOAD = Workload((model("a"), model("b", 2)), (chain(2), replace(chain(1), id="single")))


@cache
def problem() -> tuple[Trace, SolveResult, SolveResult]:
    """A trace, and two plans for it of which the second has fewer replicas."""
    rng = np.random.default_rng(0)
    workflow = rng.integers(0, 2, 60)
    sizes = np.array([len(w.nodes) for w in WORKLOAD.workflows])[workflow]
    arrival = np.cumsum(rng.exponential(1.0, 60))
    trace = trace_of(WORKLOAD, arrival - arrival[0], workflow, rng.exponential(0.8, sizes.sum()))
    found = []
    for gpus in (8, 4):
        instance = build_instance(WORKLOAD, trace, Cluster.homogeneous(gpus, 4))
        found.append(solve_instance(instance, SolveOptions(method="greedy")))
    return trace, found[0], found[1]


def judge_of(metric: str, **fields: Any) -> Judge:
    trace, _, _ = problem()
    given = {"seed": 3, "training": 0, "unseen": 4} | fields
    return Judge(WORKLOAD, trace, "online", "locality", metric, **given)


def run_of(result: SolveResult) -> RunResult:
    trace, _, _ = problem()
    return simulate_placement(
        WORKLOAD,
        trace,
        result.instance.cluster,
        result.solution.placement,
        route(result.instance, result.solution.flows),
        dispatch=Dispatch(policy="locality"),
    )


@pytest.mark.parametrize("metric", METRICS)
def test_a_score_is_the_metric_and_less_is_better(metric: str) -> None:
    """On the trace alone it is the metric itself, turned where more is better."""
    _, first, _ = problem()
    measured = measure(run_of(first))
    wanted = {
        "p99": measured.request_latency.p99,
        "mean-latency": measured.request_latency.mean,
        "makespan": measured.makespan_s,
        "se": -measured.server_efficiency,
        "csc": measured.cross_server_communications,
        "variance": measured.utilization_variance,
    }[metric]
    found = judge_of(metric).scorer(first)(first.solution)
    assert found.value == pytest.approx(wanted)


def test_pressure_is_the_time_that_calls_of_a_model_wait() -> None:
    """Added up over its executions."""
    _, _, second = problem()
    run = run_of(second)
    waited = np.zeros(2)
    for e in np.flatnonzero(run.ran):
        waited[second.solution.placement.model[run.replica[e]]] += run.start_s[e] - run.ready_s[e]
    found = judge_of("p99").scorer(second)(second.solution)
    assert waited.max() > 0
    assert found.pressure == pytest.approx(waited)


def test_what_is_worse_on_the_trace_alone_is_out_of_the_question() -> None:
    """Infinitely bad, whatever other traces would say."""
    _, first, second = problem()
    judge = judge_of("mean-latency", training=3)
    # The smaller cluster is part of the larger one.
    assert judge.scorer(first)(second.solution).value == np.inf
    assert np.isfinite(judge.scorer(first)(first.solution).value)
    assert np.isfinite(judge.scorer(second)(second.solution).value)


def test_the_training_traces_count_and_the_judges_are_others() -> None:
    """A score is the mean over the trace and the training ones; the unseen are none of them."""
    _, first, _ = problem()
    judge = judge_of("makespan", training=2, unseen=3)
    training, unseen = judge._resampled(0, 2), judge._resampled(2, 3)
    drawn = [tuple(t.service_s) for t in (*training, *unseen)]
    assert len(set(drawn)) == 5
    values = [
        run.end_s.max()
        for run in (run_of(first), *(judge._run(first, first.solution, t) for t in training))
    ]
    assert judge.scorer(first)(first.solution).value == pytest.approx(np.mean(values))
    verdict = judge.compare(first, first)
    assert [a.makespan_s for a, _ in verdict.unseen] == [
        judge._run(first, first.solution, t).end_s.max() for t in unseen
    ]


def test_what_is_gained_is_the_first_less_the_second() -> None:
    """Positive where the second is better; nothing between a plan and itself."""
    _, first, second = problem()
    judge = judge_of("mean-latency")
    better = judge.compare(second, first)
    gains = [a.request_latency.mean - b.request_latency.mean for a, b in better.unseen]
    assert better.gained.mean == pytest.approx(np.mean(gains)) and better.gained.mean > 0
    assert judge.compare(first, first).gained.mean == 0
    one, other = better.on_trace
    assert one.request_latency.mean > other.request_latency.mean
