"""A recorded run gives the trace back that the servers were given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placement.files.request_file import read_requests
from placement.support.faults import InputError
from runtime.live.inputs import NOTHING, RequestInput, read_inputs
from runtime.live.record import measured_service, write_record
from runtime.simulate import simulate_placement
from tests.runtime.cases import random_case, without_ties


def run_of(seed: int, sharing: Any) -> Any:
    case = without_ties(random_case(seed, network=False, sharing=sharing), seed)
    run = simulate_placement(case.workload, case.trace, case.cluster, case.placement, case.routing)
    return case, run


@pytest.mark.parametrize("sharing", ["time-sliced", "serial"])
def test_the_service_times_of_a_simulated_run_come_back(sharing: str) -> None:
    """Speeds, batches, neighbours and queues are taken out again."""
    compared = special = 0
    for seed in range(250):
        case, run = run_of(seed, sharing)
        if len(run.problem.prefill_s):
            continue  # a prefill cannot be told apart
        if sharing == "serial" and run.problem.batches and run.problem.shares_gpus:
            continue  # nor who of a batch waited for whose neighbour
        found = measured_service(run)
        expected = np.where(run.ran, case.trace.service_s, 0.0)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
        compared += int(run.ran.sum())
        special += run.problem.shares_gpus or run.problem.batches
    assert compared > 1000
    assert special > 20


@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_a_record_is_a_trace(ending: str, tmp_path: Path) -> None:
    """It is read as any other, with the inputs, and holds only what completed."""
    case, run = next(
        (c, r)
        for seed in range(100)
        for c, r in [run_of(seed, "time-sliced")]
        if 0 < r.completed.sum() < len(r.completed)
    )
    n = len(case.trace.request_ids)
    inputs = [RequestInput({"prompt": f"é {i}"}, {"n0": 1}) if i % 2 else NOTHING for i in range(n)]
    path = tmp_path / f"record.{ending}"
    kept = [case.trace.request_ids[r] for r in np.flatnonzero(run.completed)]
    assert write_record(path, run, inputs) == len(kept)
    trace = read_requests(path, case.workload)
    assert list(trace.request_ids) == kept
    first = case.trace.arrival_s[np.flatnonzero(run.completed)]
    np.testing.assert_allclose(trace.arrival_s, first - first[0], atol=2e-6)
    numbers = np.flatnonzero(run.completed).tolist()
    assert read_inputs(path, kept) == tuple(inputs[r] for r in numbers)


def test_a_name_that_tells_no_format_is_refused(tmp_path: Path) -> None:
    """And nothing is written."""
    _, run = run_of(0, "serial")
    with pytest.raises(InputError, match="tells no format"):
        write_record(tmp_path / "record.txt", run, [])
    assert list(tmp_path.iterdir()) == []


def test_a_record_of_nothing_is_an_empty_list(tmp_path: Path) -> None:
    """Valid JSON all the same."""
    _, run = next(
        (c, r) for s in range(300) for c, r in [run_of(s, "serial")] if not r.completed.any()
    )
    path = tmp_path / "record.json"
    assert write_record(path, run, [NOTHING] * len(run.completed)) == 0
    assert json.loads(path.read_text()) == {"requests": []}
