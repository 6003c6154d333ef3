"""Plans that bear the loss of any one server: against brute force, and judged by check."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from placement.check import check_plan
from placement.problem.cluster import Cluster, GpuSharing, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.names import LOAD_AFTER_LOSS
from placement.problem.outcome import Infeasible, Progress, SolveOptions, SolveResult
from placement.problem.plan_building import build_plan
from placement.problem.solution import Placement
from placement.problem.violations import violations
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from placement.programs.after_loss import BEARABLE, bear_losses, losses
from placement.programs.compact import CompactProgram
from placement.solver.milp import SolverSettings, linear, solve_program
from placement.survive import Surviving, solve_surviving
from tests.placement.oracle import EVEN, Content, placements, random_instance, route

OPTIONS = SolveOptions(time_limit_s=20.0)
HIGHS = SolverSettings()


def demand(seed: int) -> Instance:
    """Three models on one GPU each, in chains, on three servers; exclusive where seeds are odd."""
    rng = np.random.default_rng([5, seed])
    exclusive = bool(seed % 2)
    flows = []
    for w in range(int(rng.integers(2, 4))):
        nodes = int(rng.integers(2, 4))
        links = np.array([[v, v + 1] for v in range(nodes - 1)], dtype=np.int64)
        called = rng.permutation(3)[:nodes]
        rate, work = float(rng.uniform(0.1, 1.0)), rng.uniform(0.1, 1.0, nodes)
        flows.append(WorkflowDemand(f"w{w}", rate, called, work, links))
    kind = ServerType("s", 3, 2 if exclusive else 1, 80.0)
    instance = replace(
        random_instance(rng, exclusive=exclusive, load_cap=0.8),
        model_ids=("a", "b", "c"),
        gpus_required=np.ones(3, dtype=np.int64),
        memory_per_gpu_gb=np.full(3, 40.0),
        workflows=tuple(flows),
        cluster=Cluster((kind,), sharing=EVEN),
    )
    load = float(rng.choice([0.2, 0.35, 0.5])) * instance.cluster.n_gpus
    factor = load / float(instance.offered_load.sum())
    flows = [replace(w, rate=w.rate * factor) for w in flows]
    return replace(instance, workflows=tuple(flows))


def survives(instance: Instance, servers: tuple[Content, ...]) -> bool:
    """Whether every loss leaves every model, and loads below 1, by the oracle's own program."""
    for lost in range(len(servers)):
        rest = tuple(() if s == lost else content for s, content in enumerate(servers))
        if not {m for content in rest for m, _ in content} >= set(instance.used_models):
            return False
        if route(instance, rest, bottleneck=True) > BEARABLE:
            return False
    return True


def rows(servers: tuple[Content, ...]) -> Placement:
    return Placement.of((m, s, i) for s, content in enumerate(servers) for m, i in content)


def test_the_best_surviving_plan_is_found_and_proven() -> None:
    """Objective and bound against all placements; where none survives, a sentence."""
    kinds = set()
    for seed in (0, 1, 3):
        instance = demand(seed)
        good = [p for p in placements(instance) if survives(instance, p)]
        if not good:
            with pytest.raises(Infeasible, match="surviv"):
                solve_surviving(instance, OPTIONS)
            kinds.add("none")
            continue
        found = solve_surviving(instance, OPTIONS)
        result = found.result
        best = max(route(result.instance, p, bottleneck=False) for p in good)
        assert result.evaluation.objective == pytest.approx(best, abs=1e-6)
        assert result.certificate.best_bound >= best - 1e-6
        assert violations(result.instance, result.solution) == []
        price = found.plain.evaluation.objective - best
        assert price >= -1e-6
        kinds.add("free" if price < 1e-6 else "costs")
        kinds.add("exclusive" if instance.exclusive else "shared")
    assert kinds == {"none", "free", "costs", "exclusive", "shared"}


@pytest.mark.parametrize("seed", [1, 2, 6, 15])
def test_the_rows_are_the_losses(seed: int) -> None:
    """The compact program with a row for each loss has the optimum of brute force."""
    instance = demand(seed)
    good = [p for p in placements(instance) if survives(instance, p)]
    best = max((route(instance, p, bottleneck=False) for p in good), default=None)
    program = CompactProgram(instance)
    bear_losses(program)
    program.route()
    program.problem += linear(program.locality())
    outcome = solve_program(program.problem, HIGHS)
    assert outcome.found == (best is not None and best > -np.inf)
    if outcome.found:
        assert outcome.best_bound / program.scale == pytest.approx(best, abs=1e-5)
        assert survives(instance, contents_of(program.placement()))


@pytest.mark.parametrize(("load", "fewest"), [(0.45, 6), (0.54, 7), (0.58, None)])
def test_the_rows_count_what_sharing_costs(load: float, fewest: int | None) -> None:
    """The fewest replicas under the rows are those of all placements that survive as they stand."""
    plain = demand(4)
    factor = load * plain.cluster.n_gpus / float(plain.offered_load.sum())
    instance = replace(
        plain,
        memory_per_gpu_gb=np.full(3, 26.0),
        cluster=replace(plain.cluster, sharing=GpuSharing(efficiency=(0.9, 0.8))),
        workflows=tuple(replace(w, rate=w.rate * factor) for w in plain.workflows),
    )
    counts = [
        sum(map(len, p))
        for p in placements(instance)
        if survives(instance, p) and route(instance, p, bottleneck=True) <= instance.load_cap
    ]
    assert min(counts, default=None) == fewest
    program = CompactProgram(instance, cautious=True)
    bear_losses(program)
    program.route()
    program.problem += linear(
        [(x, -1.0) for entries in program.replicas.values() for x, _, _ in entries]
    )
    outcome = solve_program(program.problem, HIGHS)
    assert outcome.found == (fewest is not None)
    if fewest is not None:
        assert outcome.best_bound == pytest.approx(-fewest)


def contents_of(placement: Placement) -> tuple[Content, ...]:
    held: list[list[tuple[int, int]]] = [[] for _ in range(3)]
    for m, s, i in placement.replicas():
        held[s].append((m, i))
    return tuple(tuple(sorted(content)) for content in held)


def test_losses_are_those_of_every_server() -> None:
    """The heaviest first, equal servers once, and the same loads as the oracle's program."""
    for seed in (1, 3, 5, 10):
        instance = demand(seed)
        for servers in list(placements(instance))[:6]:
            found = losses(instance, rows(servers), HIGHS)
            loads = []
            for lost in range(3):
                rest = tuple(() if s == lost else c for s, c in enumerate(servers))
                whole = {m for c in rest for m, _ in c} >= set(instance.used_models)
                load = route(instance, rest, bottleneck=True) if whole else np.inf
                loads.append(load)
            assert found[0].load == pytest.approx(max(loads), rel=1e-6)
            assert [x.load for x in found] == sorted((x.load for x in found), reverse=True)
            assert len(found) == len({c for c in servers if c})


@pytest.mark.parametrize("work", [0.4, 1.5, 2.5, 3.5, 4.5, 6.5])
def test_no_fewer_replicas_are_asked_for_than_any_spread_needs(work: float) -> None:
    """One model, three servers of four GPUs: the fewest of which any two servers bear the work."""
    chain = WorkflowDemand("w", 1.0, np.array([0]), np.array([work]), np.zeros((0, 2), np.int64))
    instance = replace(
        demand(1), workflows=(chain,), cluster=Cluster((ServerType("s", 3, 4, 80.0),))
    )
    told: list[Progress] = []
    found = solve_surviving(instance, OPTIONS, progress=told.append)
    least = min(
        sum(held)
        for held in itertools.product(range(5), repeat=3)
        if sum(held) - max(held) >= work / BEARABLE
    )
    rules = found.result.instance.placement_rules.models["a"]
    assert (rules.min_replicas, rules.spread) == (least, 2)
    assert found.worst.load == pytest.approx(work / (12 - 4))
    assert any(event.phase.endswith(" (survival)") for event in told)


Chains = tuple[tuple[float, list[int], list[float]], ...]
"""Rate, models and work of each chain."""


def chains(demands: Chains) -> Instance:
    """Three servers of two GPUs, which the third model fills."""
    flows = tuple(
        WorkflowDemand(
            f"w{i}",
            rate,
            np.array(called),
            np.array(work),
            np.array([[v, v + 1] for v in range(len(called) - 1)]),
        )
        for i, (rate, called, work) in enumerate(demands)
    )
    return replace(
        demand(0),
        gpus_required=np.array([1, 1, 2]),
        workflows=flows,
        cluster=Cluster((ServerType("s", 3, 2, 80.0),)),
    )


@pytest.fixture(scope="module")
def priced() -> Surviving:
    """Three servers where two of them a model are not enough, so that surviving costs locality."""
    demands = (
        (0.58, [0, 1], [0.52, 0.85]),
        (0.83, [0, 1, 2], [0.22, 0.50, 0.69]),
        (0.35, [2, 1], [0.59, 0.99]),
    )
    return solve_surviving(chains(demands), OPTIONS)


@pytest.mark.parametrize(
    "demands",
    [
        ((0.3102, [0, 1], [0.894, 0.874]), (1.2541, [0, 2], [0.944, 0.142]),
         (0.7134, [1, 2], [0.584, 0.584])),
        ((0.5079, [2, 1, 0], [0.135, 0.555, 0.834]), (1.0557, [1, 0], [0.935, 0.659]),
         (0.6927, [2, 1], [0.272, 0.711])),
    ],
)  # fmt: skip
def test_small_clusters_are_placed_with_a_row_for_each_loss(demands: Chains) -> None:
    """Where more replicas give a worse plan or none: the optimum with the rows of all losses."""
    shared = chains(demands)
    instance = replace(shared, cluster=replace(shared.cluster, sharing=EVEN))
    found = solve_surviving(instance, OPTIONS)
    program = CompactProgram(instance)
    bear_losses(program)
    program.route()
    program.problem += linear(program.locality())
    outcome = solve_program(program.problem, HIGHS)
    best = found.result.evaluation.objective
    assert best == pytest.approx(outcome.best_bound / program.scale, abs=1e-5)
    assert found.result.certificate.best_bound >= best
    assert violations(found.result.instance, found.result.solution) == []
    assert found.worst.borne


def test_more_replicas_where_the_rules_fall_short(priced: Surviving) -> None:
    """One more replica is asked for, and a price paid; without it the loss is not borne."""
    result, plain = priced.result, priced.plain
    assert result.certificate.status == "refined"
    assert violations(result.instance, result.solution) == []
    worst = losses(result.instance, result.solution.placement, HIGHS)[0]
    assert worst.borne
    assert worst.load == pytest.approx(priced.worst.load)
    assert result.evaluation.objective < plain.evaluation.objective
    assert not losses(plain.instance, plain.solution.placement, HIGHS)[0].borne


def test_check_judges_the_claim(priced: Surviving) -> None:
    """The load after the worst loss is found anew: stated too low, or not borne, it is a fault."""
    instance = priced.plain.instance
    flows = tuple(
        Workflow(
            w.id,
            w.id,
            tuple(Node(f"n{v}", int(m)) for v, m in enumerate(w.node_model)),
            tuple(Edge(int(u), int(v)) for u, v in w.links),
        )
        for w in instance.workflows
    )
    models = tuple(Model(n, n, 40.0 * k, k, 1.0) for n, k in zip("abc", (1, 1, 2), strict=True))
    workload = Workload(models, flows)

    def claims(result: SolveResult, load: float) -> list[str]:
        plan = build_plan(result, workload)
        return check_plan(replace(plan, expected=plan.expected | {LOAD_AFTER_LOSS: load}))

    assert claims(priced.result, priced.worst.load) == []
    assert "is stated as 0.01" in claims(priced.result, 0.01)[0]
    (fault,) = claims(priced.plain, 0.9)
    assert "does not survive" in fault or "no replica left" in fault
