"""What a finished run says of itself, against its own arrays and the log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import placement
import runtime
from runtime.metrics import measure, request_latency

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def run() -> runtime.Run:
    workload = placement.read_config(CONFIGS / "small.yaml")
    trace = placement.read_requests(CONFIGS / "small_requests.yaml", workload)
    options = placement.SolveOptions(method="random")
    plan = placement.solve(workload, trace, placement.Cluster.homogeneous(8), options)
    return runtime.simulate(workload, trace, plan)


def test_the_table_of_requests_is_what_the_metrics_count(run: runtime.Run) -> None:
    """Latencies, and requests that ran whole on one server; some did, and some did not."""
    frame = run.request_frame()
    assert frame.height == run.metrics.total_requests
    np.testing.assert_array_equal(frame["latency_s"], request_latency(run))
    whole = frame["server"].drop_nulls()
    assert len(whole) == run.metrics.intra_server_workflows
    assert 0 < len(whole) < frame.height
    assert frame["completed"].sum() == run.metrics.completed_requests
    # A request that ran whole has all its executions on that server, any other on several.
    at = run.execution_frame().group_by("request_id").agg(pl.col("server_id").unique())
    both = frame.join(at, on="request_id")
    assert both.height == frame.height
    for server, servers in both.select("server", "server_id").iter_rows():
        assert (servers == [server]) == (server is not None)


def test_the_table_of_executions_is_the_log(run: runtime.Run, tmp_path: Path) -> None:
    """Row for row what `write_log` writes."""
    runtime.write_log(tmp_path / "log.parquet", run)
    assert run.execution_frame().equals(pl.read_parquet(tmp_path / "log.parquet"))


def test_the_summary_states_the_metrics(run: runtime.Run) -> None:
    """One line each; the first line of a notebook's table is the headline."""
    metrics = measure(run)
    assert metrics == run.metrics
    assert f"{metrics.request_latency.p99:,.3f} s" in run.summary()
    assert run.headline in repr(run)
    assert len(repr(run)) < 120
    assert run.headline.replace("&", "&amp;") in run._repr_html_()
