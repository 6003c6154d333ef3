"""A plan that was tampered with is found out, even where its digest was made to fit."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import yaml

from placement.check import check_plan
from placement.files.plan_file import plan_digest, read_plan, write_plan
from placement.problem.plan import Plan
from placement.support.faults import InputError
from placement.verify import check_bound
from tests.placement.files.plans import tight_plan


@pytest.fixture(scope="module")
def plan() -> Plan:
    return tight_plan()


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
