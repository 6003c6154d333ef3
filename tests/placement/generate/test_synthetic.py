"""Synthetic configs and traces are valid, reproducible, and carry the load asked for."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from placement.files.config_file import read_config
from placement.files.request_file import read_requests
from placement.generate.arrivals import arrival_times
from placement.generate.synthetic import (
    SyntheticTrace,
    rate_for_load,
    synthetic_config,
    synthetic_trace,
    write_config,
)
from placement.generate.trace_writer import TIMES, write_requests
from placement.problem.cluster import Cluster
from placement.problem.instance_building import build_instance
from placement.problem.trace import measure_demand
from placement.problem.workload import Model, Node, Workflow, Workload

FORMATS = ("yaml", "json", "jsonl", "csv", "parquet")


def made(folder: Path, seed: int, requests: int = 300) -> tuple[Workload, SyntheticTrace]:
    path = folder / "config.yaml"
    write_config(path, synthetic_config(6, 4, seed=seed))
    workload = read_config(path)
    times = arrival_times("poisson", requests, 5.0, seed=seed)
    return workload, synthetic_trace(workload, times, seed=seed)


@pytest.mark.parametrize("block", [1, 2, 4, 8])
def test_configs_are_valid_and_keep_to_the_largest_block(block: int, tmp_path: Path) -> None:
    """Every seed gives a config that the reader takes: DAGs of two to six nodes, known models."""
    path = tmp_path / "config.json"
    for seed in range(10):
        write_config(path, synthetic_config(12, 6, seed=seed, largest_block=block))
        workload = read_config(path)
        assert max(m.gpus_required for m in workload.models) <= block
        assert all(2 <= len(w.nodes) <= 6 for w in workload.workflows)
        assert all(m.service_time_s for m in workload.models)
        assert (len(workload.models), len(workload.workflows)) == (12, 6)


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_written_is_what_is_read(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrivals to the microsecond, service times to six digits, across the seams of chunks."""
    monkeypatch.setattr("placement.generate.trace_writer.WRITTEN_ROWS", 70)
    workload, trace = made(tmp_path, seed=1)
    path, told = tmp_path / f"requests.{form}", list[tuple[int, int]]()
    write_requests(path, trace, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 300) for done in (70, 140, 210, 280, 300)]
    found = read_requests(path, workload)
    assert list(found.request_ids) == [f"r{i}" for i in range(300)]
    np.testing.assert_allclose(found.arrival_s, trace.arrival_s, atol=1e-6)
    np.testing.assert_array_equal(found.workflow, trace.workflow)
    for w, flow in enumerate(workload.workflows):
        first = found.offset[:-1][found.workflow == w]
        read = found.service_s[first[:, None] + np.arange(len(flow.nodes))]
        np.testing.assert_allclose(read, trace.service_s[w], rtol=1e-5)


def test_every_format_holds_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit; in Parquet as a column a node, or as text where names are too many."""
    workload, trace = made(tmp_path, seed=2)
    nodes = {v.id for w in workload.workflows for v in w.nodes}
    read = {}
    for form in FORMATS:
        write_requests(tmp_path / f"r.{form}", trace)
        read[form] = read_requests(tmp_path / f"r.{form}", workload)
    columns = pl.read_parquet_schema(tmp_path / "r.parquet")
    assert {c.removeprefix(f"{TIMES}.") for c in columns if c.startswith(TIMES)} == nodes
    monkeypatch.setattr("placement.generate.trace_writer.MOST_NODE_COLUMNS", len(nodes) - 1)
    write_requests(tmp_path / "text.parquet", trace)
    assert pl.read_parquet_schema(tmp_path / "text.parquet")[TIMES] == pl.String
    read["text.parquet"] = read_requests(tmp_path / "text.parquet", workload)
    for form, found in read.items():
        np.testing.assert_array_equal(found.service_s, read["jsonl"].service_s, err_msg=form)
        np.testing.assert_array_equal(found.arrival_s, read["jsonl"].arrival_s, err_msg=form)


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_seed_gives_the_same_bytes(form: str, tmp_path: Path) -> None:
    """And another seed other bytes."""
    written = []
    for seed in (7, 7, 8):
        _, trace = made(tmp_path, seed)
        write_requests(tmp_path / f"r.{form}", trace)
        written.append(
            (tmp_path / "config.yaml").read_bytes() + (tmp_path / f"r.{form}").read_bytes()
        )
    assert written[0] == written[1]
    assert written[0] != written[2]


@pytest.mark.parametrize("load", [0.3, 1.2])
def test_the_load_asked_for_is_the_load_measured(load: float, tmp_path: Path) -> None:
    """Offered GPU-erlangs over GPUs, by the analysis of the trace as it is read again."""
    gpus = 48
    path = tmp_path / "config.json"
    write_config(path, synthetic_config(8, 5, seed=4))
    workload = read_config(path)
    mix = np.array([4.0, 3.0, 2.0, 1.0, 1.0])
    rate = rate_for_load(workload, load, gpus, mix)
    times = arrival_times("poisson", 20_000, rate, seed=4)
    write_requests(tmp_path / "r.csv", synthetic_trace(workload, times, seed=4, mix=mix))
    demand = measure_demand(workload, read_requests(tmp_path / "r.csv", workload))
    offered = build_instance(workload, demand, Cluster.homogeneous(gpus, 8)).offered_load
    assert offered.sum() / gpus == pytest.approx(load, rel=0.03)
    shares = demand.requests / demand.requests.sum()
    np.testing.assert_allclose(shares, mix / mix.sum(), atol=4 * np.sqrt(0.25 / 20_000))


def test_service_times_follow_the_models_means_and_deviations() -> None:
    """Tokens over tokens per second where the model has them, else its inference time."""
    models = (
        Model("llm", "L", 1.0, 1, 0.0, tokens_per_second=50, token_mean=100, token_std=25),
        Model("fixed", "F", 1.0, 1, 0.0, inference_time_mean_s=0.7),
        Model("other", "O", 1.0, 1, 0.0, inference_time_mean_s=3.0, inference_time_std_s=1.5),
    )
    flow = Workflow("w", "W", tuple(Node(m.id, i) for i, m in enumerate(models)))
    workload = Workload(models, (flow,))
    trace = synthetic_trace(workload, np.arange(50_000.0), seed=0)
    np.testing.assert_allclose(trace.service_s[0].mean(axis=0), [2.0, 0.7, 3.0], rtol=0.02)
    np.testing.assert_allclose(
        trace.service_s[0].std(axis=0), [0.5, 0.0, 1.5], rtol=0.02, atol=1e-9
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mean", [1e-308, 1e-300, 1.0, 1e9])
@pytest.mark.parametrize("std", [1e-300, 1e-9, 1e3, 1e9])
def test_whatever_deviation_a_config_states_the_trace_can_be_read(
    mean: float, std: float, tmp_path: Path
) -> None:
    """From none to a billion seconds for calls that take next to none."""
    model = Model(
        "m", "m", 1.0, 1, load_time_s=0.0, inference_time_mean_s=mean, inference_time_std_s=std
    )
    workload = Workload((model,), (Workflow("w", "w", (Node("n", 0),), ()),))
    times = arrival_times("poisson", 50, 1.0, seed=0)
    path = tmp_path / "trace.jsonl"
    write_requests(path, synthetic_trace(workload, times, seed=0))
    trace = read_requests(path, workload)
    assert np.isfinite(trace.service_s).all()
    assert (trace.service_s <= 1e9).all()


def test_a_model_without_service_time_is_named() -> None:
    """A time of zero would be a figure that nobody stated."""
    workload = Workload((Model("mute", "M", 1.0, 1, 0.0),), (Workflow("w", "W", (Node("n", 0),)),))
    with pytest.raises(ValueError, match="'mute' states no service time"):
        synthetic_trace(workload, np.zeros(3))


def test_the_rate_is_the_one_whose_work_is_the_load() -> None:
    """Seconds of every call times its GPUs, over the mix; 1 where nothing takes any time."""
    workload = Workload(
        (
            Model("a", "a", 1.0, 2, 0.0, inference_time_mean_s=0.5),
            Model("b", "b", 1.0, 1, 0.0, inference_time_mean_s=2.0),
            Model("c", "c", 1.0, 1, 0.0, inference_time_mean_s=0.0),
        ),
        (
            Workflow("w", "w", (Node("x", 0), Node("y", 1)), ()),
            Workflow("v", "v", (Node("x", 1),), ()),
            Workflow("u", "u", (Node("x", 2),), ()),
        ),
    )
    mix = np.array([3.0, 1.0, 0.0])
    # Three of four requests take 2 x 0.5 + 2 GPU seconds, one takes 2.
    assert rate_for_load(workload, 0.6, 8, mix) == pytest.approx(0.6 * 8 / (0.75 * 3 + 0.25 * 2))
    assert rate_for_load(workload, 0.6, 8, np.array([0.0, 0.0, 1.0])) == 1.0
