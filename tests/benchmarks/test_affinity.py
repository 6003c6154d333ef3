"""The affinity benchmark on tiny clusters: every placement tried against plans and bounds."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from benchmarks.affinity import completed, improved, packs, read
from benchmarks.affinity_bound import Relaxation
from benchmarks.affinity_search import Problem
from placement.problem.cluster import IntArray


def write(path: Path, seed: int) -> Path:
    """Three services with traffic and one without, on two sizes of machines."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 4, size=4).tolist()
    services = [
        {
            "Service": f"s{i}",
            "RequestCPU": float(rng.integers(1, 4)),
            "RequestMem": float(rng.integers(1, 3)),
            "ContainerList": [f"s{i}c{n}" for n in range(count)],
            "CompatibleMachines": "*",
        }
        for i, count in enumerate(counts)
    ]
    machines = [
        {
            "MachineIP": f"m{k}",
            "TotalCPU": cpu,
            "TotalMem": 12.0,
            "InitialDeployingContainers": services[k]["ContainerList"] if k < 3 else [],
        }
        for k, cpu in enumerate([9.0, 9.0, 14.0])
    ]
    traffic = [
        {"Service1": f"s{a}", "Service2": f"s{b}", "Traffic": float(rng.random())}
        for a, b in ((0, 1), (1, 2), (0, 2))
    ]
    data = {"ServiceList": services, "MachineList": machines, "TrafficList": traffic}
    path.write_text(json.dumps(data))
    return path


def gained(path: Path, x: IntArray) -> float:
    """What a placement gains, from the file alone."""
    data = json.loads(path.read_text())
    d = [len(s["ContainerList"]) for s in data["ServiceList"]]
    total, sum_of = 0.0, sum(t["Traffic"] for t in data["TrafficList"])
    for t in data["TrafficList"]:
        a, b = int(t["Service1"][1:]), int(t["Service2"][1:])
        kept = sum(min(here[a] / d[a], here[b] / d[b]) for here in x)
        total += t["Traffic"] / sum_of * kept
    return total


def every_placement(problem: Problem) -> list[IntArray]:
    """All that place each container of the services with traffic on some machine with room."""
    machines = len(problem.cpu)

    def splits(n: int) -> list[tuple[int, ...]]:
        return [q for q in product(range(n + 1), repeat=machines) if sum(q) == n]

    ways = [splits(int(d)) for d in problem.services.containers]
    found = []
    for way in product(*ways):
        x = np.array(way, dtype=np.int64).T
        s = problem.services
        if (x @ s.cpu <= problem.cpu).all() and (x @ s.memory <= problem.memory).all():
            found.append(x)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_no_plan_beats_every_placement_tried_and_no_bound_is_below(
    tmp_path: Path, seed: int
) -> None:
    """Annealing finds the best of so few, the program over columns no better, the bound no less."""
    path = write(tmp_path / "tiny.json", seed)
    problem, found = read(path)
    placements = every_placement(problem)
    best = max(gained(path, x) for x in placements)
    assert problem.gained(placements[0]) == pytest.approx(gained(path, placements[0]))
    plan = improved(problem, found, 20_000, 0.1, seed)
    assert problem.gained(plan) == pytest.approx(best)
    relaxation = Relaxation(problem)
    for z, size in enumerate(relaxation.sizes):
        relaxation.add(z, list(plan[(problem.cpu == size[0]) & (problem.memory == size[1])]))
    relaxation.run(10, moves=200)
    assert relaxation.bound >= best - 1e-6
    whole = completed(problem, relaxation.plan(100))
    if packs(problem, whole):
        assert gained(path, whole) <= best + 1e-9


def test_what_does_not_pack_is_no_plan(tmp_path: Path) -> None:
    """A container that is missing, or one too many on a machine, is seen."""
    problem, found = read(write(tmp_path / "tiny.json", 0))
    missing = found.copy()
    missing[0, 0] -= 1
    assert not packs(problem, missing)
    crowded = np.zeros_like(found)
    crowded[0] = problem.services.containers * 10
    assert not packs(problem, crowded)
