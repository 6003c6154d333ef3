"""Placements one move away: always allowed, always different by one move, and every one reached."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from placement.heuristics import HEURISTICS
from placement.improve.moves import random_neighbour
from placement.problem.instance import Instance
from placement.problem.solution import Replica, Solution
from placement.problem.violations import placement_violations
from placement.programs.routing import best_routing
from placement.solver.milp import SolverSettings
from tests.placement import oracle
from tests.placement.cases import contents, plain
from tests.placement.heuristics.cases import random_instance


def rows_of(solution: Solution) -> Counter[Replica]:
    return Counter(solution.placement.replicas())


def start_of(seed: int, *, exclusive: bool) -> tuple[Instance, Solution]:
    """A random placement with some room left, and its routing."""
    rng = np.random.default_rng(seed)
    instance = random_instance(seed, servers=3, gpus=3, models=4, exclusive=exclusive)
    instance = replace(instance, load_cap=1e6)
    full = HEURISTICS["greedy"](instance, 0, None)
    keep = np.ones(full.n_replicas, dtype=bool)
    for r in rng.permutation(full.n_replicas):
        keep[r] = (full.model[keep] == full.model[r]).sum() == 1 or rng.random() < 0.6
    placement = full.only(keep)
    found = best_routing(instance, placement, SolverSettings(threads=1))
    assert found is not None
    return instance, found


def test_every_neighbour_keeps_the_rules_and_is_one_move_away() -> None:
    """Space, sharing and coverage hold; one server changes, or one replica of two."""
    kinds: Counter[str] = Counter()
    for seed in range(12):
        instance, start = start_of(seed, exclusive=bool(seed % 2))
        rng, here = np.random.default_rng(seed), rows_of(start)
        pressure = rng.exponential(1.0, len(instance.model_ids))
        for _ in range(60):
            found = random_neighbour(instance, start, pressure, rng)
            if found is None:
                kinds["none"] += 1
                continue
            assert placement_violations(instance, found) == []
            there = rows_of(Solution(found, start.flows, np.zeros(found.n_replicas)))
            gone, come = here - there, there - here
            kinds[f"{min(gone.total(), 2)} for {min(come.total(), 2)}"] += 1
            servers = {s for _, s, _ in (*gone, *come)}
            assert len(servers) <= 2
            if gone.total() > 1 or come.total() > 1:
                # A swap exchanges two models; a repeated server is one that changes.
                swapped = Counter(m for m, _, _ in gone.elements()) == Counter(
                    m for m, _, _ in come.elements()
                )
                assert swapped or len(servers) == 1
    assert {"none", "1 for 0", "0 for 1", "1 for 1", "2 for 2"} <= set(kinds), kinds


def test_models_in_need_get_replicas_more_often() -> None:
    """Of the replicas that come, most are of the model that the pressure names."""
    instance, start = start_of(4, exclusive=False)
    wanted, rng = int(instance.used_models[0]), np.random.default_rng(0)
    pressure = np.zeros(len(instance.model_ids))
    pressure[wanted] = 1.0
    here, come = rows_of(start), Counter[int]()
    for _ in range(300):
        found = random_neighbour(instance, start, pressure, rng)
        if found is None or found.n_replicas <= start.placement.n_replicas:
            continue
        there = rows_of(Solution(found, start.flows, np.zeros(found.n_replicas)))
        come.update(m for m, _, _ in (there - here).elements())
    assert come.total() > 10
    assert come[wanted] > come.total() / 2


@pytest.mark.parametrize("exclusive", [True, False])
def test_neighbours_keep_the_rules_of_space(exclusive: bool) -> None:
    """Thousands of moves in a row never break memory, blocks, sharing or coverage."""
    for seed in range(4):
        instance = random_instance(seed, exclusive=exclusive, mixed_types=True)
        current = plain(instance).solution
        rng = np.random.default_rng(seed)
        moved = 0
        for _ in range(400):
            found = random_neighbour(instance, current, np.ones(5), rng)
            if found is not None:
                assert placement_violations(instance, found) == []
                current = Solution(found, current.flows, np.zeros(found.n_replicas))
                moved += 1
        assert moved > 100


@pytest.mark.parametrize("exclusive", [True, False])
def test_moves_reach_every_placement(exclusive: bool) -> None:
    """A long random walk meets every maximal placement that brute force enumerates."""
    rng = np.random.default_rng(3)
    wanted: set[object] = set()
    while len(wanted) < 5:
        instance = oracle.random_instance(rng, exclusive=exclusive, load_cap=5.0)
        wanted = {tuple(tuple(sorted(c)) for c in p) for p in oracle.placements(instance)}
    current = plain(instance).solution
    seen = set()
    for _ in range(6_000):
        found = random_neighbour(instance, current, np.ones(len(instance.model_ids)), rng)
        if found is not None:
            current = Solution(found, current.flows, np.zeros(found.n_replicas))
            seen.add(tuple(tuple(sorted(c)) for c in contents(instance, current)))
    assert wanted <= seen
