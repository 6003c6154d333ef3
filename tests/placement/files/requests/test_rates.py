"""Rates in place of a trace: the demand is theirs, and the trace that is drawn has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from placement.files.config_file import read_config
from placement.files.request_file import read_requests
from placement.problem.trace import measure_demand
from placement.support.faults import InputError

CONFIG = """
models:
  a: {name: a, memory_gb: 8, gpus_required: 1, load_time_seconds: 1, inference_time_mean: 2,
      inference_time_std: 1}
  b: {name: b, memory_gb: 8, gpus_required: 1, load_time_seconds: 1}
workflows:
  one: {nodes: [{id: x, model: a}, {id: y, model: a}], edges: [{from: x, to: y}]}
  two: {nodes: [{id: x, model: a}]}
  silent: {nodes: [{id: x, model: b}]}
"""


def write(tmp_path: Path, text: str) -> Path:
    (tmp_path / "c.yaml").write_text(CONFIG)
    (tmp_path / "r.yaml").write_text(text)
    return tmp_path / "r.yaml"


def test_demand_is_what_the_file_says_and_the_trace_has_it(tmp_path: Path) -> None:
    """Exactly in the demand; in the trace within what chance leaves (four deviations)."""
    path = write(tmp_path, "rates: {one: 1.5, two: 0.5}\nseconds: 4000\nseed: 3\n")
    workload = read_config(tmp_path / "c.yaml")
    trace = read_requests(path, workload)
    demand = measure_demand(workload, trace)
    np.testing.assert_array_equal(demand.rate, [1.5, 0.5, 0.0])
    for w, rate in enumerate([1.5, 0.5]):
        assert abs(demand.requests[w] - rate * 4000) < 4 * np.sqrt(rate * 4000)
    assert trace.span_s == pytest.approx(4000, rel=0.01)
    assert trace.service_s.mean() == pytest.approx(2.0, rel=0.05)
    assert trace.service_s.std() == pytest.approx(1.0, rel=0.1)
    gaps = np.diff(trace.arrival_s)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)  # exponential
    again = read_requests(path, workload)
    np.testing.assert_array_equal(again.service_s, trace.service_s)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("rates: {on: 1}", "did you mean 'one'"),
        ("rates: {one: 0}", "are all 0"),
        ("rates: {one: -1}", r"rates\.one"),
        ("rates: {silent: 1}", "states no service time"),
        ("rates: {one: 1}\nseconds: 0", "makes a trace of 0 requests"),
    ],
)
def test_wrong_rates_are_named(tmp_path: Path, text: str, wrong: str) -> None:
    """Each with its place and what to do."""
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=wrong):
        read_requests(path, read_config(tmp_path / "c.yaml"))
