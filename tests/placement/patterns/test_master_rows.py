"""Rows of the master answer alike, however they are asked: a pattern, arrays, or a program."""

from __future__ import annotations

import numpy as np
import pulp
import pytest

from placement.patterns.initial_patterns import first_patterns
from placement.patterns.master_rows import CountRow, Row, rounding_rows
from placement.patterns.pattern import Pattern
from placement.patterns.pricing.features import Features
from placement.patterns.rounding_cuts import KeptRow, ServerRow, kept_rows, server_rows
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.solver.milp import SolverSettings, linear, solve_program
from tests.placement.heuristics.cases import random_instance

MOST = 4


def rows_and_patterns(seed: int) -> tuple[Instance, list[Row], list[Pattern]]:
    """Rows of every kind, and patterns of which some have what a row looks at."""
    instance = normalize(random_instance(seed, servers=3, load=0.8, mixed_types=seed % 2 == 1))
    patterns = first_patterns(instance)
    first, *others = instance.used_models
    weight = tuple(1.0 + t for t in range(len(instance.cluster.server_types)))
    rows: list[Row] = [
        *rounding_rows(instance),
        CountRow((first,), 2, weight, most=3.0),
        CountRow((first, others[0]), 1, weight, least=1.0),
        *kept_rows(instance),
        *server_rows(instance, patterns),
    ]
    return instance, rows, patterns


@pytest.mark.parametrize("seed", range(6))
def test_a_row_counts_the_same_in_patterns_and_in_arrays(seed: int) -> None:
    """Coefficient of a pattern: its weight on the server's type times the feature of its counts."""
    _, rows, patterns = rows_and_patterns(seed)
    assert {type(row) for row in rows} == {CountRow, KeptRow, ServerRow}
    for row in rows:
        for pattern in patterns:
            counts = np.array([[pattern.counts().get(m, 0) for m in row.models]])
            feature = float(row.feature_of(counts, pattern.kind)[0])
            assert row.coefficient(pattern) == row.weight_on(pattern.kind) * feature
    assert any(row.coefficient(p) for row in rows if row.kept is not None for p in patterns)


@pytest.mark.parametrize("seed", range(6))
def test_a_program_counts_as_arrays_do(seed: int) -> None:
    """With the counts given, the variable of the feature is the feature, or can be at most that."""
    instance, rows, _ = rows_and_patterns(seed)
    rng = np.random.default_rng(seed)
    for row in rows[:: max(1, len(rows) // 15)]:
        for kind in range(len(instance.cluster.server_types)):
            counts = {m: int(rng.integers(0, MOST + 1)) for m in row.models}
            feature = float(row.feature_of(np.array([list(counts.values())]), kind)[0])
            assert reached(row, kind, counts, 1.0) == pytest.approx(feature, abs=1e-6)
            if row.kept is None:
                assert reached(row, kind, counts, -1.0) == pytest.approx(feature, abs=1e-6)


def reached(row: Row, kind: int, counts: dict[int, int], price: float) -> float:
    """What the variable of a row's feature is at some price."""
    problem = pulp.LpProblem("feature", pulp.LpMaximize)
    held = {m: pulp.LpVariable(f"n_{m}", 0, MOST, pulp.LpInteger) for m in counts}
    for m, n in counts.items():
        problem += linear([(held[m], 1.0)]) == n
    variable = row.variable(Features(problem, kind, held))
    problem += linear([(variable, price)])
    assert solve_program(problem, SolverSettings()).status == "optimal"
    return float(variable.varValue)


def test_multipliers_of_the_wrong_sign_are_dropped() -> None:
    """A lower limit pays for what is missing, an upper one for what is too much."""
    _, rows, _ = rows_and_patterns(1)
    for row in rows:
        signs = {np.sign(row.signed(mu)) for mu in (-1.0, 1.0)}
        assert signs == ({0.0, -1.0} if row.at_least else {0.0, 1.0})
        assert np.isfinite(row.limit)


def test_only_cuts_are_named() -> None:
    """Whole replicas follow from the instance; a cut is told by its part and what made it."""
    instance, rows, _ = rows_and_patterns(1)
    for row in rows:
        name = row.named(instance)
        assert (name is None) == (row.kept is None)
        if row.kept is not None:
            assert name is not None
            assert name["workflow"] == instance.workflows[row.kept[0]].id
    names = [str(name) for row in rows if (name := row.named(instance))]
    assert len(set(names)) == len(names)
