"""Plans survive their file, and what is no plan is refused in words."""

import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from placement.check import check_inputs, check_plan
from placement.files.plan_file import check_plan_name, inputs_of_plan, read_plan, write_plan
from placement.problem.cluster import Cluster, GpuSharing, Network
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.model_rules import ModelRules, Sites
from placement.problem.outcome import SolveOptions
from placement.problem.placement_rules import PlacementRules
from placement.problem.plan import Plan
from placement.problem.plan_building import build_plan
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from placement.solve import solve_instance
from placement.support.faults import InputError
from tests.placement.files.plans import multimodal, tight_plan


@pytest.fixture(scope="module")
def plan() -> Plan:
    return tight_plan()


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_reading_gives_what_was_written(plan: Plan, suffix: str, tmp_path: Path) -> None:
    """Every array and figure comes back to the last bit, and the bytes are the same again."""
    path = tmp_path / f"plan{suffix}"
    write_plan(path, plan)
    again = read_plan(path)
    for name in ("model", "server", "start"):
        assert (getattr(again.placement, name) == getattr(plan.placement, name)).all()
    assert (again.load == plan.load).all()
    for a, b in zip(again.routing, plan.routing, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert (a.home.share == b.home.share).all()
            for x, y in zip(a.spill, b.spill, strict=True):
                assert (x.server == y.server).all()
                assert (x.share == y.share).all()
    assert again.certificate.best_bound == plan.certificate.best_bound
    assert again.certificate.duals == plan.certificate.duals
    assert again.expected == plan.expected
    assert again.inputs == plan.inputs == inputs_of_plan(path)
    first = path.read_bytes()
    write_plan(path, again)
    assert path.read_bytes() == first
    assert check_plan(again) == []


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_a_plan_for_work_that_takes_no_time_can_be_read(suffix: str, tmp_path: Path) -> None:
    """Headroom without end, and the gap of a plan without locality, have no number in a file."""
    node = np.array([0, 1])
    flow = WorkflowDemand("w", 1.0, node, np.zeros(2), np.array([[0, 1]]))
    idle = Instance(
        ("a", "b"), np.array([1, 1]), np.array([50.0, 50.0]), (flow,), Cluster.homogeneous(2, 1)
    )
    models = tuple(Model(m, m, 50.0, 1, 0.0, inference_time_mean_s=0.0) for m in "ab")
    nodes = (Node("x", 0), Node("y", 1))
    workload = Workload(models, (Workflow("w", "W", nodes, (Edge(0, 1),)),))
    result = solve_instance(idle, SolveOptions(method="greedy"))
    write_plan(tmp_path / f"plan{suffix}", build_plan(result, workload))
    again = read_plan(tmp_path / f"plan{suffix}")
    assert check_plan(again) == []
    assert again.expected["headroom"] == np.inf
    assert (again.certificate.objective, again.certificate.gap) == (0.0, np.inf)


def test_a_plan_is_held_against_the_files_it_was_made_for(plan: Plan) -> None:
    """Rates, service times, memory and edges of a forged plan differ from config and trace."""
    workload, trace = multimodal()
    assert check_inputs(plan, workload, trace) == []
    instance = plan.instance
    first = instance.workflows[0]
    more = np.where(np.arange(len(instance.memory_per_gpu_gb)) == 2, 0.5, 1.0)
    for forged_instance, words in (
        (replace(instance, memory_per_gpu_gb=instance.memory_per_gpu_gb * more), "memory"),
        (_with_first(instance, replace(first, rate=first.rate * 1.001)), "rate"),
        (_with_first(instance, replace(first, work_s=first.work_s * 1.001)), "service times"),
        (_with_first(instance, replace(first, links=first.links[1:])), "links"),
        (_with_first(instance, replace(first, node_model=first.node_model[::-1])), "other models"),
        (_with_first(instance, replace(first, id="nobody")), "different"),
        (replace(instance, model_ids=("nobody", *instance.model_ids[1:])), "different"),
    ):
        faults = check_inputs(replace(plan, instance=forged_instance), workload, trace)
        assert len(faults) == 1
        assert words in faults[0]


def _with_first(instance: Instance, first: WorkflowDemand) -> Instance:
    return replace(instance, workflows=(first, *instance.workflows[1:]))


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("cluster", "server_types", 0, "count"), 9_000_000, "GPUs"),
        (("cluster", "server_types", 0, "count"), 10**19, "count"),
        (("cluster", "server_types", 0, "gpus"), 10**30, "gpus"),
        (("models", 0, "gpus_required"), 2**63, "gpus_required"),
        (("rules", "max_models_per_gpu"), 10**30, "max_models_per_gpu"),
        (("replicas", 0, "server"), 10**30, "server"),
        (("replicas", 0, "gpus", 0), 10**30, "gpus"),
        (("replicas", 0, "gpus"), [2**63, 2**63 + 1], "gpus"),
        (("models",), [], "models"),
        (("workflows",), [], "workflows"),
    ],
)
def test_sizes_that_nothing_holds_are_refused_in_words(
    place: tuple[Any, ...], value: Any, words: str, plan: Plan, tmp_path: Path
) -> None:
    """Neither memory for servers that a line of text names, nor numbers beyond 64 bits."""
    path = tmp_path / "plan.yaml"
    write_plan(path, plan)
    data = yaml.safe_load(path.read_text())
    holder = data
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(InputError, match=words):
        read_plan(path)


def test_what_is_no_plan_is_refused_in_words(tmp_path: Path) -> None:
    """Text, numbers, other files: a sentence that names the file, never a traceback."""
    path = tmp_path / "plan.yaml"
    rng = np.random.default_rng(0)
    for text in ("", "just text", "[1, 2]", "format: gswarm-place plan\nversion: 2\n", "{:"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"plan\.yaml"):
            read_plan(path)
    path.write_bytes(rng.bytes(200))
    with pytest.raises(InputError):
        read_plan(path)


def test_a_plan_is_not_written_where_it_could_not_be_read(tmp_path: Path) -> None:
    """By its ending, be the file there or not; a pipe may have any name."""
    for name in ("plan.yaml", "plan.json", "plan.yml"):
        check_plan_name(tmp_path / name)
    (tmp_path / "there.txt").write_text("")
    for name in ("plan.txt", "plan", "there.txt"):
        with pytest.raises(InputError, match="yaml"):
            check_plan_name(tmp_path / name)
    os.mkfifo(tmp_path / "pipe")
    check_plan_name(tmp_path / "pipe")


def ruled(plan: Plan) -> Plan:
    """The plan with everything on servers, network and rules that a file may state."""
    a, b, c = sorted(plan.instance.model_ids)[:3]
    kind = plan.instance.cluster.server_types[0]
    kinds = (
        replace(
            kind,
            count=2,
            speed=1.5,
            closed_gpus=((a, (0, 1)), (b, (7,))),
            pinned=((a, 4), (a, 6), (b, 0)),
            domains=((0, 1), (2, 3)),
        ),
        replace(
            kind,
            name="mixed",
            count=kind.count - 2,
            gpu_memory_gb=96.0,
            gpu_memories_gb=(80.0, 96.0) * (kind.gpus // 2),
            model_speeds=((a, 0.5), (c, 2.0)),
            family="family",
        ),
    )
    rules = PlacementRules(
        models={
            a: ModelRules(min_replicas=2, spread=2),
            b: ModelRules(max_replicas=3, apart_from=(a,), together_with=(c,)),
            c: ModelRules(
                allowed=Sites(server_types=("mixed",), servers=(0, 1)), forbidden=Sites(gpus=(2,))
            ),
        },
        spares="fill",
    )
    cluster = Cluster(kinds, Network(1e-6, 300.0, 1e-5, 25.0), GpuSharing(efficiency=(0.9, 0.8)))
    instance = replace(
        plan.instance,
        cluster=cluster,
        placement_rules=rules,
        exclusive=False,
        max_models_per_gpu=3,
        load_cap=0.7,
        alpha=0.25,
        gpu_fraction=tuple(0.5 + m / 100 for m in range(len(plan.instance.model_ids))),
    )
    return replace(
        plan,
        instance=instance,
        mode="offline",
        max_utilization=0.6,
        gap=0.01,
        search_params={"cuts": {"passes": 2}},
    )


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
@pytest.mark.parametrize("of", [lambda plan: plan, ruled])
def test_all_that_a_plan_states_comes_back(  # type: ignore[no-untyped-def]
    of, suffix: str, plan: Plan, tmp_path: Path
) -> None:
    """Servers, network and rules with everything that they can have, as equal values."""
    written, path = of(plan), tmp_path / f"plan{suffix}"
    write_plan(path, written)
    again = read_plan(path)
    for name in (f.name for f in fields(Instance)):
        assert_same(getattr(again.instance, name), getattr(written.instance, name), name)
    seconds = replace(again.certificate, seconds=written.certificate.seconds)  # are not stored
    assert_same(seconds, written.certificate, "certificate")
    for name in ("node_ids", "expected", "mode", "max_utilization", "gap"):
        assert_same(getattr(again, name), getattr(written, name), name)
    assert (again.dropped, again.search_params) == (written.dropped, written.search_params)
    assert again.intact


def assert_same(a: Any, b: Any, name: str) -> None:
    """Two values are equal, arrays to the last bit."""
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype, name
        assert (a == b).all(), name
    else:
        assert a == b, name
