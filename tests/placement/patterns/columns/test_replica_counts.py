"""Numbers of replicas before a dive: against all there are, and what a dive makes of them."""

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from placement.params.search_params import DEFAULTS
from placement.patterns.columns.column_dive import dive_columns
from placement.patterns.columns.column_master import ColumnMaster
from placement.patterns.columns.flat_problem import flat_flows
from placement.patterns.columns.generation import Generation, begin
from placement.patterns.columns.replica_counts import (
    Cut,
    choose_counts,
    counted,
    nearest_counts,
    needed,
    quota,
)
from placement.patterns.master_rows import rounding_rows
from placement.patterns.pattern import expand
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.programs.routing import best_routing
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement.heuristics.cases import random_instance

HIGHS = SolverSettings(
    threads=1, params=DEFAULTS.changed({"columns": {"count_gap": 0.0, "nodes": 100_000}})
)
WEIGHT = 0.1


def uneven(seed: int, load: float, models: int) -> Instance:
    """Two types of servers, of two speeds and sizes."""
    return normalize(random_instance(seed, models=models, load=load, mixed_types=True))


def serving(instance: Instance) -> list[Counter[tuple[int, int]]]:
    """All numbers of replicas that have the GPUs that they take, and do all work."""
    used, types = list(instance.used_models), instance.cluster.server_types
    k, work = instance.gpus_required[used], instance.model_work[used]
    ways = []
    for server in types:
        gpus = server.count * server.usable_gpus
        most = np.where(instance.memory_per_gpu_gb[used] <= server.gpu_memory_gb, gpus // k, 0)
        every = (np.array(n) for n in product(*(range(n + 1) for n in most)))
        ways.append([n for n in every if n @ k <= gpus])
    found = []
    for each in product(*ways):
        done = sum(n * instance.speeds[t, used] for t, n in enumerate(each)) * instance.load_cap
        if (done >= work - 1e-9).all() and (sum(each) >= 1).all():
            numbers = {(m, t): int(n[i]) for t, n in enumerate(each) for i, m in enumerate(used)}
            found.append(Counter(numbers))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_no_numbers_are_worth_more_by_the_cuts(seed: int) -> None:
    """Against every vector of numbers that serves all, from a random point and random cuts."""
    instance, rng = uneven(seed, load=0.5 + 0.05 * seed, models=3), np.random.default_rng(seed)
    every = serving(instance)
    keys = [(m, t) for m in instance.used_models for t in range(2)]
    near = {key: float(rng.uniform(0, 3)) for key in keys}
    cuts = [
        Cut(
            float(rng.uniform(0, 1)),
            Counter({key: int(rng.integers(0, 4)) for key in keys}),
            {key: -float(rng.uniform(0, 0.3)) for key in keys},
        )
        for _ in range(seed % 4)
    ]

    def worth(numbers: Counter[tuple[int, int]]) -> float:
        moved = sum(
            float(instance.gpus_required[m]) * abs(numbers[m, t] - near[m, t]) for m, t in keys
        )
        value = (
            cut.value + sum(mu * (numbers[key] - cut.counts[key]) for key, mu in cut.slope.items())
            for cut in cuts
        )
        return min(value, default=0.0) - WEIGHT * moved

    master = ColumnMaster(instance, flat_flows(instance), (), 1.0, dives=True)
    found = nearest_counts(master, near, cuts, WEIGHT, HIGHS, Budget())
    if not every:
        assert found is None
        return
    assert found is not None
    assert found in every
    assert worth(found) == pytest.approx(max(map(worth, every)), abs=1e-6)


def started(instance: Instance) -> Generation:
    """A relaxation whose columns are all generated."""
    gen = begin(instance, rounding_rows(instance), (), DEFAULTS.columns, seed=0, dives=True)
    gen.run(Budget())
    assert gen.master.solve(Budget())
    return gen


@pytest.mark.parametrize("seed", range(6))
def test_a_dive_places_the_chosen_numbers_and_they_serve_all(seed: int) -> None:
    """Also where few numbers do, as the servers' speeds differ and the cap is near."""
    drawn = uneven(seed, load=0.6, models=6)
    least = next(
        cap for cap in np.arange(0.6, 3.0, 0.02)
        if nearest_counts(
            ColumnMaster(replace(drawn, load_cap=float(cap)), flat_flows(drawn), (), 1.0),
            {}, (), 1.0, HIGHS, Budget(),
        )
    )  # fmt: skip
    instance = replace(drawn, load_cap=float(least) * 1.001)
    gen = started(instance)
    whole = gen.master.program.value
    counts = choose_counts(gen, HIGHS, Budget())
    assert counts is not None
    assert dive_columns(gen, Budget(), 0, counts)
    for servers in (gen.master.fixed, quota(instance, counts, {}).lay_out()):
        placed = counted(servers)
        assert all(placed[key] >= n for key, n in counts.items())
        solution = best_routing(instance, expand(instance, servers), HIGHS)
        assert solution is not None
        assert solution.load.max() <= instance.load_cap * (1 + 1e-6)
    gen.release()
    assert gen.master.solve(Budget())
    assert gen.master.program.value >= whole - 1e-7


def test_barred_contents_have_no_more_servers_than_are_fixed() -> None:
    """Nor does pricing bring them back; released, the relaxation is worth what it was."""
    gen = started(uneven(2, load=0.5, models=5))
    whole, used = gen.master.program.value, gen.master.used()
    first, *others = sorted(used, key=lambda p: -used[p])
    assert others
    gen.master.fix(first, 1)
    gen.bar(lambda p: p in used)
    gen.run(Budget(), rounds=20)
    now = gen.master.used()
    assert now[first] == pytest.approx(1.0)
    assert not set(now) & set(others)
    assert gen.master.program.value <= whole + 1e-7
    assert not set(gen.master.promising(1_000)) & set(used)
    gen.release()
    gen.run(Budget())
    assert gen.master.solve(Budget())
    assert gen.master.program.value == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_of_what_stands_the_chosen_numbers_are_needed_or_what_serves(seed: int) -> None:
    """Replicas beside those chosen are not; and always enough of each model stay."""
    instance = uneven(seed, load=0.5, models=3)
    numbers, rng = serving(instance), np.random.default_rng(seed)
    known = {frozenset((+n).items()) for n in numbers}
    for _ in range(50):
        chosen, held = (numbers[i] for i in rng.integers(len(numbers), size=2))
        assert +needed(instance, chosen + held, chosen) == +chosen
        kept = needed(instance, held, chosen)
        assert all(n <= held[key] for key, n in kept.items())
        assert frozenset((+kept).items()) in known


def test_numbers_that_leave_the_relaxation_all_are_taken_at_once() -> None:
    """Where GPUs are plenty, nothing is lost by whole numbers."""
    instance = replace(uneven(1, load=0.2, models=3), load_cap=10.0)
    gen = started(instance)
    relaxed = gen.master.program.value
    counts = choose_counts(gen, HIGHS, Budget())
    assert counts in serving(instance)
    assert gen.master.program.value == pytest.approx(relaxed, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_missing_is_laid_side_by_side(seed: int) -> None:
    """Server by server, until all numbers that fill a type's GPUs stand."""
    instance, rng = uneven(seed, load=0.5, models=4), np.random.default_rng(seed)
    server = instance.cluster.server_types[0]
    gpus, numbers = server.count * server.usable_gpus, Counter[tuple[int, int]]()
    while gpus:
        m = int(rng.choice(instance.used_models))
        if instance.gpus_required[m] <= gpus:
            numbers[m, 0] += 1
            gpus -= int(instance.gpus_required[m])
    left = quota(instance, numbers, {})
    assert left.spare[0] == 0
    placed = Counter[tuple[int, int]]()
    for _ in range(server.count):
        pattern = left.rest(0)
        assert left.admits(pattern)
        left.take(pattern)
        placed += counted({pattern: 1})
    assert placed == numbers
    again = quota(instance, numbers, {pattern: 1})
    assert again.missing[next(iter(pattern.counts())), 0] < numbers[next(iter(pattern.counts())), 0]


def test_a_content_that_wastes_what_is_needed_is_not_admitted() -> None:
    """A server of one model where each GPU is wanted by another."""
    instance = uneven(0, load=0.5, models=4)
    server, (first, second) = instance.cluster.server_types[0], instance.used_models[:2]
    gpus, k = server.count * server.usable_gpus, instance.gpus_required
    full = quota(instance, Counter({(first, 0): gpus // int(k[first])}), {})
    other = quota(instance, Counter({(second, 0): server.usable_gpus // int(k[second])}), {})
    assert not full.admits(other.rest(0))
    assert full.admits(full.rest(0))
