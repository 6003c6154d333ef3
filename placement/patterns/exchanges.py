"""Neighbours of patterns: what one server could hold with one replica exchanged."""

from __future__ import annotations

from collections.abc import Iterable

from placement.patterns.pattern import Pattern, lay_out
from placement.problem.instance import Instance
from placement.solver.budget import tick


def neighbours(instance: Instance, patterns: Iterable[Pattern]) -> list[Pattern]:
    """Contents with one replica swapped for others that fill the same GPUs, and laid out anew."""
    k = instance.gpus_required
    found: dict[Pattern, None] = {}
    for pattern in patterns:
        counts = pattern.counts()
        for out in counts:
            rest = {m: n - (m == out) for m, n in counts.items() if n > (m == out)}
            for model in instance.used_models:
                tick()
                copies = max(1, int(k[out]) // int(k[model]))
                if model == out:
                    continue
                more = dict(rest)
                more[model] = more.get(model, 0) + copies
                found[lay_out(instance, pattern.kind, more)] = None
    return [p for p in found if p.content]
