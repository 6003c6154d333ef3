"""The most that one server is worth, against every content of it."""

from __future__ import annotations

import numpy as np
import pytest

from placement.verify.matrix_program import Clock
from placement.verify.scaled_problem import Scaled
from placement.verify.server_bound import highest_worth
from placement.verify.valid_rows import Row, kept_rows, prices_of, replica_rows, split_rows
from tests.placement import oracle
from tests.placement.verify.worth import every_content, worth


def drawn_rows(scaled: Scaled, rng: np.random.Generator) -> list[Row | None]:
    """Rows of every sort: whole replicas, what is kept, and both sides of a split."""
    rows: list[Row | None] = list(replica_rows(scaled))
    instance = scaled.instance
    speeds = sorted({t.speed for t in scaled.types})
    for flow in scaled.flows:
        name = {"workflow": instance.workflows[flow.w].id}
        share = {**name, "share": float(rng.uniform(0.1, 0.9))}
        by_model = [
            {**name, "model": instance.model_ids[m], "speed": speed}
            for m in flow.models
            for speed in speeds
        ]
        rows += kept_rows(scaled, [share, *by_model])
    some = [instance.model_ids[m] for m in rng.permutation(scaled.used)]
    for models, threshold in ((some[:1], 0), (some[:1], 2), (some[:2], 1)):
        split = {"models": models, "threshold": threshold, "most": int(rng.integers(0, 3))}
        rows += split_rows(scaled, split) or ()
    return rows


@pytest.mark.parametrize("exclusive", [True, False])
def test_no_content_is_worth_more_and_one_is_worth_as_much(exclusive: bool) -> None:
    """At drawn multipliers of rows of every sort, for every server type."""
    priced = 0
    for seed in range(15):
        rng = np.random.default_rng([seed, exclusive])
        instance = oracle.random_instance(rng, exclusive=exclusive, load_cap=0.8)
        scaled = Scaled(instance)
        rows = drawn_rows(scaled, rng)
        data: dict[str, object] = {
            "demand": {
                w.id: rng.normal(0.1, 0.2, len(w.node_model)).tolist() for w in instance.workflows
            },
            "replicas": rng.normal(0.0, 0.1, len(rows)).tolist(),
        }
        prices = prices_of(scaled, rows, data)
        priced += len(prices.rows)
        for t in range(len(scaled.types)):
            best = max(worth(scaled, t, prices, c) for c in every_content(scaled, t))
            found = highest_worth(scaled, t, prices, -np.inf, Clock(None), "HiGHS")
            assert found == pytest.approx(best, abs=1e-6), seed
            # What is enough need not be brought down, and nothing is proven that is not so.
            early = highest_worth(scaled, t, prices, best + 0.5, Clock(None), "HiGHS")
            assert early >= best - 1e-6
    assert priced > 60
