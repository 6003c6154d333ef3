"""The master over sets of nodes: never worth more than the master over all flows."""

from itertools import combinations

import numpy as np
import pytest

from placement.patterns.initial_patterns import first_patterns
from placement.patterns.master_rows import rounding_rows
from placement.patterns.node_set_master import SetsMaster, _sets
from placement.patterns.pattern import Pattern
from placement.patterns.restricted_master import Master
from placement.problem.instance import WorkflowDemand
from placement.problem.normalization import normalize
from placement.solver.milp import SolverSettings, solve_program
from tests.placement.heuristics.cases import random_instance

HIGHS = SolverSettings(threads=1)


@pytest.mark.parametrize("seed", range(8))
def test_plans_over_sets_are_plans_of_the_master_worth_no_less(seed: int) -> None:
    """The master over all flows serves the same servers at least as well, and is best itself."""
    instance = normalize(random_instance(seed, servers=3, load=0.55, exclusive=False))
    patterns, rows = first_patterns(instance), rounding_rows(instance)
    sets = SetsMaster(instance, patterns, rows, integer=True)
    assert solve_program(sets.problem, HIGHS).found
    same = Master(instance, patterns, rows)
    for pattern, n in same.servers.items():
        n.lowBound = n.upBound = sets.counts()[pattern]
    assert solve_program(same.problem, HIGHS).found
    best = Master(instance, patterns, rows, integer=True)
    assert solve_program(best.problem, HIGHS).found
    assert sets.locality() <= same.locality() + 1e-6
    assert same.locality() <= best.locality() + 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_what_is_kept_adds_up_to_the_locality(seed: int) -> None:
    """The parts that rounding cuts see are those that the objective counts."""
    instance = normalize(random_instance(seed, servers=3, load=0.3, exclusive=False))
    master = SetsMaster(instance, first_patterns(instance))
    assert solve_program(master.problem, HIGHS).found
    assert sum(u.varValue for u in master.unserved) == pytest.approx(0.0, abs=1e-7)
    total = sum(
        rate * instance.locality_weights(w)[0 if e < 0 else 1]
        for (w, e), rate in master.kept().items()
    )
    assert total + instance.locality_constant == pytest.approx(master.locality(), abs=1e-6)


def joined(nodes: set[int], links: list[tuple[int, int]]) -> bool:
    """Whether links lead from one of some nodes to all others, by walking."""
    met: set[int] = set()
    ahead = {min(nodes)}
    while ahead:
        met |= ahead
        near = {b for u, v in links for a, b in ((u, v), (v, u)) if a in ahead}
        ahead = near & nodes - met
    return met == nodes


def test_sets_are_the_largest_that_links_join_and_every_node_alone() -> None:
    """By walking links; the same nodes held are other sets where a workflow's links are others."""
    rng = np.random.default_rng(0)
    several = 0
    for _ in range(60):
        n = int(rng.integers(2, 6))
        links = [(u, v) for u, v in combinations(range(n), 2) if rng.random() < 0.4]
        flow = WorkflowDemand(
            "w", 1.0, np.arange(n), np.ones(n), np.array(links, dtype=np.int64).reshape(-1, 2)
        )
        held = [v for v in range(n) if rng.random() < 0.7]
        expected = {frozenset((v,)) for v in held}
        subsets = [set(c) for size in range(2, n + 1) for c in combinations(held, size)]
        whole = [s for s in subsets if joined(s, links)]
        expected |= {frozenset(s) for s in whole if not any(s < o for o in whole)}
        if len(held) == n:
            expected = {frozenset((v,)) for v in held} | {frozenset(held)}
        found = list(_sets(flow, Pattern(0, tuple((v, 0) for v in held))))
        assert set(found) == expected
        assert len(found) == len(expected)
        several += sum(len(s) > 1 for s in found) > 1
    assert several
