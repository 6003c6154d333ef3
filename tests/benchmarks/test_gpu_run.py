"""The run on a GPU: a config that reads, arrivals at the load that was meant, times alone."""

from __future__ import annotations

from datetime import datetime

import pytest

from benchmarks.gpu_run import MODELS, WORKFLOWS, config, poisson, seconds_alone
from placement.files.config_file import build_workload
from placement.files.input_schema import ConfigFile

SECONDS = {"writer": 0.3, "drafter": 0.1, "judge": 0.04}


def test_the_config_is_what_solve_reads() -> None:
    """Chains in their order, every model's time."""
    workload = build_workload(ConfigFile.model_validate(config(SECONDS)))
    assert {m.id: m.service_time_s for m in workload.models} == SECONDS
    for flow in workload.workflows:
        chain = WORKFLOWS[flow.id]
        assert [workload.models[n.model].id for n in flow.nodes] == [m for _, m in chain]
        assert [(e.source, e.target) for e in flow.edges] == [
            (i, i + 1) for i in range(len(chain) - 1)
        ]


@pytest.mark.parametrize("load", [0.4, 0.7])
def test_arrivals_bring_the_load_that_was_asked(load: float) -> None:
    """Work a second of all requests together; equal parts of every workflow."""
    rows = poisson(20_000, load, SECONDS, seed=3)
    moments = [datetime.fromisoformat(r["timestamp"]) for r in rows]
    span_s = (moments[-1] - moments[0]).total_seconds()
    work_s = sum(SECONDS[m] for r in rows for _, m in WORKFLOWS[r["workflow_id"]])
    assert work_s / span_s == pytest.approx(load, rel=0.03)
    for name in WORKFLOWS:
        assert sum(r["workflow_id"] == name for r in rows) == pytest.approx(20_000 / 3, rel=0.05)


def test_a_slow_first_call_is_not_what_a_call_takes() -> None:
    """The median of each model's calls."""
    calls = [
        {"model_name": name, "start_time": 1.0, "end_time": 1.0 + seconds}
        for name in MODELS
        for seconds in (9.0, SECONDS[name], SECONDS[name] / 2)
    ]
    assert seconds_alone(calls) == pytest.approx(SECONDS)
