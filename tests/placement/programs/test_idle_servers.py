"""Clusters far larger than their load: solved as one that is large enough."""

from dataclasses import replace

from placement.heuristics.greedy import greedy
from placement.params.search_params import DEFAULTS
from placement.problem.cluster import Cluster, ServerType
from placement.problem.outcome import SolveOptions
from placement.problem.violations import violations
from placement.programs.idle_servers import place_back, trim
from placement.programs.least_load import least_bottleneck
from placement.solve import solve_instance
from placement.solver.milp import SolverSettings
from tests.placement.heuristics.cases import random_instance

SMALL = random_instance(0, servers=2)
LIMITS = DEFAULTS.idle_servers


def test_servers_are_left_out_only_where_the_load_is_far_below_them() -> None:
    """As many stay as carry the load at a part of the cap, and never fewer than the limit."""
    assert trim(SMALL) is SMALL
    types = (ServerType("a", 300_000, 4, 80.0), ServerType("b", 100_000, 4, 80.0))
    idle = replace(SMALL, cluster=Cluster(types))
    assert trim(idle).cluster.n_servers == LIMITS.most_servers
    flows = tuple(replace(w, rate=w.rate * 60_000) for w in SMALL.workflows)
    busy = trim(replace(idle, workflows=flows))
    assert LIMITS.most_servers < busy.cluster.n_servers < 400_000
    assert busy.load_floor <= LIMITS.least_use * busy.load_cap
    for cap in (5e-324, 1e-320, 1e-300):
        tight = replace(idle, load_cap=cap)
        assert trim(tight) is tight


def test_a_plan_of_the_part_is_one_of_the_whole() -> None:
    """Servers of every type keep their type when they get the whole cluster's numbers."""
    types = (ServerType("a", 40_000, 4, 80.0), ServerType("b", 2, 4, 80.0, speed=2.0))
    whole = replace(SMALL, cluster=Cluster(types))
    part = replace(whole, cluster=Cluster((replace(types[0], count=3), types[1])))
    _, found = least_bottleneck(part, greedy(part), SolverSettings(threads=1))
    assert not violations(whole, place_back(whole, part, found))


def test_idle_servers_stay_empty() -> None:
    """The plan holds, and is one of the whole cluster."""
    whole = replace(SMALL, cluster=Cluster.homogeneous(100_000, 4))
    result = solve_instance(whole, SolveOptions(threads=1, method="greedy"))
    assert not violations(result.instance, result.solution)
    assert result.instance.cluster.n_servers == 25_000
    assert int(result.solution.placement.server.max()) < LIMITS.most_servers
