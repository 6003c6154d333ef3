"""No two replicas of one model on the same GPUs: where they are placed, joined and judged."""

import numpy as np
import pytest

from placement.heuristics import HEURISTICS
from placement.heuristics.free_space import Room
from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.model_rules import ModelRules
from placement.problem.outcome import SolveOptions
from placement.problem.placement_rules import PlacementRules
from placement.problem.solution import Placement
from placement.problem.violations import placement_violations
from placement.solve import solve_instance
from placement.solver.budget import Budget


def roomy(load_cap: float = 0.8) -> Instance:
    """Two models that take little memory and carry much load: sharing is soon tempting."""
    return Instance(
        model_ids=("a", "b"),
        gpus_required=np.array([2, 1]),
        memory_per_gpu_gb=np.array([10.0, 5.0]),
        workflows=(
            WorkflowDemand("w", 1.0, np.array([0, 1]), np.array([1.9, 0.4]), np.array([[0, 1]])),
        ),
        cluster=Cluster((ServerType("wide", 2, 3, 80.0), ServerType("thin", 1, 2, 80.0))),
        load_cap=load_cap,
    )


def twice(placement: Placement) -> bool:
    rows = np.stack([placement.model, placement.server, placement.start])
    return bool(len(np.unique(rows, axis=1).T) < placement.n_replicas)


def test_no_room_for_a_model_where_it_stands() -> None:
    """A block that holds the model is no place for another replica of it, its neighbours are."""
    room = Room(roomy())
    room.put(0, 1, 0)
    assert room.fits(0).tolist() == [[True, True], [False, True], [True, False]]
    assert room.fits(1).tolist() == [[True] * 3, [True] * 3, [True, True, False]]


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_a_block_fits_where_the_judge_sees_no_fault(seed: int, exclusive: bool) -> None:
    """Replica after replica at random, on pins, excluded GPUs, limits and models kept apart."""
    types = (
        ServerType("free", 2, 4, 80.0),
        ServerType("pinned", 1, 4, 80.0, pinned=(("c", 1),)),
        ServerType("partly", 1, 4, 80.0, excluded_gpus=(1,)),
    )
    rules = {"a": ModelRules(max_replicas=3), "b": ModelRules(apart_from=("d",))}
    chain = WorkflowDemand("w", 1.0, np.arange(4), np.ones(4), np.array([[0, 1], [1, 2], [2, 3]]))
    instance = Instance(
        model_ids=("a", "b", "c", "d"),
        gpus_required=np.array([1, 1, 2, 4]),
        memory_per_gpu_gb=np.array([20.0, 30.0, 40.0, 50.0]),
        workflows=(chain,),
        cluster=Cluster(types),
        exclusive=exclusive,
        max_models_per_gpu=None if exclusive else 2,
        placement_rules=PlacementRules(models=rules),
    )

    def holds(placed: list[tuple[int, int, int]]) -> bool:
        open_ = ("without a replica", "min_replicas", "spread")
        faults = placement_violations(instance, Placement.of(placed))
        once = len(set(placed)) == len(placed)
        return once and all(any(words in f for words in open_) for f in faults)

    rng, room = np.random.default_rng(seed), Room(instance)
    placed = list(room.placement().replicas())
    assert placed == [(2, 2, 1)]
    seen = set()
    for _ in range(12):
        for m, k in enumerate(instance.gpus_required.tolist()):
            fits = room.fits(m)
            assert fits.shape == (4, 5 - k)
            for s, i in np.ndindex(fits.shape):
                assert fits[s, i] == holds([*placed, (m, s, i)]), (placed, m, s, i)
                assert ((m, s, i) in room) == ((m, s, i) in placed)
            # The first block of GPUs that hold nothing at all.
            for s in range(4):
                empty = room.fits(m, empty=True)[s]
                assert room.empty_block(m, s) == (int(empty.argmax()) if empty.any() else None)
            seen |= {(m, bool(x)) for x in fits.ravel()}
        choices = [(m, s, i) for m in range(4) for s, i in np.argwhere(room.fits(m)).tolist()]
        if not choices:
            break
        placed.append(choices[rng.integers(len(choices))])
        room.put(*placed[-1])
        assert sorted(room.placement().replicas()) == sorted(placed)
    assert len(seen) == 8


def test_replicas_that_are_the_same_are_joined() -> None:
    """A placement in its canonical order holds each replica once, whoever listed it twice."""
    placement = Placement.sorted(
        np.array([1, 0, 1, 0]), np.array([0, 0, 0, 1]), np.array([2, 0, 2, 0])
    )
    assert placement.model.tolist() == [0, 1, 0]
    assert placement.server.tolist() == [0, 0, 1]
    assert placement.start.tolist() == [0, 2, 0]
    nothing = Placement.sorted(*[np.zeros(0, dtype=np.int64)] * 3)
    assert nothing.n_replicas == 0


def test_the_judge_names_replicas_that_are_the_same() -> None:
    """Whoever writes a plan with two replicas of a model on the same GPUs is told which."""
    placement = Placement(np.array([0, 1, 1]), np.array([0, 0, 0]), np.array([0, 2, 2]))
    (fault,) = placement_violations(roomy(), placement)
    assert "replica 2 (b): stands on the same GPUs as replica 1" in fault


@pytest.mark.parametrize("load_cap", [0.3, 0.8])
@pytest.mark.parametrize("method", sorted(HEURISTICS))
def test_no_heuristic_repeats_a_replica(method: str, load_cap: float) -> None:
    """Overloaded or not, with memory to spare, no heuristic puts a replica where one is."""
    placement = HEURISTICS[method](roomy(load_cap), 0, Budget())
    assert not twice(placement)
    assert not placement_violations(roomy(load_cap), placement)


@pytest.mark.parametrize("form", ["compact", "patterns"])
def test_no_plan_repeats_a_replica(form: str) -> None:
    """Nor does the program, whose balance fills what memory is left."""
    options = SolveOptions(form=form, mode="offline", time_limit_s=10.0)  # type: ignore[arg-type]
    assert not twice(solve_instance(roomy(), options).solution.placement)
