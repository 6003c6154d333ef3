"""All parameters of the searches together, and how some of them are changed by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from placement.params.column_params import ColumnParams, ServerPackingParams
from placement.params.heuristic_params import (
    CoverageParams,
    LocalSearchParams,
    ReplicationParams,
    TilingParams,
)
from placement.params.improvement_params import BeyondCapParams, NeighbourhoodParams
from placement.params.pattern_params import (
    BranchingParams,
    ColumnGenerationParams,
    CountedBottleneckParams,
    CutParams,
    DiveParams,
    IntegerPlanParams,
    PatternParams,
    ScenarioPatternParams,
)
from placement.params.portfolio_params import PartitionParams, PortfolioParams
from placement.params.pricing_params import ContentParams, PricingParams
from placement.params.program_params import (
    BalanceParams,
    CompactParams,
    FittingSetParams,
    IdleServerParams,
    SpareParams,
)
from placement.params.ranges import Params, kinds
from placement.params.revision_params import (
    PackingParams,
    RefineParams,
    RobustParams,
    SurvivalParams,
)
from placement.params.simulation_params import HeadroomParams
from placement.support.faults import suggest

Changes = Mapping[str, Mapping[str, Any]]
"""Values by section and name of field."""


@dataclass(frozen=True)
class SearchParams:
    """What steers every search of a solve: a section for each of its parts.

    The defaults are what the tool is tested and compared with; others are for experiments.
    What counts as equal, what fits and how exact solvers are is no part of it.

    Parameters
    ----------
    coverage : CoverageParams
        Giving every used model a replica.
    tiling : TilingParams
        Placing a large cluster as a small one, repeated.
    local_search : LocalSearchParams
        Simulated annealing on what each server holds.
    replication : ReplicationParams
        Selective replication guided by simulation: every step costs a simulation a candidate.
    portfolio : PortfolioParams
        Heuristics in turn, the cap that they can keep, and the best start under it.
    partition : PartitionParams
        Random parts of the problem, each solved by the integer program.
    neighbourhood : NeighbourhoodParams
        Large-neighbourhood search: a few servers are freed at a time and placed anew.
    beyond_cap : BeyondCapParams
        Starts found under wider caps, brought back under the real one (strategic oscillation).
    patterns : PatternParams
        Phases of the search over patterns: which run, and for what part of the time that is left.
    column_generation : ColumnGenerationParams
        Masters and pricing in turn, until the relaxation and the bound meet.
    columns : ColumnParams
        Columns of fixed rates: where models are too many for their contents to be listed.
    server_packing : ServerPackingParams
        Servers with shared GPUs packed one after the other: where workflows are thousands.
    pricing : PricingParams
        Pricing by branch and bound, over counts or positions of the replicas of a server.
    contents : ContentParams
        Pricing over the list of all contents of a server, where these are few enough.
    cuts : CutParams
        Rounding cuts: rows that the relaxation breaks, and how often they are looked for.
    integer_plan : IntegerPlanParams
        Integer programs over patterns at hand: which patterns, and how many nodes.
    dive : DiveParams
        A dive through the relaxation of a small cluster whose models share GPUs.
    branching : BranchingParams
        Branch and price, and the integer programs that close its leaves.
    scenario_patterns : ScenarioPatternParams
        Patterns for several demands at once.
    counted_bottleneck : CountedBottleneckParams
        The least bottleneck load of a large cluster, by the counts of all its servers in sum.
    compact : CompactParams
        Branch and bound over the compact form: every replica, block and rate at once.
    fitting_sets : FittingSetParams
        Rows that tell programs which nodes of a workflow fit on no server together.
    idle_servers : IdleServerParams
        Clusters far larger than their load: how many servers are used at all.
    spares : SpareParams
        Replicas that carry nothing make room for those that relieve the busiest GPUs.
    balance : BalanceParams
        Even loads at no cost of locality.
    robust : RobustParams
        One placement for several demands; parts are of the time left when a step begins.
    refine : RefineParams
        Plans proposed anew, and moves of replicas, judged by a simulator.
    survival : SurvivalParams
        A plan that bears the loss of a server; parts are of the time left when a step begins.
    packing : PackingParams
        The fewest GPUs that keep the target, by bisection.
    headroom : HeadroomParams
        The factor on a trace's rate that simulation bears out, found by bisection.
    """

    coverage: CoverageParams = field(default_factory=CoverageParams)
    tiling: TilingParams = field(default_factory=TilingParams)
    local_search: LocalSearchParams = field(default_factory=LocalSearchParams)
    replication: ReplicationParams = field(default_factory=ReplicationParams)
    portfolio: PortfolioParams = field(default_factory=PortfolioParams)
    partition: PartitionParams = field(default_factory=PartitionParams)
    neighbourhood: NeighbourhoodParams = field(default_factory=NeighbourhoodParams)
    beyond_cap: BeyondCapParams = field(default_factory=BeyondCapParams)
    patterns: PatternParams = field(default_factory=PatternParams)
    column_generation: ColumnGenerationParams = field(default_factory=ColumnGenerationParams)
    columns: ColumnParams = field(default_factory=ColumnParams)
    server_packing: ServerPackingParams = field(default_factory=ServerPackingParams)
    pricing: PricingParams = field(default_factory=PricingParams)
    contents: ContentParams = field(default_factory=ContentParams)
    cuts: CutParams = field(default_factory=CutParams)
    integer_plan: IntegerPlanParams = field(default_factory=IntegerPlanParams)
    dive: DiveParams = field(default_factory=DiveParams)
    branching: BranchingParams = field(default_factory=BranchingParams)
    scenario_patterns: ScenarioPatternParams = field(default_factory=ScenarioPatternParams)
    counted_bottleneck: CountedBottleneckParams = field(default_factory=CountedBottleneckParams)
    compact: CompactParams = field(default_factory=CompactParams)
    fitting_sets: FittingSetParams = field(default_factory=FittingSetParams)
    idle_servers: IdleServerParams = field(default_factory=IdleServerParams)
    spares: SpareParams = field(default_factory=SpareParams)
    balance: BalanceParams = field(default_factory=BalanceParams)
    robust: RobustParams = field(default_factory=RobustParams)
    refine: RefineParams = field(default_factory=RefineParams)
    survival: SurvivalParams = field(default_factory=SurvivalParams)
    packing: PackingParams = field(default_factory=PackingParams)
    headroom: HeadroomParams = field(default_factory=HeadroomParams)

    def __post_init__(self) -> None:
        for f in fields(self):
            value, wanted = getattr(self, f.name), f.type
            if type(value).__name__ != wanted:
                raise ValueError(f"SearchParams: {f.name} is {value!r}; give it {wanted}")

    def changed(self, changes: Changes) -> SearchParams:
        """Take other values for some fields.

        Parameters
        ----------
        changes : mapping of str to mapping of str to value
            By section and field; a list stands for a tuple.

        Raises
        ------
        ValueError
            In a sentence a line: a name that there is not, or a value out of its range.
        """
        found = list(faults(changes))
        if found:
            raise ValueError(
                "\n".join(f"{'.'.join(place)}: {wrong}; {mend}" for place, wrong, mend in found)
            )
        parts = {s: replace(getattr(self, s), **dict(values)) for s, values in changes.items()}
        return replace(self, **parts)

    def differences(self) -> dict[str, dict[str, Any]]:
        """Values that are not the defaults, by section and field, as a file holds them."""
        found: dict[str, dict[str, Any]] = {}
        for section, default in sections().items():
            mine = getattr(self, section)
            for f in fields(mine):
                value = getattr(mine, f.name)
                if value != getattr(default, f.name):
                    plain = list(value) if isinstance(value, tuple) else value
                    found.setdefault(section, {})[f.name] = plain
        return found


DEFAULTS = SearchParams()
"""What plans are made with where nobody says otherwise."""


def sections() -> dict[str, Params]:
    """The default parameters of every section, by its name."""
    return {f.name: getattr(DEFAULTS, f.name) for f in fields(DEFAULTS)}


def faults(changes: object) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What is wrong with changes: the place, what is wrong, and how to mend it.

    Parameters
    ----------
    changes : object
        Should be `Changes`; whatever a file holds.
    """
    known = sections()
    if not isinstance(changes, Mapping):
        yield (), "is no mapping", "write section: {field: value}"
        return
    for section, values in changes.items():
        if section not in known:
            yield (str(section),), "is no section", suggest(str(section), known, "section")
        elif not isinstance(values, Mapping):
            yield (section,), "is no mapping", "write field: value below it"
        else:
            allowed = kinds(type(known[section]))
            for name, value in values.items():
                place = section, str(name)
                if name not in allowed:
                    yield place, "is no field", suggest(str(name), allowed, "field")
                elif (mend := allowed[name].refuses(value)) is not None:
                    yield place, f"is {value!r}", mend
