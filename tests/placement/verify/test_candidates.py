"""What a better plan can hold, against every plan of tiny clusters and a count by hand."""

from __future__ import annotations

from collections import Counter
from functools import cache
from math import floor

import numpy as np
import pytest

from placement.problem.instance import Instance
from placement.verify.candidates import Candidates, best_over, candidates
from placement.verify.content_bounds import Priced, listings
from placement.verify.matrix_program import Clock
from placement.verify.scaled_problem import Scaled
from placement.verify.valid_rows import (
    CountRow,
    Prices,
    Row,
    kept_rows,
    prices_of,
    replica_rows,
    split_rows,
)
from tests.placement import oracle
from tests.placement.cases import case
from tests.placement.heuristics.cases import random_instance
from tests.placement.verify.worth import worth

TOOLS = Clock(None), "HiGHS"


@cache
def tiny() -> list[tuple[Instance, Scaled, float]]:
    """Instances with exclusive GPUs, and the optimum of brute force below 1."""
    found = []
    for seed in (9803, 9811, 9812, 9826, 9839, 9857):
        instance = case(seed, exclusive=True)
        found.append((instance, Scaled(instance), oracle.best_locality(instance)))
    return found


def priced(scaled: Scaled, shares: np.ndarray) -> Prices:
    """Multipliers of the demand of each node, by workflow."""
    flows = [scaled.instance.workflows[f.w] for f in scaled.flows]
    each = np.split(shares, np.cumsum([len(w.node_model) for w in flows])[:-1])
    return prices_of(
        scaled, [], {"demand": {w.id: x.tolist() for w, x in zip(flows, each, strict=True)}}
    )


def drawn(scaled: Scaled, rng: np.random.Generator) -> Prices:
    return priced(scaled, rng.normal(0.05, 0.05, sum(len(f.models) for f in scaled.flows)))


def good(scaled: Scaled, rng: np.random.Generator) -> Prices:
    """Multipliers of a low bound, by steps at random."""
    lists, counts = listings(scaled), [t.count for t in scaled.types]

    def bound(shares: np.ndarray) -> float:
        prices = priced(scaled, shares)
        tops = [max(0.0, Priced(x, prices, *TOOLS).highest()) for x in lists]
        return prices.fixed + sum(n * top for n, top in zip(counts, tops, strict=True))

    best = np.full(sum(len(f.models) for f in scaled.flows), 0.05)
    for _ in range(40):
        step = rng.normal(0, 0.06, len(best)) * (rng.random(len(best)) < 0.6)
        best = min(best, best + step, key=bound)
    return priced(scaled, best)


def numbers(found: Candidates) -> dict[tuple[int, tuple[int, ...]], int]:
    """Most servers with a content, by type and counts."""
    return {(x.t, tuple(x.counts[row].tolist())): most for x, row, most in found}


def test_every_better_plan_is_made_of_what_is_left() -> None:
    """By all placements of tiny clusters, at any multipliers; some contents are ruled out."""
    out = 0
    for instance, scaled, best in tiny():
        lists = listings(scaled)
        types = instance.cluster.server_type.tolist()
        valued = [
            (placed, oracle.route(instance, placed, bottleneck=False))
            for placed in oracle.placements(instance)
        ]
        rows: list[Row | None] = [*replica_rows(scaled)]
        rng = np.random.default_rng(1)
        for prices in (good(scaled, rng), drawn(scaled, rng)):
            for part in (0.8, 0.999):
                found = candidates(scaled, lists, prices, rows, part * best, *TOOLS)
                assert found is not None
                left = numbers(found)
                out += sum(int(x.maximal().sum()) for x in lists) - len(left)
                for placed, value in valued:
                    if value <= part * best + 1e-6:
                        continue
                    held = Counter(
                        (t, tuple([o for o, _ in c].count(m) for m in lists[t].models))
                        for t, c in zip(types, placed, strict=True)
                    )
                    assert all(left.get(content, 0) >= n for content, n in held.items())
    assert out > 0


def test_a_content_is_left_on_as_many_servers_as_can_pay_for_it() -> None:
    """What it lacks to the best of its type, times servers, is no more than bound less worth."""
    kinds = {"out": 0, "some": 0, "all": 0}
    for seed in range(2):
        scaled = Scaled(random_instance(seed, servers=3, gpus=3, models=4, load=0.7))
        [x], [kind] = listings(scaled), scaled.types
        prices = drawn(scaled, np.random.default_rng(seed))
        exact = [worth(scaled, 0, prices, laid_out(scaled, x.models, n)) for n in x.counts.tolist()]
        highest = max(0.0, *exact)
        bound = prices.fixed + kind.count * highest
        most = highest - min(v for v, full in zip(exact, x.maximal(), strict=True) if full)
        for spare in (0.3 * most, 0.9 * most, 1.7 * most, 3.5 * most):
            level = (bound - spare) / scaled.servers + scaled.constant
            found = candidates(scaled, [x], prices, [], level, *TOOLS)
            assert found is not None
            left = {row: most for _, row, most in found}
            for row, full in enumerate(x.maximal().tolist()):
                can = spare / max(1e-9, highest - exact[row])
                if not full:
                    assert row not in left
                elif can >= kind.count + 0.01:
                    assert left[row] == kind.count
                    kinds["all"] += 1
                elif abs(can - round(can)) > 1e-3:
                    assert left.get(row, 0) == floor(can)
                    kinds["some" if can >= 1 else "out"] += 1
    assert min(kinds.values()) > 3, kinds


def laid_out(scaled: Scaled, models: list[int], counts: list[int]) -> tuple[tuple[int, int], ...]:
    content, at = [], 0
    for m, n in zip(models, counts, strict=True):
        for _ in range(n):
            content.append((m, at))
            at += int(scaled.gpus[m])
    return tuple(content)


def test_the_program_over_them_has_the_optimum_of_brute_force() -> None:
    """With rows that every plan keeps, too; of two sides of a split one has it, none has more."""
    decided = 0
    for instance, scaled, best in tiny():
        lists = listings(scaled)
        rng = np.random.default_rng(2)
        names = [{"workflow": instance.workflows[f.w].id, "share": 0.45} for f in scaled.flows]
        rows: list[Row | None] = [*replica_rows(scaled), *kept_rows(scaled, names)]

        def optimum(rows: list[Row | None], scaled: Scaled = scaled, best: float = best) -> float:
            found = candidates(
                scaled, listings(scaled), no_prices(scaled), rows, best - 0.1, *TOOLS
            )
            assert found is not None
            return best_over(scaled, found, rows, float("-inf"), *TOOLS)

        found = candidates(scaled, lists, drawn(scaled, rng), [], best - 1e-3, *TOOLS)
        assert found is not None
        for given in ([], rows):
            assert best_over(scaled, found, given, float("-inf"), *TOOLS) == pytest.approx(
                best, abs=1e-5
            )
        for threshold in (0, 1):
            split = {"models": [instance.model_ids[scaled.used[0]]], "threshold": threshold}
            sides = split_rows(scaled, {**split, "most": 1})
            assert sides is not None
            below, above = (optimum([*rows, side]) for side in sides)
            assert max(below, above) == pytest.approx(best, abs=1e-5)
            exact = max(
                (
                    oracle.route(instance, placed, bottleneck=False)
                    for placed in oracle.placements(instance)
                    if _feature(sides[1], placed) >= 2
                ),
                default=-np.inf,
            )
            assert above == pytest.approx(exact, abs=1e-5)
            decided += below < best - 1e-3 or above < best - 1e-3
    assert decided > 2


def no_prices(scaled: Scaled) -> Prices:
    return prices_of(scaled, [], {})


def _feature(row: CountRow, placed: tuple[oracle.Content, ...]) -> int:
    counts = [[o for o, _ in c].count(row.models[0]) for c in placed]
    return sum(n >= row.threshold if row.threshold else n for n in counts)
