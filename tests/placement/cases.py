"""Random instances near what their cluster can bear, and placements of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from placement.problem.instance import Instance
from placement.problem.outcome import SolveOptions, SolveResult
from placement.problem.solution import (
    Placement,
    Solution,
)
from placement.solve import solve_instance
from tests.placement import oracle


def case(seed: int, *, exclusive: bool) -> Instance:
    """A random instance whose cap lies between just attainable and roomy.

    Of those that share GPUs, some may put only one or two replicas on each.
    """
    rng = np.random.default_rng([seed, exclusive])
    instance = oracle.random_instance(rng, exclusive=exclusive, load_cap=1.0)
    # Wide blocks, and memory for a third replica on a GPU: the limit is what forbids it.
    limited = replace(
        instance,
        max_models_per_gpu=1 + seed % 2,
        gpus_required=np.maximum(instance.gpus_required, 1 + seed % 2),
        memory_per_gpu_gb=0.35 * instance.memory_per_gpu_gb,
    )
    if not exclusive and seed % 3 == 0 and next(oracle.placements(limited), None) is not None:
        instance = limited
    least = oracle.least_bottleneck(instance)
    return replace(instance, load_cap=least * float(rng.choice([1.0001, 1.05, 1.5, 3.0])))


def drawn_placement(
    instance: Instance, rng: np.random.Generator
) -> tuple[Placement, tuple[oracle.Content, ...]]:
    """Draw one of the placements to which nothing can be added, and its content by server."""
    every = list(oracle.placements(instance))
    contents = every[int(rng.integers(len(every)))]
    rows = [(m, s, i) for s, content in enumerate(contents) for m, i in content]
    return Placement.sorted(*np.array(rows, dtype=np.int64).T), contents


GREEDY = SolveOptions(method="greedy", max_utilization=0.95)


def contents(instance: Instance, solution: Solution) -> tuple[oracle.Content, ...]:
    """Replicas by server, as the oracle writes them."""
    placed = solution.placement
    return tuple(
        tuple(
            (int(m), int(i))
            for m, i in zip(placed.model[placed.server == s], placed.start[placed.server == s],
                            strict=True)
        )
        for s in range(instance.cluster.n_servers)
    )  # fmt: skip


def plain(instance: Instance) -> SolveResult:
    return solve_instance(instance, GREEDY)
