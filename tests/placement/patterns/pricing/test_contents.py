"""Listed contents against a list by brute force, and pricing over them against branch and bound."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pulp
import pytest

from placement.params.search_params import DEFAULTS
from placement.patterns.duals import zero_duals
from placement.patterns.master_rows import CountRow, rounding_rows
from placement.patterns.pattern import fill
from placement.patterns.pricing.content_list import (
    Contents,
    count_contents,
    listed_contents,
    prices_at,
)
from placement.patterns.pricing.contents import (
    ContentPricing,
    value_exactly,
)
from placement.patterns.pricing.counts import Pricing, slicing_row
from placement.patterns.rounding_cuts import kept_rows, server_rows
from placement.problem.cluster import Cluster, GpuSharing, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.shared_capacity import kept_at_most, most_together
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement.heuristics.cases import random_instance
from tests.placement.patterns.pricing.cases import drawn, odd, tiny

HIGHS = SolverSettings(threads=1)


def branched(instance: Instance, rng: np.random.Generator) -> tuple[CountRow, ...]:
    """Rows of every sort: rounding cuts, cuts on what is kept, and branching decisions."""
    weight = (1.0,) * len(instance.cluster.server_types)
    m, n = (int(x) for x in rng.choice(instance.used_models, 2))
    kept = list(kept_rows(instance))
    full = [fill(instance, t, list(instance.used_models), {}) for t in range(len(weight))]
    able = server_rows(instance, full)
    kept += able[:3]
    some = [kept[i] for i in rng.choice(len(kept), min(3, len(kept)), replace=False)]
    return (
        *rounding_rows(instance),
        *some,
        CountRow((m,), 0, weight, most=2.0),
        CountRow((m,), 2, weight, least=1.0),
        CountRow((m, n), 1, weight, most=1.0),
    )


@pytest.mark.parametrize("seed", range(4))
def test_rules_on_company_leave_the_contents_that_keep_them(seed: int) -> None:
    """Of all without rules, those in which no two are apart and none lacks who belongs to it."""
    instance = odd(seed)
    apart, together = instance.company.apart, instance.company.together
    ruled_out = 0
    for kind, server in enumerate(instance.cluster.server_types):
        contents = Contents(instance, kind)
        every = Contents(tiny(seed), kind)
        held = [{m for m, n in zip(every.models, row, strict=True) if n} for row in every.counts]
        kept = [
            tuple(row)
            for row, here in zip(every.counts.tolist(), held, strict=True)
            if all(instance.memory_per_gpu_gb[m] <= server.gpu_memory_gb for m in here)
            and not any({a, b} <= here for a, b in apart)
            and not any(m in here and o not in here for m, o in together)
        ]
        column = [every.models.index(m) for m in contents.models]
        assert sorted(map(tuple, contents.counts.tolist())) == sorted(
            tuple(row[i] for i in column) for row in kept
        )
        ruled_out += len(every) - len(kept)
    assert ruled_out > 0 or not instance.company


@pytest.mark.parametrize("seed", range(4))
def test_the_list_is_that_of_brute_force(seed: int) -> None:
    """Every count vector that fits is listed once, and their number is known beforehand."""
    instance = tiny(seed)
    for kind, server in enumerate(instance.cluster.server_types):
        contents = Contents(instance, kind)
        k = instance.gpus_required[contents.models]
        fits = {
            n
            for n in product(range(server.gpus + 1), repeat=len(contents.models))
            if np.dot(n, k) <= server.gpus
        }
        assert {tuple(n) for n in contents.counts.tolist()} == fits
        assert len(contents) == len(fits) == count_contents(instance, kind)


@pytest.mark.parametrize("seed", range(6))
def test_a_content_is_full_where_it_with_one_replica_more_is_none(seed: int) -> None:
    """Of some contents; those with room left are the ones that others go beyond."""
    instance = tiny(seed)
    for kind in range(len(instance.cluster.server_types)):
        contents = Contents(instance, kind)
        every = {tuple(n) for n in contents.counts.tolist()}
        one = np.eye(len(contents.models), dtype=np.int64)
        room = [any(tuple(n + more) in every for more in one) for n in contents.counts]
        assert contents.full().tolist() == [not there for there in room]
        some = np.arange(0, len(contents), 3)
        assert contents.among(some).full().tolist() == contents.full()[some].tolist()


@pytest.mark.parametrize("case", [tiny, odd])
@pytest.mark.parametrize("seed", range(8))
def test_pricing_over_the_list_finds_what_branch_and_bound_finds(
    seed: int, case: Callable[[int], Instance]
) -> None:
    """At drawn multipliers of rows of every sort, both prove the same value of the best content."""
    instance, rng = case(seed), np.random.default_rng(seed)
    rows = branched(instance, rng)
    for kind in range(len(instance.cluster.server_types)):
        batches = DEFAULTS.contents.proving_batches
        listed = ContentPricing(Contents(instance, kind), rows, batches=batches)
        branching = Pricing(instance, kind, rows)
        for _ in range(3):
            duals = drawn(instance, rows, rng)
            found, expected = listed.solve(duals, HIGHS, None), branching.solve(duals, HIGHS, None)
            assert found is not None
            assert expected is not None
            assert found.best_bound == pytest.approx(expected.best_bound, abs=1e-6)
            assert found.best_bound >= found.value - 1e-9


@pytest.mark.parametrize("case", [tiny, odd])
@pytest.mark.parametrize("seed", range(3))
def test_no_content_is_worth_more_than_its_bound(
    seed: int, case: Callable[[int], Instance]
) -> None:
    """Whatever the multipliers of the load rows; at the exact ones the bound is the value."""
    instance, rng = case(seed), np.random.default_rng(seed)
    rows = branched(instance, rng)
    contents = Contents(instance, 0)
    prices = prices_at(instance, rows, drawn(instance, rows, rng))
    every = np.arange(len(contents))
    values, sigma = value_exactly(contents, every, prices, HIGHS)
    for _ in range(5):
        drawn_sigma = rng.exponential(0.2, len(contents.models))
        assert (contents.bound(prices, drawn_sigma) >= values - 1e-9).all()
    for row in every:
        own = np.nan_to_num(sigma[row])
        assert contents.bound(prices, own, every[row : row + 1])[0] == pytest.approx(values[row])


@pytest.mark.parametrize("seed", range(4))
def test_the_promising_are_those_worth_most(seed: int) -> None:
    """Where every content is looked at: none left out is worth more than one that is returned."""
    instance, rng = tiny(seed), np.random.default_rng(seed)
    rows = branched(instance, rng)
    contents = Contents(instance, 0)
    duals = drawn(instance, rows, rng)
    every = np.arange(len(contents))
    values, _ = value_exactly(contents, every, prices_at(instance, rows, duals), HIGHS)
    worth = dict(
        zip(map(contents.pattern, every), values + contents.features(rows, duals), strict=True)
    )
    count = len(contents) // DEFAULTS.contents.looked_at + 1
    found = ContentPricing(contents, rows).promising(duals, HIGHS, Budget(), count)
    assert len(set(found)) == count
    best = sorted(worth.values(), reverse=True)[:count]
    assert [worth[pattern] for pattern in found] == pytest.approx(best, abs=1e-6)


def test_contents_are_listed_only_where_they_are_few_and_gpus_exclusive() -> None:
    """Fifty models of one GPU make too many contents; shared GPUs have positions."""
    assert listed_contents(tiny(1))
    assert not listed_contents(random_instance(1, servers=2, exclusive=False))
    many = random_instance(1, gpus=8, models=50, workflows=60)
    assert count_contents(many, 0) > 10**6
    assert not listed_contents(many)


@pytest.mark.parametrize("efficiency", [(0.5,), (0.8,), (0.95,), (0.9, 0.6)])
def test_the_row_on_slices_is_tight_where_gpus_hold_alike(efficiency: tuple[float, ...]) -> None:
    """As many on every GPU, loaded as far as they bear: no number breaks it, and one reaches it."""
    drawn = random_instance(2, servers=2, models=3, exclusive=False, load=0.3)
    cluster = replace(drawn.cluster, sharing=GpuSharing(efficiency=efficiency))
    instance = replace(drawn, cluster=cluster, memory_per_gpu_gb=np.full(3, 20.0))
    kind = cluster.server_types[0]
    kept = kept_at_most(instance, most_together(instance, kind))
    held, load = pulp.LpVariable("held"), pulp.LpVariable("load")
    for servers in (1, 2):
        row = slicing_row(instance, 0, [(held, 1.0)], [(load, 1.0)], servers)
        assert row is not None
        over = []
        for each in range(2, len(kept)):
            gpus = kind.gpus * servers
            held.varValue, load.varValue = each * gpus, kept[each] * gpus
            over.append(row.value())
        assert len(over) >= 2
        assert max(over) == pytest.approx(0.0, abs=1e-9)
    even = replace(cluster, sharing=GpuSharing(efficiency=(1.0,)))
    assert slicing_row(replace(instance, cluster=even), 0, [(held, 1.0)], [(load, 1.0)]) is None


@pytest.mark.parametrize("cap", [0.4, 0.9])
@pytest.mark.parametrize("efficiency", [(0.8,), (0.9, 0.8)])
def test_what_slices_take_off_is_taken_off_the_cap(
    cap: float, efficiency: tuple[float, ...]
) -> None:
    """One GPU for a workflow of two or three models: the part of the cap that is left serves it."""
    n = 1 + len(efficiency)
    cluster = Cluster((ServerType("s", 1, 1, 80.0),), sharing=GpuSharing(efficiency=efficiency))

    def kept(work: np.ndarray) -> float:
        flow = WorkflowDemand("w", 1.0, np.arange(n), work, np.zeros((0, 2), dtype=np.int64))
        one, memory = np.ones(n, dtype=np.int64), np.full(n, 80.0 / n)
        instance = Instance(tuple("abc"[:n]), one, memory, (flow,), cluster, load_cap=cap)
        priced = Pricing(instance, 0).solve(zero_duals(instance), HIGHS, None)
        assert priced is not None
        return priced.value

    work = np.linspace(0.5, 1.0, n)
    whole = kept(work / 100)
    assert kept(work) / whole == pytest.approx(cap * efficiency[-1] / work.sum())
