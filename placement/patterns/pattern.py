"""What one server holds: a pattern, and the rules of laying replicas out on one server."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from placement.problem.blocks import windows
from placement.problem.cluster import ServerType
from placement.problem.instance import Instance
from placement.problem.solution import Placement
from placement.problem.space import ServerSpace, pins
from placement.programs.server_groups import group_servers
from placement.solver.budget import tick


@dataclass(frozen=True)
class Pattern:
    """Content of one server of type `kind`: (model, first GPU) of each replica, ascending."""

    kind: int
    content: tuple[tuple[int, int], ...]

    @cached_property
    def models(self) -> frozenset[int]:
        """Models with a replica."""
        return frozenset(m for m, _ in self.content)

    def counts(self) -> dict[int, int]:
        """Replicas per model."""
        found: dict[int, int] = {}
        for m, _ in self.content:
            found[m] = found.get(m, 0) + 1
        return found


def patterns_of(instance: Instance, placement: Placement) -> dict[Pattern, int]:
    """Patterns of a placement, each with its number of servers."""
    found: dict[Pattern, int] = {}
    for group in group_servers(instance, placement):
        content = list(zip(group.model.tolist(), group.start.tolist(), strict=True))
        kind = int(instance.cluster.server_type[group.servers[0]])
        pattern = canonical(instance, kind, content)
        found[pattern] = found.get(pattern, 0) + len(group.servers)
    return found


def canonical(instance: Instance, kind: int, content: list[tuple[int, int]]) -> Pattern:
    """Sort a content; blocks are moved together where only their counts matter.

    What rules on company do not let stand is left out.

    Parameters
    ----------
    instance : Instance
        Says how many GPUs a replica takes, and whether they are shared.
    kind : int
        Server type.
    content : list of (int, int)
        Model and first GPU of each replica.
    """
    if instance.company:
        fixed = pins(instance, instance.cluster.server_types[kind])
        content = instance.company.kept(content, fixed)
    if instance.counts_suffice:
        start, packed = 0, []
        for m in sorted((m for m, _ in content), key=lambda m: (-instance.gpus_required[m], m)):
            packed.append((m, start))
            start += int(instance.gpus_required[m])
        content = packed
    return Pattern(kind, tuple(sorted(content)))


def lay_out(
    instance: Instance, kind: int, counts: dict[int, int], load: dict[int, float] | None = None
) -> Pattern:
    """Pack as many of the wanted replicas as fit on one server, large blocks first.

    Where replicas share GPUs, each goes to the least loaded block with room.

    Parameters
    ----------
    kind : int
        Server type.
    counts : mapping of int to int
        Replicas wanted by model.
    load : dict of int to float, optional
        Expected load of each replica by model.
    """
    server = instance.cluster.server_types[kind]
    load = load or {}
    shape = _Filling(instance, server)
    order = sorted(
        counts,
        key=lambda m: (-instance.gpus_required[m], -instance.memory_per_gpu_gb[m], m),
    )
    stand = Counter(m for m, _ in shape.content)
    for m in order:
        for _ in range(counts[m] - stand[m]):
            shape.add(m, load.get(m, 0.0))
    return canonical(instance, kind, shape.content)


def fill(instance: Instance, kind: int, wanted: list[int], counts: dict[int, int]) -> Pattern:
    """Lay out `counts`, then add replicas of `wanted`, in turn, while any fits.

    Parameters
    ----------
    instance : Instance
        Models and rules of space.
    kind : int
        Server type.
    wanted : list of int
        Models, the most wanted first.
    counts : dict of int to int
        Replicas by model that come first.
    """
    shape = _Filling(instance, instance.cluster.server_types[kind])
    stand = list(shape.content)
    for m, i in lay_out(instance, kind, counts).content:
        if (m, i) not in stand:
            shape.add(m, 1.0)
    added = True
    while added:
        added = False
        for m in wanted:
            added = shape.add(m, 1.0) or added
    return canonical(instance, kind, shape.content)


def proportional(instance: Instance, kind: int, work: dict[int, float]) -> Pattern | None:
    """One replica of every model, then more where the work of a replica is greatest.

    Parameters
    ----------
    kind : int
        Server type.
    work : dict of int to float
        Work of each model, in any unit.

    Returns
    -------
    Pattern or None
        None where the models do not fit together.
    """
    shape = _Filling(instance, instance.cluster.server_types[kind])
    for m in sorted(work, key=lambda m: (-instance.gpus_required[m], -work[m], m)):
        if not shape.add(m, work[m]):
            return None
    count = dict.fromkeys(work, 1)
    growing = set(work)
    while growing:
        m = min(growing, key=lambda m: (-work[m] / count[m], m))
        if shape.add(m, work[m] / (count[m] + 1)):
            count[m] += 1
        else:
            growing.remove(m)
    return canonical(instance, kind, shape.content)


class _Filling(ServerSpace):
    """One server while it is being filled, and the load of its GPUs."""

    def __init__(self, instance: Instance, server: ServerType) -> None:
        super().__init__(instance, server)
        self.load = np.zeros(server.gpus)

    def add(self, m: int, load: float) -> bool:
        """Place a replica on the least loaded block that has room; False where none has."""
        tick()
        k = int(self.instance.gpus_required[m])
        fits = self.fits(m)
        if not fits.any():
            return False
        peak = self.load if k == 1 else windows(self.load, k).max(axis=1)
        if self._kind.paced:  # without load, a fast block is the better one all the same
            peak = peak + max(load, 1e-9) / self.instance.block_paces(self._kind, m)
        best = int(np.where(fits, peak, np.inf).argmin())
        self.load[best : best + k] += load / self.instance.pace(self._kind, m, best)
        self.put(m, best)
        return True


def expand(instance: Instance, servers: dict[Pattern, int]) -> Placement:
    """Give each pattern its servers, type by type, in the order of the dictionary."""
    cluster = instance.cluster
    first = np.concatenate(([0], np.cumsum([t.count for t in cluster.server_types])))
    following = first[:-1].copy()
    model, server, start = [], [], []
    for pattern, count in servers.items():
        if not count or not pattern.content:
            continue
        numbers = np.arange(following[pattern.kind], following[pattern.kind] + count)
        following[pattern.kind] += count
        m, i = np.array(pattern.content, dtype=np.int64).T
        model.append(np.tile(m, count))
        start.append(np.tile(i, count))
        server.append(np.repeat(numbers, len(m)))
    if (following > first[1:]).any():
        raise ValueError("more servers than the cluster has")
    for t, kind in enumerate(cluster.server_types):
        # Servers without a pattern hold what is pinned there, and nothing else.
        bare = np.arange(following[t], first[t + 1])
        for held, at in pins(instance, kind):
            model.append(np.full(len(bare), held))
            start.append(np.full(len(bare), at))
            server.append(bare)
    empty = [np.zeros(0, dtype=np.int64)]
    return Placement.sorted(*(np.concatenate(a or empty) for a in (model, server, start)))
