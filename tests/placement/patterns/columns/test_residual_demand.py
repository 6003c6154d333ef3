"""What is left of the demand, in pieces: nothing is lost, and all of it is worth what it was."""

import numpy as np
import pytest

from placement.patterns.columns.content_pool import Column, column_of
from placement.patterns.columns.flat_problem import FlatFlows, flat_flows
from placement.patterns.columns.residual_demand import residual_of
from placement.patterns.pattern import Pattern
from placement.problem.cluster import FloatArray
from placement.problem.normalization import normalize
from tests.placement.heuristics.cases import random_instance

NONE = Pattern(0, ())


def drawn(seed: int) -> tuple[FlatFlows, FloatArray]:
    """Workflows of which some nodes are served in part, and some altogether."""
    rng = np.random.default_rng(seed)
    flows = flat_flows(normalize(random_instance(seed, models=6, workflows=8, exclusive=False)))
    part = rng.choice([0.0, 0.25, 0.5, 1.0], len(flows.node_model))
    return flows, flows.rate[flows.node_flow] * part


@pytest.mark.parametrize("seed", range(12))
def test_pieces_keep_in_sum_what_the_rates_left_can_keep(seed: int) -> None:
    """All work of every model is there, and all that is kept where everything left is together."""
    flows, left = drawn(seed)
    residual = residual_of(flows, left)
    pieces, models = residual.flows, len(flows.gpus_required)
    rates = pieces.rate[pieces.node_flow]
    assert np.bincount(pieces.node_model, rates * pieces.node_work, models) == pytest.approx(
        np.bincount(flows.node_model, left * flows.node_work, models)
    )
    whole = np.bincount(
        np.repeat(np.arange(len(pieces.rate)), np.diff(pieces.part_ptr)),
        pieces.part_worth,
        len(pieces.rate),
    )
    assert float(whole @ pieces.rate) == pytest.approx(column_of(flows, NONE, left).worth)


@pytest.mark.parametrize("seed", range(12))
def test_what_a_column_takes_is_left_no_more(seed: int) -> None:
    """Never more than there is; whoever serves all pieces leaves nothing, and keeps their worth."""
    rng = np.random.default_rng([seed, 1])
    flows, left = drawn(seed)
    before, residual = left.copy(), residual_of(flows, left)
    pieces = residual.flows
    asked = pieces.rate[pieces.node_flow].copy()
    part = asked * rng.random(len(pieces.rate))[pieces.node_flow]
    taken = np.zeros(len(left))
    for rates in (part, asked - part):
        column = Column(NONE, np.arange(len(asked)), rates, 0.0)
        taken += residual.take(flows, column, left)
        assert (left >= -1e-12).all()
        assert taken + left == pytest.approx(before)
    assert left == pytest.approx(np.zeros(len(left)), abs=1e-9)
    assert pieces.rate == pytest.approx(np.zeros(len(pieces.rate)), abs=1e-9)
    assert residual_of(flows, left).empty or before.sum() == 0
