"""The shape of one trace: which calls it makes, and which waits for which."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from placement.importing.otlp import Span
from placement.importing.span_calls import Call, find_call

Edge = tuple[int, int]


@dataclass(frozen=True)
class Shape:
    """Calls in an order that does not depend on when they ran, and the edges between them.

    Parameters
    ----------
    name : str
        What the trace runs.
    nodes : tuple of (str, str)
        Id of a node and its model.
    edges : tuple of pairs of int
        Which node waits for which, by their places in `nodes`.
    """

    name: str
    nodes: tuple[tuple[str, str], ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True)
class TraceRun:
    """One trace: its shape, and what each of its calls took.

    Parameters
    ----------
    service_s : tuple of float
        By node, without the time of calls inside it and in its server's queue.
    session : str or None
    """

    trace: str
    start_ns: int
    shape: Shape
    calls: tuple[Call, ...]
    service_s: tuple[float, ...]
    session: str | None


class SpanTree:
    """The spans of one trace by what they are part of; times cover all that is below."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.spans = {s.id: s for s in sorted(spans, key=lambda s: (s.start_ns, s.end_ns, s.id))}
        self.children: dict[str | None, list[Span]] = defaultdict(list)
        for s in self.spans.values():
            self.children[s.parent if s.parent in self.spans else None].append(s)
        self.order: list[Span] = []
        stack = list(reversed(self.children[None]))
        while stack:
            s = stack.pop()
            self.order.append(s)
            stack += reversed(self.children[s.id])
        # Spans that are part of each other in a circle hang on no root; they stand for themselves.
        seen = {s.id for s in self.order}
        self.order += [s for s in self.spans.values() if s.id not in seen]
        self.parent = {
            s.id: s.parent if s.parent in seen and s.id in seen else None for s in self.order
        }
        self.begin = {s.id: s.start_ns for s in self.order}
        self.end = {s.id: s.end_ns for s in self.order}
        for s in reversed(self.order):
            above = self.parent[s.id]
            if above is not None:
                self.begin[above] = min(self.begin[above], self.begin[s.id])
                self.end[above] = max(self.end[above], self.end[s.id])

    def path(self, span: str) -> list[str]:
        """Give the spans from a root down to this one."""
        found = [span]
        while (above := self.parent[found[-1]]) is not None:
            found.append(above)
        return found[::-1]

    @cached_property
    def root(self) -> Span:
        """The first span that is part of no other."""
        return self.order[0]


def trace_run(spans: Iterable[Span], notes: Counter[str]) -> TraceRun | None:
    """Find what a trace runs; None where it calls no model.

    Parameters
    ----------
    spans : iterable of Span
        All of one trace.
    notes : Counter of str
        Takes in what a workload does not express.
    """
    tree = SpanTree(spans)
    found = {
        s.id: call
        for s in tree.order
        if (call := find_call(s, tree.children[s.id], notes)) is not None
    }
    inside = _outer_calls(tree, found, notes)
    calls = [call for own, call in found.items() if own in inside]
    if not calls:
        return None
    index = {call.span.id: i for i, call in enumerate(calls)}
    edges = _linked(tree, index, notes) or _reduced(_timely(tree, calls), len(calls))
    service = [c.span.end_ns - c.span.start_ns for c in calls]
    for own, outer in inside.items():
        if outer is not None:
            service[index[outer]] -= found[own].span.end_ns - found[own].span.start_ns
    root = tree.root
    name = root.text("gen_ai.workflow.name", "gen_ai.agent.name") or root.name
    order = _canonical(calls, edges)
    place = {old: new for new, old in enumerate(order)}
    shape = Shape(
        name,
        tuple(
            zip(
                _ids([calls[i].span.name for i in order]),
                (calls[i].model for i in order),
                strict=True,
            )
        ),
        tuple(sorted((place[a], place[b]) for a, b in edges)),
    )
    return TraceRun(
        trace=root.trace,
        start_ns=root.start_ns,
        shape=shape,
        calls=tuple(calls[i] for i in order),
        service_s=tuple(max(0.0, service[i] / 1e9 - calls[i].waited_s) for i in order),
        session=next(
            (t for s in tree.order if (t := s.text("gen_ai.conversation.id", "session.id"))), None
        ),
    )


def _outer_calls(
    tree: SpanTree, found: dict[str, Call], notes: Counter[str]
) -> dict[str, str | None]:
    """Calls that stand for themselves, each with the call that it is part of.

    A call of the same model inside a call is that call, seen by a second instrument.
    """
    kept: dict[str, str | None] = {}
    for own in found:
        outer = next((s for s in reversed(tree.path(own)[:-1]) if s in kept), None)
        if outer is not None and found[outer].model == found[own].model:
            notes["calls inside a call of the same model are taken for one call, seen twice"] += 1
        else:
            kept[own] = outer
    return kept


def _linked(tree: SpanTree, index: dict[str, int], notes: Counter[str]) -> set[Edge] | None:
    """Edges from links between spans, where the trace has any between its calls."""
    below: dict[str, list[int]] = defaultdict(list)
    for own, i in index.items():
        for s in tree.path(own):
            below[s].append(i)
    edges = {
        (a, b)
        for s in tree.order
        for linked in s.links
        for a in below.get(linked, ())
        for b in below.get(s.id, ())
        if a != b
    }
    if not edges:
        return None
    if _depths(len(index), edges) is None:
        notes["traces whose links run in a circle are taken by their times"] += 1
        return None
    return edges


def _timely(tree: SpanTree, calls: Sequence[Call]) -> list[int]:
    """Calls that come after each call, as bits of a number.

    Two calls are parts of two spans under one roof: the one waits for the other if its span began
    when the other's had ended. A call inside a call ends before it.
    """
    paths = [tree.path(call.span.id) for call in calls]
    rank = {s.id: i for i, s in enumerate(tree.order)}
    after = [0] * len(calls)
    for a in range(len(calls)):
        for b in range(a + 1, len(calls)):
            pair = next(((x, y) for x, y in zip(paths[a], paths[b], strict=False) if x != y), None)
            if pair is None:
                outer, inner = (a, b) if len(paths[a]) < len(paths[b]) else (b, a)
                after[inner] |= 1 << outer
                continue
            x, y = pair
            first = tree.end[x] <= tree.begin[y]
            second = tree.end[y] <= tree.begin[x]
            if first and second:  # both took no time
                first = rank[x] < rank[y]
            if first:
                after[a] |= 1 << b
            elif second:
                after[b] |= 1 << a
    return after


def _reduced(after: list[int], n: int) -> set[Edge]:
    """Edges that no way round makes needless."""
    edges = set()
    for a in range(n):
        beyond = 0
        for c in range(n):
            if after[a] >> c & 1:
                beyond |= after[c]
        edges |= {(a, b) for b in range(n) if (after[a] & ~beyond) >> b & 1}
    return edges


def _depths(n: int, edges: Iterable[Edge]) -> list[int] | None:
    """Longest way from a node without parents; None where there is a circle."""
    children: dict[int, list[int]] = defaultdict(list)
    parents = [0] * n
    for a, b in edges:
        children[a].append(b)
        parents[b] += 1
    depth = [0] * n
    ready = [v for v in range(n) if not parents[v]]
    for v in ready:
        for w in children[v]:
            depth[w] = max(depth[w], depth[v] + 1)
            parents[w] -= 1
            if not parents[w]:
                ready.append(w)
    return depth if len(ready) == n else None


def _canonical(calls: Sequence[Call], edges: Iterable[Edge]) -> list[int]:
    """Order calls by depth, name, model, and what is before and behind them; then by time."""
    edges = sorted(edges)
    n = len(calls)
    depth = _depths(n, edges) or [0] * n
    before: list[list[int]] = [[] for _ in range(n)]
    behind: list[list[int]] = [[] for _ in range(n)]
    for a, b in edges:
        before[b].append(a)
        behind[a].append(b)
    own = [(depth[i], calls[i].span.name, calls[i].model) for i in range(n)]
    up, down = _colours(own, before), _colours(own, behind)
    return sorted(range(n), key=lambda i: (own[i], up[i], down[i], calls[i].span.start_ns, i))


def _colours(own: list[tuple[int, str, str]], near: list[list[int]]) -> list[int]:
    """Number nodes alike where they and all that lies beyond them in one direction are alike."""
    colour = _numbered(own)
    while True:
        finer = _numbered(
            [(colour[i], sorted(colour[j] for j in near[i])) for i in range(len(own))]
        )
        if max(finer) == max(colour):
            return finer
        colour = finer


def _numbered(keys: Sequence[object]) -> list[int]:
    """Numbers of keys by their order."""
    number = {key: i for i, key in enumerate(sorted({repr(key) for key in keys}))}
    return [number[repr(key)] for key in keys]


def _ids(names: Sequence[str]) -> list[str]:
    """Names that differ: a second of a name has its number behind it."""
    seen: Counter[str] = Counter()
    taken = set(names)
    found = []
    for name in names:
        seen[name] += 1
        own = name
        while seen[name] > 1 and (own == name or own in taken):
            own = f"{name} {seen[name]}"
            if own in taken:
                seen[name] += 1
        taken.add(own)
        found.append(own)
    return found
