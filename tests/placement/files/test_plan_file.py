"""Plans survive their file, and a plan that was tampered with is found out."""

import os
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import yaml

from placement.check import check_inputs, check_plan
from placement.files.config_file import read_config
from placement.files.plan_file import (
    check_plan_name,
    inputs_of_plan,
    plan_digest,
    read_plan,
    write_plan,
)
from placement.files.request_file import read_requests
from placement.problem.cluster import Cluster, GpuSharing, Network
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.instance_building import build_instance
from placement.problem.model_rules import ModelRules, Sites
from placement.problem.outcome import SolveOptions
from placement.problem.placement_rules import PlacementRules
from placement.problem.plan import Plan
from placement.problem.plan_building import build_plan
from placement.problem.rules import Rules
from placement.problem.trace import measure_demand
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from placement.solve import solve_instance
from placement.support.faults import InputError
from placement.verify import check_bound

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.fixture(scope="module")
def plan() -> Plan:
    workload = read_config(CONFIGS / "multimodal.yaml")
    trace = read_requests(CONFIGS / "multimodal_requests.jsonl", workload)
    # Exclusive and tight, and no small gap asked for: the bound comes from duals, above the plan.
    instance = build_instance(
        workload, measure_demand(workload, trace), Cluster.homogeneous(32, 8), Rules(exclusive=True)
    )
    result = solve_instance(instance, SolveOptions(gap=0.5, form="patterns"))
    return build_plan(result, workload, inputs={"config": "0" * 64})


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


def test_the_bound_is_proven_anew_and_a_lower_one_is_rejected(plan: Plan, tmp_path: Path) -> None:
    """Stored duals support the stated bound; a bound between it and the objective is not."""
    path = tmp_path / "plan.yaml"
    write_plan(path, plan)
    assert plan.certificate.duals is not None
    assert plan.certificate.best_bound > plan.certificate.objective
    assert check_bound(read_plan(path)).holds
    data = yaml.safe_load(path.read_text())
    stated = data["certificate"]
    middle = (stated["best_bound"] + stated["objective"]) / 2
    stated["gap"] = (middle - stated["objective"]) / stated["objective"]
    stated["best_bound"] = middle
    cheat = read_plan(forged(path, data))
    assert check_plan(cheat) == []
    assert not check_bound(cheat).holds


def forged(path: Path, data: dict[str, Any]) -> Path:
    """Write a changed plan with a digest that fits, as whoever means to cheat would."""
    path.write_text(yaml.safe_dump({**data, "digest": plan_digest(data)}))
    return path


def found(path: Path) -> list[str]:
    """What reading and checking say against a plan file."""
    try:
        return check_plan(read_plan(path))
    except InputError as error:
        return [str(f) for f in error.faults]


TAMPERED = [
    ("a promise left out", lambda d: d["expected"].pop("max_utilization")),
    ("a replica on other GPUs", lambda d: d["replicas"][0].update(gpus=d["replicas"][-1]["gpus"])),
    ("a hole in a block", lambda d: _long(d)["gpus"].__setitem__(-1, _long(d)["gpus"][-1] + 1)),
    ("a replica on no server", lambda d: d["replicas"][0].update(server=_servers(d))),
    ("a replica below all servers", lambda d: d["replicas"][0].update(server=-1)),
    ("an unknown model", lambda d: d["replicas"][0].update(model="nobody")),
    ("a load that is not carried", lambda d: d["replicas"][0].update(load=0.01)),
    ("a share that is lost", lambda d: _shares(d).clear()),
    (
        "a server without the model",
        lambda d: next(iter(d["routing"].values())).update(home=[[_poorest(d), 1.0]]),
    ),
    ("a better objective", lambda d: d["certificate"].update(objective=0.999)),
    ("a bound below the plan", lambda d: d["certificate"].update(best_bound=0.01, gap=0.0)),
    ("a smaller gap", lambda d: d["certificate"].update(gap=0.5)),
    ("a lower busiest GPU", lambda d: d["expected"].update(max_utilization=0.1)),
    ("a rate that grew", lambda d: d["workflows"][0].update(rate=9.9)),
    (
        "less memory on the GPUs",
        lambda d: d["cluster"]["server_types"][0].update(gpu_memory_gb=1.0),
    ),
    ("a lower cap", lambda d: d["rules"].update(load_cap=0.01)),
    ("routing that is missing", lambda d: d["routing"].clear()),
    ("a replica that is missing", lambda d: d["replicas"].pop()),
    ("a model that is listed twice", lambda d: d["models"].append(d["models"][-1])),
    ("a workflow that is listed twice", lambda d: d["workflows"].append(d["workflows"][-1])),
    (
        "a server type that is listed twice",
        lambda d: d["cluster"]["server_types"].append(d["cluster"]["server_types"][-1]),
    ),
    ("routing of nobody", lambda d: d["routing"].update(nobody={"home": [], "spill": {}})),
    ("dropped but served", lambda d: d["dropped"].append(d["workflows"][0]["id"])),
    ("a link of no node", lambda d: d["workflows"][0]["links"].append([{}, "x"])),
    ("a latency below nothing", lambda d: d["cluster"]["network"].update(inter_latency_s=-1.0)),
    ("an unknown status", lambda d: d["certificate"].update(status="perfect")),
    ("duals that are none", lambda d: d["certificate"].update(duals="none")),
    (
        "a bottleneck above the plan",
        lambda d: d["certificate"].update(bottleneck_lower=2.0, bottleneck_upper=2.0),
    ),
    ("a bottleneck below nothing", lambda d: d["certificate"].update(bottleneck_lower=-1.0)),
]


def _shares(data: dict) -> list:  # type: ignore[type-arg]
    routed = data["routing"].values()
    return next(p for r in routed for p in (r["home"], *r["spill"].values()) if p)


def _long(data: dict) -> dict:  # type: ignore[type-arg]
    return next(r for r in data["replicas"] if len(r["gpus"]) > 1)


def _servers(data: dict[str, Any]) -> int:
    """How many there are: the number of the first that there is not."""
    return sum(t["count"] for t in data["cluster"]["server_types"])


def _poorest(data: dict) -> int:  # type: ignore[type-arg]
    """The server with the fewest models that is not the whole home of the first workflow."""
    held: dict[int, set[str]] = {}
    for r in data["replicas"]:
        held.setdefault(r["server"], set()).add(r["model"])
    home = next(iter(data["routing"].values()))["home"]
    return min((s for s in held if [s, 1.0] not in home), key=lambda s: len(held[s]))


@pytest.mark.parametrize(("name", "tamper"), TAMPERED, ids=[n for n, _ in TAMPERED])
def test_whatever_is_changed_is_found(name: str, tamper, plan: Plan, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """One change anywhere, and the plan no longer holds."""
    path = tmp_path / "plan.yaml"
    write_plan(path, plan)
    data = yaml.safe_load(path.read_text())
    tamper(data)
    faults = found(forged(path, data))
    assert faults
    assert not any("digest" in f for f in faults)


def _leaves(data: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(data) if isinstance(data, dict) else range(len(data)):
        yield data, key
        if isinstance(data[key], dict | list):
            yield from _leaves(data[key])


def _wrong(value: Any) -> list[Any]:
    match value:
        case bool():
            return [not value, None]
        case int() | float():
            return [value + 1, value * 1.01 + 1e-3, -value - 1, str(value)]
        case str():
            return [value + "x", 1]
        case None:
            return [1.0]
        case list():
            return [[*value, *value[-1:]], {}] if value else [{}]
        case _:
            return [[]]


def test_every_single_field_is_sealed(plan: Plan, tmp_path: Path) -> None:
    """Whatever one field is changed to, or that it is dropped: check says so, every time."""
    path = tmp_path / "plan.json"
    write_plan(path, plan)
    data = orjson.loads(path.read_bytes())
    spots = list(_leaves(data))
    rng = np.random.default_rng(0)
    # Every field above the lists, and a sample of what the lists hold.
    chosen = [s for s in spots if s[0] is data or rng.random() < 0.1]
    for holder, key in chosen:
        value = holder[key]
        for wrong in _wrong(value):
            holder[key] = wrong
            path.write_bytes(orjson.dumps(data))
            assert found(path), (key, value, wrong)
        if isinstance(holder, dict):
            del holder[key]
            path.write_bytes(orjson.dumps(data))
            assert found(path), (key, value)
        holder[key] = value
    path.write_bytes(orjson.dumps(data))
    assert found(path) == []


def test_a_plan_is_held_against_the_files_it_was_made_for(plan: Plan) -> None:
    """Rates, service times, memory and edges of a forged plan differ from config and trace."""
    workload = read_config(CONFIGS / "multimodal.yaml")
    trace = read_requests(CONFIGS / "multimodal_requests.jsonl", workload)
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
