"""From one plan to another: what stays, what is loaded, and in which order.

Servers of one type are alike, so a plan may number them as it likes: `renumbered` gives them the
numbers under which most memory stays where it is. Which server takes over which is a
transportation problem between kinds of content (Dantzig, Linear Programming and Extensions, 1963,
chapter 14), whose vertices are whole numbers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.optimize import linprog

from placement.problem.cluster import Cluster, IntArray, ServerType
from placement.problem.plan import Plan, Shares, WorkflowRouting
from placement.problem.solution import Placement
from placement.problem.space import all_rooms_gb
from placement.problem.violations import placement_violations

Content = tuple[tuple[str, int], ...]
"""Models and first GPUs of the replicas on one server, sorted."""


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
    p, gpus = plan.placement, plan.instance.gpus_required
    rows = zip(p.server.tolist(), p.start.tolist(), p.model.tolist(), strict=True)
    return [Block(s, i, plan.model_ids[m], int(gpus[m])) for s, i, m in rows]


def migration(old: Plan, new: Plan) -> Migration:
    """Compare two plans for one cluster, replica by replica.

    Parameters
    ----------
    old : Plan
        What runs.
    new : Plan
        What shall run; `renumbered` first where servers of one type are alike.

    Raises
    ------
    ValueError
        The plans are for different clusters.
    """
    check_same_cluster(old.cluster, new.cluster)
    before, after = set(blocks(old)), set(blocks(new))
    loaded, unloaded = sorted(after - before), sorted(before - after)
    memory = _memory_gb(old) | _memory_gb(new)
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
    """Refuse to compare plans for different servers.

    Raises
    ------
    ValueError
    """
    shapes = [[_likeness(t) for t in _types(cluster)] for cluster in (old, new)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"the plans are for different clusters ({_described(old)} against "
            f"{_described(new)}); give two plans for the same servers"
        )


def renumbered(new: Plan, old: Plan) -> Plan:
    """Give servers of one type the numbers under which most of an earlier plan stays.

    Where GPUs are exclusive, the blocks of a server are laid out anew too, those that were there
    before at their old places. What is served, and how local, stays as it was. Where rules name
    servers or GPUs and a new number would break one, the plan is given back as it is.

    Parameters
    ----------
    new : Plan
        The plan whose servers get other numbers.
    old : Plan
        For the same cluster.

    Raises
    ------
    ValueError
        The plans are for different clusters.
    """
    check_same_cluster(old.cluster, new.cluster)
    cluster = new.cluster
    contents = [_contents(plan) for plan in (old, new)]
    memory = _memory_gb(old) | _memory_gb(new)
    gpus = _gpus(old) | _gpus(new)
    relay = new.instance.models_per_gpu == 1
    number = np.arange(cluster.n_servers)
    layout: dict[int, Content] = {}
    alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for s, kind in enumerate(_types(cluster)):
        alike[_likeness(kind)].append(s)
    for servers in alike.values():
        kind = _types(cluster)[servers[0]]
        before, after = (_by_content(found, servers) for found in contents)
        worth = _laid_out(before, after, kind, memory, gpus, relay=relay)
        for theirs, mine, laid in _transport(before, after, worth):
            number[mine] = theirs
            layout[mine] = laid
    moved = _moved(new, number, layout)
    return new if placement_violations(moved.instance, moved.placement) else moved


def _types(cluster: Cluster) -> list[ServerType]:
    """Type of each server."""
    return [cluster.server_types[t] for t in cluster.server_type]


def _likeness(kind: ServerType) -> tuple[object, ...]:
    """What makes two servers alike, whatever their types are called."""
    rest = replace(kind, name="", count=0)
    return tuple(getattr(rest, name) for name in rest.__dataclass_fields__)


def _described(cluster: Cluster) -> str:
    return f"{cluster.n_servers:,} servers, {cluster.n_gpus:,} GPUs"


def _memory_gb(plan: Plan) -> dict[str, float]:
    """Memory of each model on each of its GPUs."""
    return dict(zip(plan.model_ids, plan.instance.memory_per_gpu_gb.tolist(), strict=True))


def _gpus(plan: Plan) -> dict[str, int]:
    return dict(zip(plan.model_ids, plan.instance.gpus_required.tolist(), strict=True))


def _contents(plan: Plan) -> list[Content]:
    """Content of each server."""
    found: list[list[tuple[str, int]]] = [[] for _ in range(plan.cluster.n_servers)]
    for b in blocks(plan):
        found[b.server].append((b.model, b.start))
    return [tuple(sorted(content)) for content in found]


def _by_content(contents: Sequence[Content], servers: Iterable[int]) -> dict[Content, list[int]]:
    """Servers by what they hold."""
    groups: dict[Content, list[int]] = defaultdict(list)
    for s in servers:
        groups[contents[s]].append(s)
    return groups


def _laid_out(
    old: dict[Content, list[int]],
    new: dict[Content, list[int]],
    kind: ServerType,
    memory: dict[str, float],
    gpus: dict[str, int],
    *,
    relay: bool,
) -> dict[tuple[Content, Content], tuple[float, Content]]:
    """For each pair of contents, what stays (GB), and how the later one is laid out for it."""
    found = {}
    for before in old:
        for after in new:
            laid = after
            if relay:
                laid = _relaid(before, after, kind, gpus) or after
            stays = (Counter(before) & Counter(laid)).elements()
            found[before, after] = sum(memory[m] * gpus[m] for m, _ in stays), laid
    return found


def _relaid(
    before: Content, after: Content, kind: ServerType, gpus: dict[str, int]
) -> Content | None:
    """Lay exclusive blocks out so that those that were there stay; None where the rest fails."""
    free = np.ones(kind.gpus, dtype=bool)
    free[list(kind.excluded_gpus)] = False
    there: dict[str, list[int]] = defaultdict(list)
    for model, start in before:
        there[model].append(start)
    laid, rest = [], []
    # What keeps its place anyway is not moved to an equal one.
    for model, start in sorted(after, key=lambda b: (b not in before, b)):
        places = there[model]
        if not places:
            rest.append(model)
            continue
        at = start if start in places else places[0]
        places.remove(at)
        free[at : at + gpus[model]] = False
        laid.append((model, at))
    for model in sorted(rest, key=lambda m: (-gpus[m], m)):
        k = gpus[model]
        open_at = [i for i in range(kind.gpus - k + 1) if free[i : i + k].all()]
        if not open_at:
            return None
        # The tightest gap, so that longer blocks find room too.
        at = min(open_at, key=lambda i: (_gap(free, i), i))
        free[at : at + k] = False
        laid.append((model, at))
    return tuple(sorted(laid))


def _gap(free: np.ndarray, at: int) -> int:
    """Length of the run of free GPUs around one."""
    first = last = at
    while first > 0 and free[first - 1]:
        first -= 1
    while last + 1 < len(free) and free[last + 1]:
        last += 1
    return last - first + 1


def _transport(
    old: dict[Content, list[int]],
    new: dict[Content, list[int]],
    worth: dict[tuple[Content, Content], tuple[float, Content]],
) -> list[tuple[int, int, Content]]:
    """Pair servers for the most memory that stays: (old server, new server, layout)."""
    rows, columns = list(old), list(new)
    gain = np.array([[worth[a, b][0] for b in columns] for a in rows])
    supply = np.array([len(old[a]) for a in rows])
    demand = np.array([len(new[b]) for b in columns])
    per_row = np.kron(np.eye(len(rows)), np.ones(len(columns)))
    per_column = np.kron(np.ones(len(rows)), np.eye(len(columns)))
    # A vertex of this polytope is whole: its matrix is totally unimodular.
    solved = linprog(
        -gain.ravel(),
        A_eq=np.vstack([per_row, per_column]),
        b_eq=np.concatenate([supply, demand]),
        method="highs-ds",
    )
    flow = np.rint(np.asarray(solved.x)).astype(int).reshape(gain.shape)
    waiting = {b: list(new[b]) for b in columns}
    pairs = []
    for i, a in enumerate(rows):
        servers = iter(old[a])
        for j, b in enumerate(columns):
            for _ in range(flow[i, j]):
                pairs.append((next(servers), waiting[b].pop(0), worth[a, b][1]))
    return pairs


def _moved(plan: Plan, number: IntArray, layout: dict[int, Content]) -> Plan:
    """Write a plan with other numbers of servers, and blocks laid out anew."""
    p = plan.placement
    start = p.start.copy()
    waiting: dict[int, dict[str, list[int]]] = {s: defaultdict(list) for s in layout}
    for s, content in layout.items():
        for model, at in content:
            waiting[s][model].append(at)
    # Of equal models the order is kept, so that a layout that is the old one changes nothing.
    for r in np.lexsort((p.start, p.server)).tolist():
        model, s = plan.model_ids[p.model[r]], int(p.server[r])
        start[r] = waiting[s][model].pop(0)
    placement, order = Placement.in_order(p.model, number[p.server], start)

    def shares(given: Shares) -> Shares:
        server = number[given.server]
        by_number = np.argsort(server, kind="stable")
        return Shares(server[by_number], given.share[by_number])

    return replace(
        plan,
        placement=placement,
        load=plan.load[order],
        routing=tuple(
            r and WorkflowRouting(shares(r.home), tuple(shares(s) for s in r.spill))
            for r in plan.routing
        ),
    )


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

    def gpus(block: Block) -> slice:
        at = int(first_gpu[block.server]) + block.start
        return slice(at, at + block.gpus)

    def change(block: Block, by: int) -> None:
        free[gpus(block)] -= by * memory[block.model]
        count[gpus(block)] += by
        alive[block.model] += by

    for block in blocks(old):
        change(block, 1)
    steps: list[Step] = []
    interrupted: list[str] = []
    coming, going = list(loaded), list(unloaded)

    def load_what_fits() -> bool:
        some = False
        for block in list(coming):
            where = gpus(block)
            if (free[where] >= memory[block.model]).all() and (count[where] < limit).all():
                change(block, 1)
                coming.remove(block)
                steps.append(Step("load", block))
                some = True
        return some

    def unload(block: Block) -> None:
        change(block, -1)
        going.remove(block)
        steps.append(Step("unload", block))

    while coming:
        if load_what_fits():
            continue
        wanted = _touched(coming)
        in_the_way = [b for b in going if not wanted.isdisjoint(_cells(b))]
        spare = [b for b in in_the_way if alive[b.model] > 1]
        if not spare:
            # Its place is needed by whoever else waits, so nothing comes before it goes.
            spare = in_the_way[:1]
            interrupted.append(spare[0].model)
        unload(spare[0])
    for block in list(going):
        unload(block)
    wanted_models = {b.model for b in blocks(new)}
    return steps, sorted({m for m in interrupted if m in wanted_models})


def _cells(block: Block) -> set[tuple[int, int]]:
    return {(block.server, g) for g in range(block.start, block.start + block.gpus)}


def _touched(wanted: list[Block]) -> set[tuple[int, int]]:
    return {cell for block in wanted for cell in _cells(block)}


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
