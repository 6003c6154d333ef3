"""From plan to plan: the order of steps always has room, and its end is the new plan."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from placement.migration import Block, blocks, check_same_cluster, load_seconds, migration
from placement.problem.solution import Placement
from tests.placement.running import memory_gb, plan


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("alone", [(True, True), (False, False), (True, False), (False, True)])
def test_every_step_has_room_and_models_live_on(seed: int, alone: tuple[bool, bool]) -> None:
    """Replayed step by step: memory, sharing, last replicas; the end is the new plan.

    A replica goes early only where a load waits for its place, and a last one only where all that
    stand in the way are last ones.
    """
    old, new = (plan(n, exclusive=e) for n, e in zip((0, seed), alone, strict=True))
    found = migration(old, new)
    there = Counter(blocks(old))
    limit = max(old.instance.models_per_gpu, new.instance.models_per_gpu)
    gone: set[str] = set()
    waiting = set(found.loaded)
    for step in found.steps:
        waiting.discard(step.block)
        if step.action == "unload" and waiting:
            replicas = Counter(b.model for b in there)
            blocking = [
                b
                for b in found.unloaded
                if b in there and any(b.server == w.server and b.overlaps(w) for w in waiting)
            ]
            assert step.block in blocking
            last = replicas[step.block.model] == 1
            assert not last or all(replicas[b.model] == 1 for b in blocking)
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
    assert gone & kept_models == set(found.interrupted)
    assert found.loaded_gb == pytest.approx(sum(memory_gb(new, b) for b in found.loaded))


@pytest.mark.parametrize("models", [2, 3])
def test_who_trade_places_interrupt_one_of_them(models: int) -> None:
    """Single replicas round a ring of GPUs, which nothing else can resolve; alone on each GPU."""
    one = plan(0)
    small = [m for m, k in enumerate(one.instance.gpus_required.tolist()) if k == 1][:models]
    assert len(small) == models
    around = [*small[1:], small[0]]
    old, new = (
        replace(one, placement=Placement.of([(m, 0, g) for g, m in enumerate(ring)]))
        for ring in (small, around)
    )
    found = migration(old, new)
    assert len(found.interrupted) == 1
    assert [s.action for s in found.steps] == ["unload", "load"] * models
    roomy = (replace(p, instance=replace(p.instance, exclusive=False)) for p in (old, new))
    assert migration(*roomy).interrupted == ()


def test_who_moves_onto_its_own_place_is_interrupted() -> None:
    """A block that goes on by one GPU can only be unloaded first; nobody else is in the way."""
    one = plan(0)
    wide = next(m for m, k in enumerate(one.instance.gpus_required.tolist()) if k > 1)
    old, new = (replace(one, placement=Placement.of([(wide, 0, i)])) for i in (0, 1))
    found = migration(old, new)
    assert [s.action for s in found.steps] == ["unload", "load"]
    assert found.interrupted == (one.model_ids[wide],)


def test_loads_on_one_server_are_one_after_another() -> None:
    """Two servers: the longer queue of loads decides."""
    found = replace(
        migration(plan(0), plan(0)),
        loaded=(Block(0, 0, "a", 1), Block(0, 1, "b", 1), Block(1, 0, "b", 1)),
    )
    assert load_seconds(found, {"a": 5.0, "b": 7.0}) == 12.0


def test_rules_may_differ_between_the_plans() -> None:
    """The servers are the same where rules keep a model off them, pin one, or make it faster."""
    old = plan(0)
    kind = old.cluster.server_types[0]
    name = old.model_ids[0]
    for ruled in (
        replace(kind, excluded_gpus=(0,)),
        replace(kind, closed_gpus=((name, (1,)),)),
        replace(kind, pinned=((name, 0),)),
        replace(kind, domains=((0, 1),)),
        replace(kind, model_speeds=((name, 2.0),)),
    ):
        check_same_cluster(old.cluster, replace(old.cluster, server_types=(ruled,)))


def test_other_servers_are_refused() -> None:
    """In a sentence that names both clusters."""
    kind = plan(0).cluster.server_types[0]
    for other in (replace(kind, gpu_memory_gb=40.0), replace(kind, speed=2.0)):
        with pytest.raises(ValueError, match="different clusters"):
            check_same_cluster(plan(0).cluster, replace(plan(0).cluster, server_types=(other,)))
    with pytest.raises(ValueError, match=r"different clusters .*32 GPUs"):
        migration(plan(0), plan(0, 6))
