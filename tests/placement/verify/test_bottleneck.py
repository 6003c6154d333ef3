"""The lower end of the least bottleneck load: proven where it is one, refuted where it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.problem.cluster import Cluster, GpuSharing, ServerType
from placement.problem.instance import Instance
from placement.problem.model_rules import ModelRules
from placement.problem.outcome import SolveOptions
from placement.problem.placement_rules import PlacementRules
from placement.problem.plan import Plan
from placement.problem.solution import Placement
from placement.solve import solve_instance
from placement.verify import BottleneckCheck, check_bottleneck
from tests.placement import oracle
from tests.placement.heuristics.cases import random_instance
from tests.placement.verify import ruled

NONE = np.zeros(0, dtype=np.int64)
NOWHERE = Placement(NONE, NONE, NONE)
CERTIFICATE = solve_instance(
    random_instance(3), SolveOptions(method="greedy", balance=False)
).certificate


def claim(
    instance: Instance, lower: float, *, solver: str = "HiGHS", time_limit_s: float | None = 60.0
) -> BottleneckCheck:
    """The verdict on a load that nothing but the instance speaks for."""
    plan = Plan(
        instance=instance,
        node_ids=(),
        placement=NOWHERE,
        load=np.zeros(0),
        routing=(),
        expected={},
        certificate=replace(CERTIFICATE, bottleneck_lower=lower),
        inputs={},
    )
    return check_bottleneck(plan, solver=solver, time_limit_s=time_limit_s)


@pytest.mark.parametrize("cards", [False, True])
@pytest.mark.parametrize("exclusive", [True, False])
def test_the_least_load_of_brute_force_divides_true_from_false(
    exclusive: bool, cards: bool
) -> None:
    """A hair below the least of all placements holds, a hair above does not."""
    ways = set()
    for seed in range(15 if cards else 30):
        rng = np.random.default_rng([seed, exclusive])
        instance = oracle.random_instance(rng, exclusive=exclusive, load_cap=0.8)
        if cards:
            instance = oracle.with_cards(rng, instance)
        least = oracle.least_bottleneck(instance)
        if not 0 < least < float("inf"):
            continue
        below, above = (claim(instance, least * x) for x in (1 - 1e-5, 1 + 1e-5))
        assert (below.verdict, above.verdict) == ("holds", "does not hold"), seed
        assert below.recomputed == pytest.approx(least, rel=2e-5)
        assert above.recomputed <= least * (1 + 1e-6)
        ways.add(below.how)
    assert len(ways) >= 2, ways


@pytest.mark.parametrize(
    ("exclusive", "seeds"), [(True, (7, 15, 22, 25, 31, 33)), (False, (2, 18, 19, 36))]
)
def test_replicas_and_servers_that_rules_ask_for_count(
    exclusive: bool, seeds: tuple[int, ...]
) -> None:
    """Under each rule that costs something, the least of the placements that keep it divides."""
    kinds = set()
    for seed in seeds:
        rng = np.random.default_rng([seed, exclusive])
        instance = oracle.random_instance(rng, exclusive=exclusive, load_cap=0.8)
        loads = {p: oracle.route(instance, p, bottleneck=True) for p in oracle.placements(instance)}
        for m in instance.used_models:
            for rule in (ModelRules(2), ModelRules(3), ModelRules(spread=2)):
                least = min(
                    (load for p, load in loads.items() if keeps(p, m, rule)), default=np.inf
                )
                if not min(loads.values()) * 1.001 < least < np.inf:
                    continue
                rules = PlacementRules(models={instance.model_ids[m]: rule})
                ruled = replace(instance, placement_rules=rules)
                below, above = (claim(ruled, least * x) for x in (1 - 1e-5, 1 + 1e-5))
                assert (below.verdict, above.verdict) == ("holds", "does not hold"), (seed, m, rule)
                kinds.add(rule)
    assert len(kinds) == 3


def keeps(servers: tuple[oracle.Content, ...], model: int, rule: ModelRules) -> bool:
    """Whether a placement has the replicas and servers of a model that a rule asks for."""
    held = [sum(m == model for m, _ in content) for content in servers]
    return sum(held) >= (rule.min_replicas or 0) and sum(map(bool, held)) >= (rule.spread or 0)


@pytest.mark.parametrize("sharing", oracle.SLICED)
def test_what_slices_take_counts(sharing: GpuSharing) -> None:
    """Replicas that share a GPU bear less of it together; where they lose nothing, all of it."""
    for seed in range(2):
        rng = np.random.default_rng([seed, 78])
        instance = oracle.random_instance(rng, exclusive=False, load_cap=0.8, sharing=sharing)
        least = oracle.least_bottleneck(instance)
        below, above = (claim(instance, least * x) for x in (1 - 1e-5, 1 + 1e-5))
        assert (below.verdict, above.verdict) == ("holds", "does not hold"), seed


@pytest.mark.parametrize("kind", ruled.SEEDS)
def test_the_least_load_under_a_rule_divides_true_from_false(kind: str) -> None:
    """Of every kind, also on which models stand together, and which are apart."""
    for seed in ruled.SEEDS[kind]:
        _, instance, least = ruled.ruled_case(kind, seed)
        below, above = (claim(instance, least * x) for x in (1 - 1e-5, 1 + 1e-5))
        assert (below.verdict, above.verdict) == ("holds", "does not hold"), seed


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 6, 7, 8, 9])
def test_what_solve_states_holds(seed: int) -> None:
    """In overload and offline, on exclusive, shared and mixed clusters of up to nine servers."""
    instance = random_instance(
        seed, servers=2 + seed % 8, models=6, workflows=4, load=0.6 + 0.3 * (seed % 3),
        exclusive=seed % 2 == 0, mixed_types=seed % 3 == 0,
    )  # fmt: skip
    if seed % 4 == 1:
        instance = replace(instance, max_models_per_gpu=2)
    # The least load comes before the locality, of which any will do.
    options = SolveOptions(mode="offline", balance=False, time_limit_s=10, gap=1.0)
    found = solve_instance(instance, options)
    stated = found.certificate
    assert claim(found.instance, stated.bottleneck_lower).verdict == "holds"
    above = claim(found.instance, stated.bottleneck_upper * 1.001)
    assert above.verdict == "does not hold"


@pytest.mark.parametrize("unit", [86_400.0, 1e-6, 1e-12])
def test_the_unit_of_time_changes_no_verdict(unit: float) -> None:
    """Rates and loads of any size: the program counts loads in units of the claim."""
    instance = random_instance(4, servers=3, load=0.9, exclusive=False)
    rare = replace(
        instance, workflows=tuple(replace(w, rate=w.rate * unit) for w in instance.workflows)
    )
    rare = replace(rare, load_cap=instance.load_cap * unit)
    least = solve_instance(instance, SolveOptions(mode="offline", balance=False)).certificate
    for factor in (0.9999, 1.0, 1.5):
        stated = factor * least.bottleneck_upper
        one, two = claim(instance, stated), claim(rare, stated * unit)
        assert one.verdict == two.verdict
        assert one.recomputed * unit == pytest.approx(two.recomputed, rel=1e-6)


def test_another_solver_says_the_same() -> None:
    """CBC, through PuLP, proves and refutes what HiGHS does."""
    instance = random_instance(2, servers=2, load=0.9, exclusive=True)
    least = solve_instance(instance, SolveOptions(mode="offline", balance=False)).certificate
    for stated in (least.bottleneck_lower, 1.01 * least.bottleneck_upper):
        verdicts = {claim(instance, stated, solver=s).verdict for s in ("HiGHS", "PULP_CBC_CMD")}
        assert len(verdicts) == 1, verdicts


def test_no_time_and_too_many_servers_decide_nothing() -> None:
    """What is neither proven nor refuted is called so, with the reason; what is obvious holds."""
    instance = random_instance(3, servers=3, load=0.7)
    least = solve_instance(instance, SolveOptions(mode="offline", balance=False)).certificate
    stated = 1.01 * least.bottleneck_upper
    late = claim(instance, stated, time_limit_s=0.0)
    assert (late.verdict, "time limit" in late.why) == ("not decided", True)
    assert claim(instance, instance.load_floor, time_limit_s=0.0).verdict == "holds"
    many = replace(instance, cluster=Cluster((ServerType("s", 300_000, 4, 80.0),)))
    large = claim(many, 2 * many.load_floor)
    assert (large.verdict, "too large" in large.why) == ("not decided", True)


def test_no_work_has_no_load() -> None:
    """A load of 0 is a lower bound of whatever there is."""
    instance = random_instance(3, servers=3)
    idle = replace(
        instance, workflows=tuple(replace(w, work_s=0 * w.work_s) for w in instance.workflows)
    )
    assert claim(idle, 0.0).verdict == "holds"
    assert claim(idle, 0.1).verdict == "does not hold"
