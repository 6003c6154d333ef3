"""What a server can keep of a workflow that does not fit on it: prices that no content exceeds."""

from itertools import islice, product

import numpy as np
import pytest

from placement.problem.cluster import ServerType
from placement.problem.instance import Instance
from placement.programs import compact
from placement.programs.compact_search import solve_compact
from placement.programs.fitting_sets import blocks_fit, node_prices, separating_prices
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement.oracle import best_locality, contents, random_instance

HIGHS = SolverSettings(threads=1)


def kept(instance: Instance, w: int, rate: np.ndarray) -> float:
    """Locality of rates of one workflow's nodes on one server, shape (V,)."""
    whole, link = instance.locality_weights(w)
    pairs = instance.workflows[w].links.tolist()
    return float(whole * rate.min() + link * sum(min(rate[u], rate[v]) for u, v in pairs))


@pytest.mark.parametrize("seed", range(40))
def test_no_content_keeps_more_than_its_rates_are_priced(seed: int) -> None:
    """On every content of every server type, any rates keep at most their price."""
    rng = np.random.default_rng(seed)
    instance = random_instance(rng, exclusive=False, load_cap=0.8)
    prices = node_prices(instance)
    for kind in instance.cluster.server_types:
        for content in contents(instance, kind):
            models = {m for m, _ in content}
            for w in instance.active_workflows:
                there = [int(m) in models for m in instance.workflows[w].node_model]
                for _ in range(5):
                    rate = rng.uniform(0.0, 1.0, len(there)) * there
                    assert kept(instance, w, rate) <= rate @ np.array(prices[w]) + 1e-9


@pytest.mark.parametrize("seed", range(40))
def test_prices_bound_the_optimum_by_brute_force(seed: int) -> None:
    """The prices of all rates are never below the best locality of any plan."""
    instance = random_instance(np.random.default_rng(seed), exclusive=False, load_cap=0.8)
    best = best_locality(instance)
    bound = sum(
        instance.workflows[w].rate * sum(prices) for w, prices in node_prices(instance).items()
    )
    assert best <= bound + instance.locality_constant + 1e-7


def test_fitting_is_that_of_all_ways_to_lay_blocks_out() -> None:
    """Blocks fit exactly where one of all combinations of first GPUs keeps the memory."""
    rng = np.random.default_rng(0)
    answers = set()
    for _ in range(40):
        server = ServerType("s", 1, 3, 80.0)
        blocks = tuple((int(rng.integers(1, 4)), float(rng.choice([20, 35, 45]))) for _ in "abc")
        limit = int(rng.integers(1, 4))
        found = False
        for starts in product(*(range(server.gpus - k + 1) for k, _ in blocks)):
            on = [
                [need for (k, need), i in zip(blocks, starts, strict=True) if i <= g < i + k]
                for g in range(server.gpus)
            ]
            found |= all(sum(held) <= 80.0 and len(held) <= limit for held in on)
        assert blocks_fit(server, blocks, limit) == found
        answers.add(found)
    assert answers == {True, False}


def test_rows_of_what_does_not_fit_cut_no_plan_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the rows and without them the compact program has the same optimum."""
    drawn = (
        random_instance(np.random.default_rng(seed), exclusive=False, load_cap=1.0)
        for seed in range(60)
    )
    feasible = ((i, best_locality(i)) for i in drawn if separating_prices(i))
    cases = list(islice(((i, b) for i, b in feasible if b > -1.0), 6))
    assert len(cases) == 6
    for instance, best in cases:
        for rows in (True, False):
            monkeypatch.setattr(compact, "has_set_rows", lambda _, rows=rows: rows)
            found = solve_compact(instance, HIGHS, Budget(), start=None, gap=0.0)
            assert found.best_bound == pytest.approx(best, abs=1e-6)


def test_prices_are_told_where_no_server_holds_the_whole_workflow() -> None:
    """Where one does, they add up to all that can be kept; else to less."""
    some = 0
    for seed in range(60):
        instance = random_instance(np.random.default_rng(seed), exclusive=False, load_cap=1.0)
        every = [c for kind in instance.cluster.server_types for c in contents(instance, kind)]
        prices = node_prices(instance)
        for w in instance.active_workflows:
            models = set(instance.workflows[w].node_model.tolist())
            together = any(models <= {m for m, _ in content} for content in every)
            assert not (together and w in separating_prices(instance)), seed
            # Without a worth of the whole, links may all be kept although it is not.
            assert together or w in separating_prices(instance) or instance.alpha == 0, seed
            all_kept = kept(instance, w, np.ones(len(instance.workflows[w].node_model)))
            if together:
                assert sum(prices[w]) == pytest.approx(all_kept)
            some += w in separating_prices(instance)
    assert some > 10
