"""The oracle itself: every position decided by one program, against every placement tried."""

import math
from pathlib import Path

import pytest

from tests.hunt import enumeration
from tests.hunt.cases import draw_case
from tests.hunt.problem import Model, Problem, Server, Workflow, read_problem
from tests.hunt.program import best_locality, fits, least_load

MOST_PLACEMENTS = 200
SEEDS = range(60)


def small_problem(seed: int, folder: Path) -> Problem | None:
    """The problem of a seed, where there are few placements to try."""
    case = draw_case(seed, most_gpus=4)
    case.write(folder)
    problem = read_problem(folder, case.options)
    contents = (len(enumeration.contents(problem, s)) for s in range(len(problem.servers)))
    return problem if math.prod(contents) <= MOST_PLACEMENTS else None


@pytest.mark.parametrize("seeds", [SEEDS[i::4] for i in range(4)], ids=str)
def test_the_program_finds_what_trying_everything_finds(seeds: range, tmp_path: Path) -> None:
    tried = 0
    for seed in seeds:
        problem = small_problem(seed, tmp_path)
        if problem is None:
            continue
        exact = enumeration.least_load(problem)
        assert fits(problem) == (exact < math.inf), seed
        if exact == math.inf:
            continue
        tried += 1
        found = least_load(problem)
        assert found.attained == pytest.approx(exact, rel=1e-7), seed
        assert found.proven == pytest.approx(exact, rel=1e-7), seed
        for cap in (1.05 * exact, max(0.8, exact)):
            exact_locality = enumeration.best_locality(problem, cap)
            locality = best_locality(problem, cap)
            assert locality.attained == pytest.approx(exact_locality, abs=1e-7), seed
            assert locality.proven == pytest.approx(exact_locality, abs=1e-7), seed
    assert tried > len(seeds) / 2


def test_a_case_done_by_hand() -> None:
    """Two servers of one GPU, two models that exclude each other: nothing can be kept together.

    With 0.6 of work each and one GPU for either model, the busiest is loaded 0.6. Where both
    servers hold both models, each is loaded 0.6 as well, and every request stays on one server.
    """
    models = {"a": Model(1, 40.0), "b": Model(1, 40.0)}
    servers = (Server(1, 80.0, 1.0), Server(1, 80.0, 1.0))
    flow = Workflow("w", 0.1, ("n0", "n1"), (("a", 6.0), ("b", 6.0)), ((0, 1),))
    for most, locality in ((1, 0.0), (2, 1.0)):
        problem = Problem(models, servers, (flow,), alpha=0.5, most=most)
        assert least_load(problem).attained == pytest.approx(0.6)
        assert best_locality(problem, 0.7).attained == pytest.approx(locality)
        assert best_locality(problem, 0.5).attained == -math.inf
    tight = Problem(models, servers[:1], (flow,), alpha=0.5, most=1)
    assert not fits(tight)
    # Half of the calls fit on a server twice as fast under half of the load.
    fast = Problem(models, (Server(2, 80.0, 2.0), servers[0]), (flow,), alpha=0.5, most=2)
    assert least_load(fast).attained == pytest.approx(1.2 / 5)
