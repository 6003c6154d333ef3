"""Squares of the GPU loads of a compact program, from below by tangents: what balance minimises."""

from __future__ import annotations

from collections import defaultdict

import pulp

from placement.programs.compact import CompactProgram
from placement.programs.space_rows import Few
from placement.solver.milp import Pairs, linear


def squared_loads(program: CompactProgram, tangents: int) -> Pairs:
    """Add q >= the squared load of GPUs, by tangents at several levels up to the cap.

    In the count form n GPUs share h: their squares add up to h^2 / n >= 2 p h - p^2 n for every
    level p, which is linear in both.
    """
    instance, problem = program.instance, program.problem
    levels = [program.cap * (j + 0.5) / tangents for j in range(tangents)]
    terms: Pairs = []
    covers: dict[tuple[int, int], Pairs] = defaultdict(list)
    for (m, s), entries in program.replicas.items():
        for x, h, start in entries:
            if start < 0:
                q = pulp.LpVariable(f"q_{m}_{s}", 0)
                terms.append((q, float(instance.gpus_required[m])))
                for p in levels:
                    problem += linear([(q, 1), (h, -2 * p), (x, p * p)]) >= 0
                continue
            for g in range(start, start + int(instance.gpus_required[m])):
                covers[s, g].append((h, 1.0))
    shared = {(s, few.gpu): few for s, here in program.few.items() for few in here if few.j == 1}
    for (s, g), held in covers.items():
        q = pulp.LpVariable(f"q_{s}_{g}", 0)
        terms.append((q, 1.0))
        if (s, g) in shared:
            held = [(_effective(program, held, shared[s, g], f"_{s}_{g}"), 1.0)]
        for p in levels:
            row = [(q, 1.0), *((h, -2 * p) for h, _ in held)]
            problem += linear(row) >= -p * p
    return terms


def _effective(program: CompactProgram, held: Pairs, few: Few, at: str) -> pulp.LpVariable:
    """Add e >= sum h, and sum h / kappa(2) where several share the GPU."""
    e, more = pulp.LpVariable(f"e{at}", 0), 1 / few.kept - 1
    program.problem += linear([(e, 1.0), *((h, -1.0) for h, _ in held)]) >= 0
    row = [(e, 1.0), (few.y, -more * program.cap), *((h, -1 / few.kept) for h, _ in held)]
    program.problem += linear(row) >= -more * program.cap
    return e
