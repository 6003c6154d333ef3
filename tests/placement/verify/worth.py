"""What one server is worth at some prices, content by content, by a program of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.optimize import linprog

from placement.verify.scaled_problem import Scaled
from placement.verify.valid_rows import CountRow, KeptRow, Prices

Content = tuple[tuple[int, int], ...]
"""(model, start) of each replica."""


def every_content(scaled: Scaled, t: int) -> Iterator[Content]:
    """All contents of one server of a type, the empty one among them."""
    kind = scaled.types[t]
    blocks = [(m, i) for m in scaled.used for i in range(kind.gpus - int(scaled.gpus[m]) + 1)]

    def fits(content: Content) -> bool:
        for g in range(kind.gpus):
            here = [m for m, i in content if i <= g < i + scaled.gpus[m]]
            if scaled.most_on_gpu is not None and len(here) > scaled.most_on_gpu:
                return False
            if sum(scaled.memory[m] for m in here) > kind.gpu_memory_gb:
                return False
        return True

    found: list[Content] = [()]
    for block in blocks:
        found += [(*c, block) for c in found if fits((*c, block))]
    yield from found


def worth(scaled: Scaled, t: int, prices: Prices, content: Content) -> float:
    """Most that one server with these replicas is worth: rates, what is kept, priced rows."""
    kind = scaled.types[t]
    cost: list[float] = []
    bounds: list[tuple[float, float | None]] = []
    less: list[tuple[dict[int, float], float]] = []
    equal: list[tuple[dict[int, float], float]] = []
    held = {m for m, _ in content}
    busy: dict[int, dict[int, float]] = {m: {} for m in held}
    for flow in scaled.flows:
        rate = {}
        for v, m in enumerate(flow.models):
            rate[v] = len(cost)
            cost.append(prices.node[flow.w, v])
            bounds.append((0.0, flow.rate if m in held else 0.0))
            if m in held:
                busy[m][rate[v]] = flow.load[v] / kind.speed
        for part, (_, together) in flow.parts.items():
            kept = len(cost)
            cost.append(-prices.kept[part])
            bounds.append((0.0, None))
            less += [({kept: 1.0, rate[v]: -1.0}, 0.0) for v in together]
    carried = range(len(cost), len(cost) + len(content))
    cost += [0.0] * len(content)
    bounds += [(0.0, 1.0)] * len(content)
    for m, terms in busy.items():
        mine = {h: -1.0 for h, (o, _) in zip(carried, content, strict=True) if o == m}
        equal.append((terms | mine, 0.0))
    for g in range(kind.gpus):
        on_gpu = [
            h for h, (m, i) in zip(carried, content, strict=True) if i <= g < i + scaled.gpus[m]
        ]
        less.append((dict.fromkeys(on_gpu, 1.0), 1.0))
    found = linprog(cost, *_dense(less, len(cost)), *_dense(equal, len(cost)), bounds=bounds)
    assert found.success
    return -float(found.fun) + _features(t, prices, content)


def _features(t: int, prices: Prices, content: Content) -> float:
    count = {m: [o for o, _ in content].count(m) for m, _ in content}
    total = 0.0
    for row, mu in prices.rows:
        numbers = [count.get(m, 0) for m in row.models]
        if isinstance(row, CountRow):
            many = all(n >= row.threshold for n in numbers)
            total -= mu * row.weight[t] * (numbers[0] if row.threshold == 0 else many)
        elif isinstance(row, KeptRow):
            total += mu * row.weight[t] * (numbers[0] if all(numbers) else 0)
        else:
            total += mu * row.factor * min(row.step(t, i, n) for i, n in enumerate(numbers))
    return total


def _dense(
    rows: list[tuple[dict[int, float], float]], columns: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    if not rows:
        return None, None
    matrix = np.zeros((len(rows), columns))
    for i, (terms, _) in enumerate(rows):
        matrix[i, list(terms)] = list(terms.values())
    return matrix, np.array([b for _, b in rows])
