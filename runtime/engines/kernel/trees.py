"""Heaps, and trees of minima.

A tree of minima over 2^d leaves is one array: node 1 is the root, node i has the children 2i and
2i + 1, leaf number l is node 2^d + l. Unlike a heap it never moves an entry, so the way from a leaf
to the root is known beforehand and holds no branch to be mispredicted.
"""

from __future__ import annotations

import numpy as np

from runtime.engines.kernel.native import called, inlined


@inlined
def push(times, items, base, size, time, item):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add to the binary heap of `size` entries that begins at `base`, by time, then item."""
    i = size
    while i > 0:
        up = (i - 1) >> 1
        other = times[base + up]
        if other < time or (other == time and items[base + up] < item):
            break
        times[base + i], items[base + i] = other, items[base + up]
        i = up
    times[base + i], items[base + i] = time, item


@inlined
def drop_first(times, items, base, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Remove the first entry of the binary heap of `size` entries that begins at `base`."""
    last = size - 1
    time, item = times[base + last], items[base + last]
    i = 0
    while True:
        down = 2 * i + 1
        if down >= last:
            break
        right = down + 1
        if right < last and (
            times[base + right] < times[base + down]
            or (
                times[base + right] == times[base + down]
                and items[base + right] < items[base + down]
            )
        ):
            down = right
        if time < times[base + down] or (time == times[base + down] and item < items[base + down]):
            break
        times[base + i], items[base + i] = times[base + down], items[base + down]
        i = down
    times[base + i], items[base + i] = time, item


@inlined
def lower_leaf(least, winner, leaf, value, item):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put a value that is less than the old one into a tree that also keeps whose minimum it is."""
    i = leaf
    while i > 0 and value < least[i]:
        least[i], winner[i] = value, item
        i >>= 1


@inlined
def raise_leaf(least, winner, leaf, value, item):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put a value in place of the whole tree's minimum."""
    i = leaf
    least[i], winner[i] = value, item
    while i > 1:
        other, its_item = least[i ^ 1], winner[i ^ 1]
        item = its_item if other < value else item
        value = min(value, other)
        i >>= 1
        least[i], winner[i] = value, item


@inlined
def set_leaf(least, base, leaf, value):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Change a leaf of the tree that begins at `base`, and mend the minima above it."""
    i = leaf
    least[base + i] = value
    while i > 1:
        value = min(value, least[base + (i ^ 1)])
        i >>= 1
        if least[base + i] == value:
            break
        least[base + i] = value


@inlined
def lowest_leaf(least, base, size, node):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Find the lowest leaf under a node that holds the minimum there."""
    i = node
    while i < size:
        i = 2 * i + (least[base + 2 * i] > least[base + 2 * i + 1])
    return i


@called
def first_finish(free, cost, stack, base, size, node, arrival, service):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Find the leaf under a node with the least (finish, free, number); branch and bound.

    The finish of a leaf is max(arrival, free) + service cost, and that of a node, made of the
    least `free` and the least `cost` under it, bounds those below: rounding keeps the order.
    """
    best, best_free, best_leaf = np.inf, np.inf, -1
    depth = 0
    i = node
    while True:
        while i < size:
            left, right = base + 2 * i, base + 2 * i + 1
            one = max(arrival, free[left]) + service * cost[left]
            other = max(arrival, free[right]) + service * cost[right]
            swap = other < one or (other == one and free[right] < free[left])
            # What may still be better is looked at later.
            stack[depth] = 2 * i + (not swap)
            depth += 1
            i = 2 * i + swap
        finish = max(arrival, free[base + i]) + service * cost[base + i]
        if finish < best or (
            finish == best
            and (free[base + i] < best_free or (free[base + i] == best_free and i < best_leaf))
        ):
            best, best_free, best_leaf = finish, free[base + i], i
        while True:
            if depth == 0:
                return best_leaf
            depth -= 1
            i = stack[depth]
            bound = max(arrival, free[base + i]) + service * cost[base + i]
            if bound < best or (bound == best and bound < np.inf and free[base + i] <= best_free):
                break


@called
def least_cost(free, cost, stack, base, size, node):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Find the leaf under a node with the least (cost, free, number), as `first_finish` does."""
    best, best_free, best_leaf = np.inf, np.inf, -1
    depth = 0
    i = node
    while True:
        while i < size:
            left, right = base + 2 * i, base + 2 * i + 1
            one, other = cost[left], cost[right]
            swap = other < one or (other == one and free[right] < free[left])
            stack[depth] = 2 * i + (not swap)
            depth += 1
            i = 2 * i + swap
        if cost[base + i] < best or (
            cost[base + i] == best
            and (free[base + i] < best_free or (free[base + i] == best_free and i < best_leaf))
        ):
            best, best_free, best_leaf = cost[base + i], free[base + i], i
        while True:
            if depth == 0:
                return best_leaf
            depth -= 1
            i = stack[depth]
            bound = cost[base + i]
            if bound < best or (bound == best and bound < np.inf and free[base + i] <= best_free):
                break
