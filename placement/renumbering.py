"""Which server of a plan takes over which number of an earlier one.

Servers of one type are alike, so a plan may number them as it likes: `renumbered` gives them the
numbers under which most memory stays where it is. Which server takes over which is a
transportation problem between kinds of content (Dantzig, Linear Programming and Extensions, 1963,
chapter 14), whose vertices are whole numbers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import eye_array, kron, vstack

from placement.migration import blocks, check_same_cluster, likenesses, memory_gb
from placement.problem.cluster import IntArray, ServerType
from placement.problem.plan import Plan, Shares, WorkflowRouting
from placement.problem.solution import Placement
from placement.problem.violations import placement_violations

Content = tuple[tuple[str, int], ...]
"""Models and first GPUs of the replicas on one server, sorted."""


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
    memory = memory_gb(old) | memory_gb(new)
    gpus = _gpus(old) | _gpus(new)
    relay = new.instance.models_per_gpu == 1
    number = np.arange(cluster.n_servers)
    layout: dict[int, Content] = {}
    alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for s, likeness in enumerate(likenesses(cluster)):
        alike[likeness].append(s)
    for servers in alike.values():
        kind = cluster.server_types[cluster.server_type[servers[0]]]
        before, after = (_by_content(found, servers) for found in contents)
        worth = _laid_out(before, after, kind, memory, gpus, relay=relay)
        for theirs, mine, laid in _transport(before, after, worth):
            number[mine] = theirs
            layout[mine] = laid
    moved = _moved(new, number, layout)
    return new if placement_violations(moved.instance, moved.placement) else moved


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
    per_row = kron(eye_array(len(rows)), np.ones((1, len(columns))))
    per_column = kron(np.ones((1, len(rows))), eye_array(len(columns)))
    # A vertex of this polytope is whole: its matrix is totally unimodular.
    solved = linprog(  # type: ignore[call-overload]  # the stubs know no sparse matrix
        -gain.ravel(),
        A_eq=vstack([per_row, per_column]),
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
