"""What a server is worth by workflows apart, against every content of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from placement.problem.cluster import Cluster, ServerType
from placement.programs.fitting_sets import node_prices
from placement.verify.scaled_problem import Scaled
from placement.verify.valid_rows import prices_of, replica_rows
from placement.verify.workflows_apart import WorkflowsApart
from tests.placement import oracle
from tests.placement.verify.worth import every_content, worth


@pytest.mark.parametrize("exclusive", [True, False])
def test_no_content_is_worth_more_and_one_that_serves_a_single_workflow_as_much(
    exclusive: bool,
) -> None:
    """At drawn multipliers, one workflow at a time; with little to do, GPUs bear all of it."""
    for seed in range(15):
        rng = np.random.default_rng([seed, exclusive])
        instance = oracle.random_instance(rng, exclusive=exclusive, load_cap=0.8)
        idle = replace(instance, load_cap=1e6)
        for case in (instance, idle):
            scaled = Scaled(case)
            data: dict[str, object] = {
                "demand": {
                    w.id: rng.normal(0.1, 0.2, len(w.node_model)).tolist() for w in case.workflows
                }
            }
            prices, flows = prices_of(scaled, [], data), scaled.flows
            for t in range(len(scaled.types)):
                best = max(worth(scaled, t, prices, c) for c in every_content(scaled, t))
                assert WorkflowsApart(scaled).worth(t, prices) >= best - 1e-9, seed
                if case is not idle:
                    continue
                scaled.flows = flows[:1]
                best = max(worth(scaled, t, prices, c) for c in every_content(scaled, t))
                found = WorkflowsApart(scaled).worth(t, prices)
                scaled.flows = flows
                assert found == pytest.approx(best, abs=1e-9), seed


def test_what_fits_is_what_some_content_holds() -> None:
    """Every set of models, on exclusive and shared GPUs, side by side or on one another."""
    both = set()
    for seed in range(20):
        rng = np.random.default_rng([seed, 5])
        scaled = Scaled(oracle.random_instance(rng, exclusive=bool(seed % 2), load_cap=0.8))
        apart = WorkflowsApart(scaled)
        for t in range(len(scaled.types)):
            held = [{m for m, _ in c} for c in every_content(scaled, t)]
            for bits in range(1 << len(scaled.used)):
                models = {m for i, m in enumerate(scaled.used) if bits >> i & 1}
                fits = any(models <= here for here in held)
                assert apart.fits(t, models) == fits, (seed, models)
                both.add(fits)
    assert both == {True, False}


def test_where_gpus_are_not_alike_what_fits_is_what_some_order_of_blocks_leaves_room_for() -> None:
    """A small block may not take the only GPUs that a large one can stand on: all are tried."""
    both = set()
    for seed in range(80):
        rng = np.random.default_rng([seed, 7])
        drawn = oracle.random_instance(rng, exclusive=False, load_cap=0.8)
        n, cut = len(drawn.model_ids), int(rng.integers(1, 4))
        closed = [(f"m{m}", tuple(np.flatnonzero(rng.random(4) < 0.3).tolist())) for m in range(n)]
        kind = ServerType(
            "s",
            1,
            4,
            80.0,
            domains=(tuple(range(cut)), tuple(range(cut, 4))) if seed % 2 else (),
            closed_gpus=tuple((m, gpus) for m, gpus in closed if gpus),
        )
        scaled = Scaled(
            replace(
                drawn,
                cluster=Cluster((kind,)),
                memory_per_gpu_gb=rng.choice([25.0, 40.0, 60.0, 80.0], n),
                gpus_required=rng.integers(1, 4, n),
                max_models_per_gpu=int(rng.integers(1, 3)),
            )
        )
        apart = WorkflowsApart(scaled)
        for bits in range(1 << len(scaled.used)):
            models = [m for i, m in enumerate(scaled.used) if bits >> i & 1]
            fits = any(
                all(
                    sum(scaled.memory[m] for m in here) <= 80.0
                    and len(here) <= (scaled.most_on_gpu or n)
                    for g in range(4)
                    for here in [
                        [m for m, i in zip(models, at, strict=True) if 0 <= g - i < scaled.gpus[m]]
                    ]
                )
                for at in product(*(scaled.starts(0, m) for m in models))
            )
            assert apart.fits(0, set(models)) == fits, (seed, models)
            both.add(fits)
    assert both == {True, False}


def test_prices_of_nodes_pay_for_all_that_any_server_keeps() -> None:
    """At the prices that a solve begins its bound with, a server is worth nothing."""
    for seed in range(20):
        rng = np.random.default_rng([seed, 6])
        instance = oracle.random_instance(rng, exclusive=bool(seed % 2), load_cap=0.8)
        scaled = Scaled(instance)
        demand = {
            instance.workflows[w].id: [p * instance.workflows[w].rate for p in prices]
            for w, prices in node_prices(instance).items()
        }
        prices = prices_of(scaled, [], {"demand": demand})
        for t in range(len(scaled.types)):
            assert WorkflowsApart(scaled).worth(t, prices) <= 1e-9


def test_priced_replicas_are_none_of_a_workflows() -> None:
    """Nothing is said where rows on replicas have multipliers."""
    scaled = Scaled(oracle.random_instance(np.random.default_rng(1), exclusive=True, load_cap=0.8))
    rows = list(replica_rows(scaled))
    prices = prices_of(scaled, rows, {"replicas": [-0.1] * len(rows)})
    assert WorkflowsApart(scaled).worth(0, prices) == float("inf")
