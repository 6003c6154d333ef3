"""From one plan to another: what stays, what is loaded, and in which order."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from placement.problem.cluster import Cluster, ServerType
from placement.problem.plan import Plan
from placement.problem.space import all_rooms_gb
from placement.support.described import counted


@dataclass(frozen=True, order=True)
class Block:
    """A replica by what it is and where it stands: equal blocks of two plans are one replica.

    Parameters
    ----------
    server, start : int
        Server, and first GPU within it.
    model : str
    gpus : int
        Length of the block.
    """

    server: int
    start: int
    model: str
    gpus: int

    def overlaps(self, other: Block) -> bool:
        """Whether two blocks of one server have a GPU in common."""
        return self.start < other.start + other.gpus and other.start < self.start + self.gpus


@dataclass(frozen=True)
class Step:
    """One load or unload."""

    action: Literal["load", "unload"]
    block: Block


@dataclass(frozen=True)
class Migration:
    """What it takes to come from one plan to another.

    Parameters
    ----------
    kept, loaded, unloaded : tuple of Block
        Replicas that stay, come and go; ascending.
    steps : tuple of Step
        The loads and unloads in an order in which every load finds room.
    interrupted : tuple of str
        Models that have no replica for a while: nothing fits before their last one goes.
    loaded_gb : float
        Memory of all that is loaded.
    """

    kept: tuple[Block, ...]
    loaded: tuple[Block, ...]
    unloaded: tuple[Block, ...]
    steps: tuple[Step, ...]
    interrupted: tuple[str, ...]
    loaded_gb: float

    @property
    def headline(self) -> str:
        """How much stays and how much comes."""
        total = len(self.kept) + len(self.loaded)
        return (
            f"{len(self.kept):,} of {total:,} replicas stay, {len(self.loaded):,} are loaded "
            f"({self.loaded_gb:,.0f} GB), {len(self.unloaded):,} unloaded"
        )


def blocks(plan: Plan) -> list[Block]:
    """Replicas of a plan, in its order."""
    gpus = plan.instance.gpus_required
    return [Block(s, i, plan.model_ids[m], int(gpus[m])) for m, s, i in plan.placement.replicas()]


def migration(old: Plan, new: Plan) -> Migration:
    """Compare two plans for one cluster, replica by replica.

    Parameters
    ----------
    old : Plan
        What runs.
    new : Plan
        What shall run; `renumbering.renumbered` first where servers of one type are alike.

    Raises
    ------
    ValueError
        The plans are for different clusters.
    """
    check_same_cluster(old.cluster, new.cluster)
    before, after = set(blocks(old)), set(blocks(new))
    loaded, unloaded = sorted(after - before), sorted(before - after)
    memory = memory_gb(old) | memory_gb(new)
    steps, interrupted = _ordered(old, new, loaded, unloaded, memory)
    return Migration(
        tuple(sorted(before & after)),
        tuple(loaded),
        tuple(unloaded),
        tuple(steps),
        tuple(interrupted),
        sum(b.gpus * memory[b.model] for b in loaded),
    )


def check_same_cluster(old: Cluster, new: Cluster) -> None:
    """Refuse to compare plans for different servers; rules on what stands there may differ.

    Raises
    ------
    ValueError
    """
    if not same_hardware(old, new):
        raise ValueError(
            f"the plans are for different clusters ({_described(old)} against "
            f"{_described(new)}); give two plans for the same servers"
        )


def same_hardware(one: Cluster, other: Cluster) -> bool:
    """Whether two clusters have the same servers in order, whatever rules say of them."""
    if one.n_servers != other.n_servers:
        return False
    pairs = np.unique(one.server_type * len(other.server_types) + other.server_type)
    return all(
        _made_of(one.server_types[t]) == _made_of(other.server_types[o])
        for t, o in (divmod(pair, len(other.server_types)) for pair in pairs.tolist())
    )


def _made_of(kind: ServerType) -> tuple[object, ...]:
    return kind.gpus, kind.memories_gb, kind.gpu_speeds or (kind.speed,) * kind.gpus


def likenesses(cluster: Cluster) -> list[tuple[object, ...]]:
    """What each server is, whatever its type is called: equal where two servers are alike."""
    kinds = [replace(t, name="", count=0) for t in cluster.server_types]
    alike = [tuple(getattr(k, name) for name in k.__dataclass_fields__) for k in kinds]
    return [alike[t] for t in cluster.server_type]


def _described(cluster: Cluster) -> str:
    return f"{counted(cluster.n_servers, 'server')}, {counted(cluster.n_gpus, 'GPU')}"


def memory_gb(plan: Plan) -> dict[str, float]:
    """Memory of each model on each of its GPUs."""
    return dict(zip(plan.model_ids, plan.instance.memory_per_gpu_gb.tolist(), strict=True))


def _ordered(
    old: Plan,
    new: Plan,
    loaded: list[Block],
    unloaded: list[Block],
    memory: dict[str, float],
) -> tuple[list[Step], list[str]]:
    """Order loads and unloads so that loads find room and models keep a replica if they can."""
    room = all_rooms_gb(old.cluster)
    limit = max(old.instance.models_per_gpu, new.instance.models_per_gpu)
    free, count = room.copy(), np.zeros(len(room), dtype=np.int64)
    first_gpu = old.cluster.first_gpu
    alive: Counter[str] = Counter()
    coming: dict[int, list[Block]] = defaultdict(list)
    for block in loaded:
        coming[block.server].append(block)
    steps: list[Step] = []

    def gpus(block: Block) -> slice:
        at = int(first_gpu[block.server]) + block.start
        return slice(at, at + block.gpus)

    def change(block: Block, by: int) -> None:
        free[gpus(block)] -= by * memory[block.model]
        count[gpus(block)] += by
        alive[block.model] += by

    def load_what_fits(server: int) -> None:
        waiting = []
        for block in coming.pop(server, ()):
            where = gpus(block)
            if (free[where] >= memory[block.model]).all() and (count[where] < limit).all():
                change(block, 1)
                steps.append(Step("load", block))
            else:
                waiting.append(block)
        if waiting:
            coming[server] = waiting

    def unload(block: Block) -> None:
        change(block, -1)
        steps.append(Step("unload", block))

    def in_the_way(block: Block) -> bool:
        return any(block.overlaps(other) for other in coming.get(block.server, ()))

    for block in blocks(old):
        change(block, 1)
    for server in list(coming):
        load_what_fits(server)
    interrupted: set[str] = set()
    gone: set[Block] = set()
    going = iter(unloaded)
    last_ones: list[Block] = []
    while coming:
        # Loads only take room away, so who is in nobody's way now never will be.
        last_ones = [b for b in last_ones if b not in gone and in_the_way(b)]
        spare = next((b for b in last_ones if alive[b.model] > 1), None)
        for block in going if spare is None else ():
            if in_the_way(block):
                if alive[block.model] > 1:
                    spare = block
                    break
                last_ones.append(block)
        if spare is None:
            # Its place is needed by whoever else waits, so nothing comes before it goes.
            spare = last_ones[0]
            interrupted.add(spare.model)
        unload(spare)
        gone.add(spare)
        # An unload makes room on its own server, and nowhere else.
        load_what_fits(spare.server)
    for block in unloaded:
        if block not in gone:
            unload(block)
    return steps, sorted(interrupted & {b.model for b in blocks(new)})


def load_seconds(found: Migration, load_time_s: dict[str, float]) -> float:
    """Seconds until the last load ends, where servers load side by side, each one after another.

    Parameters
    ----------
    found : Migration
    load_time_s : dict of str to float
        Seconds to load a replica of each model.
    """
    total: dict[int, float] = defaultdict(float)
    for block in found.loaded:
        total[block.server] += load_time_s[block.model]
    return max(total.values(), default=0.0)
