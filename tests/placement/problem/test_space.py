"""What fits: judge, heuristics, programs, bounds and verifier agree where memory is just full."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.heuristics.free_space import Room
from placement.heuristics.greedy import greedy
from placement.heuristics.local_search import local_search
from placement.patterns.duals import zero_duals
from placement.patterns.pattern import lay_out
from placement.patterns.pricing.counts import Pricing
from placement.patterns.pricing.positions import PositionPricing
from placement.problem.blocks import MEMORY_TOLERANCE
from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.outcome import Infeasible
from placement.problem.solution import Placement
from placement.problem.space import (
    ServerSpace,
    all_rooms_gb,
    can_hold,
    cluster_rooms_gb,
    keep_what_fits,
    most_replicas,
    share_a_gpu,
    starts,
)
from placement.problem.violations import gpu_violations, placement_violations, violations
from placement.programs.block_packing import blocks_fit
from placement.programs.capacity import ensure_coverage
from placement.programs.compact import CompactProgram
from placement.programs.least_load import least_bottleneck
from placement.solver.milp import SolverSettings, linear, solve_program
from placement.verify.proof import proven_bound
from tests.placement.oracle import EVEN

SETTINGS = SolverSettings()
EDGES = {"full": 0.0, "one ulp over": None, "1e-9 over": 1e-9, "1e-6 over": 1e-6, "1e-4 over": 1e-4}
"""Relative amount by which the replicas exceed a GPU's memory."""

FITS = ("full", "one ulp over", "1e-9 over")


def at_the_edge(edge: str, seed: int) -> tuple[Instance, Placement]:
    """Models that fill every GPU of one server alike, to a hair, and the one way to place them.

    A block over all GPUs and some single models on each; any other way exceeds a GPU by more.
    """
    rng = np.random.default_rng(seed)
    gpus = int(rng.integers(1, 4))
    singles = 1 if gpus > 1 and rng.random() < 0.5 else int(rng.integers(1, 4))
    memory = float(rng.choice([80.0, 24.0, 141.0, rng.uniform(10.0, 200.0)]))
    over = EDGES[edge]
    full = float(np.nextafter(memory, np.inf)) if over is None else memory * (1 + over)
    block = float(rng.uniform(0.1, 0.4)) * full
    needs, model, start = [block], [0], [0]
    for g in range(gpus):
        part = rng.dirichlet(np.full(singles, 5.0)) * (full - block)
        part[-1] = full - block - part[:-1].sum()
        model += range(len(needs), len(needs) + singles)
        start += [g] * singles
        needs += part.tolist()
    nodes = len(needs)
    limit = [None, singles + 1, singles + 2][seed % 3]
    instance = Instance(
        model_ids=tuple(f"m{m}" for m in range(nodes)),
        gpus_required=np.array([gpus] + [1] * (nodes - 1)),
        memory_per_gpu_gb=np.array(needs),
        workflows=(
            WorkflowDemand(
                "w",
                1.0,
                np.arange(nodes),
                np.full(nodes, 0.5 / nodes),
                np.array([(v, v + 1) for v in range(nodes - 1)]),
            ),
        ),
        # Slices cost nothing: what is asked is what fits, and branch and bound is cut off soon.
        cluster=Cluster((ServerType("only", 1, gpus, memory),), sharing=EVEN),
        max_models_per_gpu=limit,
    )
    zero = np.zeros(nodes, dtype=np.int64)
    return instance, Placement.sorted(np.array(model), zero, np.array(start))


def one_by_one(instance: Instance, placement: Placement) -> bool:
    room = Room(instance)
    for m, s, i in placement.replicas():
        if not room.fits(int(m))[s, i]:
            return False
        room.put(int(m), int(s), int(i))
    return True


def places_all(method: object, instance: Instance) -> bool:
    """Whether a heuristic places every model; what it places keeps the rules."""
    try:
        placement = method(instance)  # type: ignore[operator]
    except Infeasible:
        return False
    assert placement_violations(instance, placement) == []
    return True


def compact_places_all(instance: Instance) -> bool:
    program = CompactProgram(instance)
    program.route()
    program.problem += linear(program.locality())
    if not solve_program(program.problem, SETTINGS).found:
        return False
    placement = program.placement()
    space = [f for f in placement_violations(instance, placement) if "without a replica" not in f]
    assert space == []
    return not placement_violations(instance, placement)


def covered(instance: Instance) -> bool:
    try:
        ensure_coverage(instance, SETTINGS)
    except Infeasible:
        return False
    return True


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("seed", range(12))
def test_all_agree_on_what_fits(edge: str, seed: int) -> None:
    """What the judge accepts no method, program or bound excludes, and the other way round."""
    instance, placement = at_the_edge(edge, seed)
    kind, fits = instance.cluster.server_types[0], edge in FITS
    content = list(zip(placement.model.tolist(), placement.start.tolist(), strict=True))
    every = dict.fromkeys(instance.used_models, 1)
    duals = zero_duals(instance)
    counted = Pricing(instance, 0).solve(duals, SETTINGS, None)
    placed = PositionPricing(instance, 0).solve(duals, SETTINGS, None)
    assert counted is not None and placed is not None
    blocks = tuple(
        (int(instance.gpus_required[m]), float(instance.memory_per_gpu_gb[m])) for m in every
    )
    verdicts = {
        "judge": not placement_violations(instance, placement),
        "free space": one_by_one(instance, placement),
        "one server": len(keep_what_fits(instance, kind, content)) == len(content),
        "compact": compact_places_all(instance),
        "coverage": covered(instance),
        "pricing over positions": placed.pattern.models == set(every),
    }
    assert verdicts == dict.fromkeys(verdicts, fits)
    bounds = {
        "pricing over counts": counted.best_bound,
        "pricing over positions": placed.best_bound,
        "sets of nodes": float(blocks_fit(kind, blocks, instance.models_per_gpu)),
        "verifier": proven_bound(instance, {"pricing": "positions"}, goal=0.0),
    }
    if fits or edge == "1e-4 over":  # a solver's tolerance is between the two
        assert {name: bound > 1 - 1e-6 for name, bound in bounds.items()} == dict.fromkeys(
            bounds, fits
        )
    if fits:
        load, solution = least_bottleneck(instance, placement, SETTINGS)
        assert violations(replace(instance, load_cap=load), solution) == []
    packed = {
        "greedy": places_all(greedy, instance),
        "local search": places_all(lambda i: local_search(i, moves=300), instance),
        "layout": set(lay_out(instance, 0, every).models) == set(every),
        "pricing over counts": counted.pattern.models == set(every),
    }
    if fits and kind.gpus > 1 and len(every) > 1 + kind.gpus:
        return  # they pack block by block, and may miss the one division of the single models
    assert packed == dict.fromkeys(packed, fits)


@pytest.mark.parametrize("seed", range(6))
def test_the_rules_of_sharing_count_as_memory_does(seed: int) -> None:
    """With one place too few on every GPU nobody finds room for all, whatever the memory."""
    instance, placement = at_the_edge("full", 3 * seed + 1)
    assert instance.max_models_per_gpu is not None
    tight = replace(instance, max_models_per_gpu=instance.max_models_per_gpu - 1)
    every = dict.fromkeys(instance.used_models, 1)
    assert placement_violations(instance, placement) == []
    assert placement_violations(tight, placement) != []
    assert not one_by_one(tight, placement)
    assert not places_all(greedy, tight)
    assert set(lay_out(tight, 0, every).models) != set(every)
    assert not compact_places_all(tight)
    assert not covered(tight)
    priced = PositionPricing(tight, 0).solve(zero_duals(tight), SETTINGS, None)
    assert priced is not None and priced.best_bound < 1 - 1e-6


def test_where_blocks_can_stand() -> None:
    """From every GPU with the rest of the block behind it; nowhere without the memory."""
    instance, _ = at_the_edge("full", 0)
    instance = replace(
        instance,
        model_ids=("wide", "thin", "fat"),
        gpus_required=np.array([3, 1, 1]),
        memory_per_gpu_gb=np.array([80.0, 40.0, 80.0 * (1 + 2 * MEMORY_TOLERANCE)]),
    )
    kind = ServerType("four", 2, 4, 80.0)
    assert [starts(instance, m, kind) for m in range(3)] == [[0, 1], [0, 1, 2, 3], []]
    assert [can_hold(instance, m, kind) for m in range(3)] == [True, True, False]
    assert [most_replicas(instance, m, kind) for m in range(2)] == [2, 4]
    alone = replace(instance, exclusive=True)
    assert [most_replicas(alone, m, kind) for m in range(2)] == [1, 4]
    assert share_a_gpu(instance, [1], kind) and not share_a_gpu(instance, [0, 1], kind)
    assert not share_a_gpu(alone, [1, 1], kind)


def test_a_smaller_server_lacks_gpus() -> None:
    """Servers of a cluster by their GPUs: what is not there has no room at all."""
    cluster = Cluster((ServerType("large", 1, 3, 80.0), ServerType("small", 2, 1, 40.0)))
    rooms = cluster_rooms_gb(cluster)
    assert rooms.shape == (3, 3)
    assert (rooms[1:, 1:] < 0).all()
    np.testing.assert_array_equal(rooms[rooms > 0], all_rooms_gb(cluster))


def test_without_a_rule_blocks_overlap_as_far_as_memory_goes() -> None:
    """Five blocks of two models over one GPU: more than there are models, and all may stay."""
    instance = Instance(
        ("pair", "triple"),
        np.array([2, 3]),
        np.array([1.0, 3.8]),
        (WorkflowDemand("w", 1.0, np.array([0, 1]), np.array([0.1, 0.1]), np.array([[0, 1]])),),
        Cluster((ServerType("only", 1, 4, 24.0),)),
    )
    content = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert keep_what_fits(instance, instance.cluster.server_types[0], content) == content
    limited = replace(instance, max_models_per_gpu=3)
    assert len(keep_what_fits(limited, limited.cluster.server_types[0], content)) == 4


def test_a_second_replica_stands_elsewhere() -> None:
    """On the same GPUs it would serve no more; on a GPU further it may, where memory allows."""
    instance, _ = at_the_edge("full", 0)
    instance = replace(
        instance,
        model_ids=("a",),
        gpus_required=np.array([2]),
        memory_per_gpu_gb=np.array([30.0]),
    )
    instance = replace(instance, max_models_per_gpu=3)
    space = ServerSpace(instance, ServerType("three", 1, 3, 80.0))
    assert space.fits(0).tolist() == [True, True]
    space.put(0, 0)
    assert space.fits(0).tolist() == [False, True]
    space.put(0, 1)
    assert space.fits(0).tolist() == [False, False]
    assert keep_what_fits(instance, ServerType("t", 1, 3, 80.0), [(0, 1), (0, 1)]) == [(0, 1)]


def test_a_block_stays_within_its_domain() -> None:
    """Pairs (0, 1) and (3, 4): a model on two GPUs stands there alone, one on one GPU anywhere."""
    kind = ServerType("box", 1, 5, 80.0, domains=((0, 1), (3, 4)), closed_gpus=(("one", (1,)),))
    instance = replace(
        at_the_edge("full", 0)[0],
        model_ids=("two", "one"),
        gpus_required=np.array([2, 1]),
        memory_per_gpu_gb=np.array([50.0, 20.0]),
        cluster=Cluster((kind,)),
    )
    assert [starts(instance, m, kind) for m in range(2)] == [[0, 3], [0, 2, 3, 4]]


def test_no_block_reaches_over_an_excluded_gpu() -> None:
    """With GPU 3 of eight excluded, a block of four stands on 4 to 7 and nowhere else."""
    kind = ServerType("box", 1, 8, 80.0, excluded_gpus=(3,))
    instance = replace(
        at_the_edge("full", 0)[0],
        model_ids=("four", "three", "one"),
        gpus_required=np.array([4, 3, 1]),
        memory_per_gpu_gb=np.array([50.0, 50.0, 20.0]),
        cluster=Cluster((kind,)),
        exclusive=True,
    )
    assert [starts(instance, m, kind) for m in range(3)] == [[4], [0, 4, 5], [0, 1, 2, 4, 5, 6, 7]]
    assert [most_replicas(instance, m, kind) for m in range(3)] == [1, 2, 7]
    assert not instance.counts_suffice
    placed = Placement.sorted(np.array([2, 2]), np.array([0, 0]), np.array([2, 3]))
    assert gpu_violations(instance, placed) == ["GPU 3: is excluded, and 1 replicas stand on it"]
