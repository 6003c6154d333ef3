"""From plan to plan: what stays is the most that can, and the order of steps always has room."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import permutations

import numpy as np
import pytest

from benchmarks.instances import cluster_of, mixed_cluster, problem
from placement.migration import Block, blocks, load_seconds, migration, renumbered
from placement.problem.cluster import Cluster
from placement.problem.outcome import SolveOptions
from placement.problem.plan import Plan, build_plan
from placement.problem.solution import Placement, evaluate
from placement.problem.violations import violations
from placement.solve import solve_instance


@cache
def plan(seed: int, servers: int = 4, *, exclusive: bool = True, mixed: bool = False) -> Plan:
    """A greedy or random plan; of one model and workflow list whatever the seed."""
    cluster = mixed_cluster(servers) if mixed else cluster_of(servers)
    instance, workload = problem(6, 4, cluster, exclusive=exclusive, seed=1, load=0.5)
    method = "greedy" if seed == 0 else "random"
    options = SolveOptions(method=method, seed=seed)
    return build_plan(solve_instance(instance, options), workload)


def shuffled(plan: Plan, seed: int) -> Plan:
    """The plan with the servers of each type in another order."""
    rng = np.random.default_rng(seed)
    number = np.arange(plan.cluster.n_servers)
    for t in range(len(plan.cluster.server_types)):
        mine = np.flatnonzero(plan.cluster.server_type == t)
        number[mine] = rng.permutation(mine)
    p = plan.placement
    placement, order = Placement.in_order(p.model, number[p.server], p.start)
    return replace(plan, placement=placement, load=plan.load[order])


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("mixed", [True, False])
def test_a_plan_with_other_numbers_is_the_plan(exclusive: bool, mixed: bool) -> None:
    """Whatever the order of its servers, nothing moves; the order is what was lost."""
    old = plan(0, 6, exclusive=exclusive, mixed=mixed)
    for seed in range(3):
        new = shuffled(old, seed)
        assert migration(old, new).loaded or new.placement == old.placement
        assert renumbered(new, old).placement == old.placement
        assert not migration(old, renumbered(new, old)).steps
    assert renumbered(old, old) == old


@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("exclusive", [True, False])
def test_no_numbering_keeps_more(seed: int, exclusive: bool) -> None:
    """Against every permutation of four servers; laying out anew can only add."""
    old, new = plan(0, exclusive=exclusive), plan(seed, exclusive=exclusive)

    def kept_gb(numbers: tuple[int, ...]) -> float:
        moved = Counter(replace_server(b, numbers[b.server]) for b in blocks(new))
        stay = moved & Counter(blocks(old))
        return sum(memory_gb(new, b) for b in stay.elements())

    best = max(kept_gb(numbers) for numbers in permutations(range(4)))
    found = migration(old, renumbered(new, old))
    kept = sum(memory_gb(new, b) for b in found.kept)
    assert kept >= best - 1e-9
    if not exclusive:
        assert kept == pytest.approx(best)


def replace_server(block: Block, server: int) -> Block:
    return replace(block, server=server)


def memory_gb(plan: Plan, block: Block) -> float:
    m = plan.model_ids.index(block.model)
    return block.gpus * float(plan.instance.memory_per_gpu_gb[m])


@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("mixed", [True, False])
def test_a_renumbered_plan_serves_as_well(seed: int, exclusive: bool, mixed: bool) -> None:
    """Its rates, loads and localities are those of the plan, and no rule is broken."""
    old = plan(0, 6, exclusive=exclusive, mixed=mixed)
    new = plan(seed, 6, exclusive=exclusive, mixed=mixed)
    moved = renumbered(new, old)
    assert violations(moved.instance, moved.solution()) == []
    before, after = (evaluate(p.instance, p.solution()) for p in (new, moved))
    assert after.objective == pytest.approx(before.objective, abs=1e-12)
    np.testing.assert_allclose(np.sort(after.gpu_load), np.sort(before.gpu_load), atol=1e-12)


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("exclusive", [True, False])
def test_every_step_has_room_and_models_live_on(seed: int, exclusive: bool) -> None:
    """Replayed step by step: memory, sharing, last replicas; the end is the new plan."""
    old, new = plan(0, exclusive=exclusive), plan(seed, exclusive=exclusive)
    found = migration(old, new)
    there = Counter(blocks(old))
    limit = new.instance.models_per_gpu
    gone: set[str] = set()
    for step in found.steps:
        there[step.block] += 1 if step.action == "load" else -1
        assert min(there.values()) >= 0
        there = +there
        cells = Counter((b.server, g) for b in there for g in range(b.start, b.start + b.gpus))
        assert max(cells.values()) <= limit
        for s, g in cells:
            gb = sum(
                memory_gb(new, b) / b.gpus
                for b in there
                if b.server == s and b.start <= g < b.start + b.gpus
            )
            assert gb <= 80 * (1 + 1e-6)
        gone |= {b.model for b in blocks(old)} - {b.model for b in there}
    assert there == Counter(blocks(new))
    kept_models = {b.model for b in blocks(new)}
    assert gone & kept_models <= set(found.interrupted)
    assert found.loaded_gb == pytest.approx(sum(memory_gb(new, b) for b in found.loaded))


def test_loads_on_one_server_are_one_after_another() -> None:
    """Two servers: the longer queue of loads decides."""
    found = replace(
        migration(plan(0), plan(0)),
        loaded=(Block(0, 0, "a", 1), Block(0, 1, "b", 1), Block(1, 0, "b", 1)),
    )
    assert load_seconds(found, {"a": 5.0, "b": 7.0}) == 12.0


def test_other_servers_are_refused() -> None:
    """In a sentence that names both clusters."""
    with pytest.raises(ValueError, match=r"different clusters .*32 GPUs"):
        migration(plan(0), plan(0, 6))
    other = replace(plan(0).instance, cluster=Cluster.homogeneous(32, 8, 40.0))
    with pytest.raises(ValueError, match="same servers"):
        renumbered(plan(0), replace(plan(0), instance=other))
