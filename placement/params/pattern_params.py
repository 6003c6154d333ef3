"""Parameters of the search over server patterns: its phases, masters, cuts, and its tree."""

from dataclasses import dataclass

from placement.params.ranges import Count, Fraction, Params, Part, Parts, Positive, Whole, Wholes


@dataclass(frozen=True)
class PatternParams(Params):
    """Phases of the search over patterns: which run, and for what part of the time that is left.

    Parameters
    ----------
    few_servers : int >= 1
        Clusters up to this size count as small: their plans take long to find, are looked for
        among the neighbours of the patterns in use, and come after the cuts.
    compact_servers : int >= 0
        Clusters up to this size give what time is left to the compact form, which then is small
        enough to be closed.
    freed_servers : int >= 0
        Clusters up to this size place a few servers anew at a time, over and over.
    branch_servers : int >= 0
        Clusters up to this size are closed by branch and price; of larger ones the tree is never
        done.
    listed_servers : int >= 0
        Clusters up to this size are priced over all contents, where these are few enough.
    apart_share : float, 0 < x <= 1
        Part for the bound of every workflow apart: of thousands it takes long, and a part of them
        prove something, too.
    few_share : float, 0 < x <= 1
        Part for patterns of a small cluster.
    many_share : float, 0 < x <= 1
        The same of a larger one: the last rounds prove most of the bound.
    shared_share : float, 0 < x <= 1
        The same of a small cluster with shared GPUs: plans made of many patterns are better.
    plan_share : float, 0 < x <= 1
        Part for the patterns of a first plan of many servers with many models.
    combined_gap : float, 0 <= x <= 1
        Gap to the relaxation above which the plan rounded from it is sought among all patterns.
    combined_share : float, 0 < x <= 1
        Part for that program, before servers are placed anew.
    beyond_gap : float, 0 <= x <= 1
        Gap to the relaxation above which starts from beyond the cap are better than the rounded
        plan.
    beyond_share : float, 0 < x <= 1
        Part for these starts; servers placed anew need time, too.
    anew_share : float, 0 < x <= 1
        Part for placing servers anew on small shared clusters.
    last_anew_share : float, 0 < x <= 1
        Part for placing servers anew at the end, where GPUs are exclusive.
    branch_share : float, 0 < x <= 1
        Part for branching, which few clusters end before.
    listed_share : float, 0 < x <= 1
        The same over listed contents: little is found in other ways.
    finish_share : float, 0 < x <= 1
        Part for one integer program over all that a better plan can hold.
    """

    few_servers: Count = 64
    compact_servers: Whole = 12
    freed_servers: Whole = 32
    branch_servers: Whole = 32
    listed_servers: Whole = 64
    apart_share: Part = 0.2
    few_share: Part = 0.5
    many_share: Part = 0.87
    shared_share: Part = 0.62
    plan_share: Part = 0.6
    combined_gap: Fraction = 0.015
    combined_share: Part = 0.3
    beyond_gap: Fraction = 0.05
    beyond_share: Part = 0.5
    anew_share: Part = 0.85
    last_anew_share: Part = 0.6
    branch_share: Part = 0.6
    listed_share: Part = 0.9
    finish_share: Part = 0.8


@dataclass(frozen=True)
class ColumnGenerationParams(Params):
    """Masters and pricing in turn, until the relaxation and the bound meet.

    Parameters
    ----------
    rounds : int >= 1
        Masters solved in one run: far more than are ever needed, so that it ends.
    patterns : int >= 1
        Patterns of a pool; masters with more take longer than they are worth.
    small_workflow : int >= 0
        Workflows of up to so many nodes give every connected part a first pattern; larger ones,
        whose parts are too many, segments.
    few_patterns : int >= 0
        Patterns up to which none is set aside after the first master.
    unused : float, 0 <= x <= 1
        Part of the most used pattern's servers below which a pattern counts as unused.
    smoothing : float, 0 <= x <= 1
        Weight of the best centre in the duals that are priced where they lie at a corner: those
        leap from one to the next (Pessoa et al., INFORMS JoC 30, 2018). Two cases of
        16 servers took 15 and 22 rounds with it, 17 and more than 26 without; one of 8, 15 and 13.
    coarse : float, 0 <= x <= 1
        Gap of a pricing problem over that between relaxation and bound: what a pricing problem
        leaves open the bound loses, and it loses no more than this.
    fine : float, 0 <= x <= 1
        Gap of the closest pricing over the gap at which generation ends.
    leeway : float, 0 <= x <= 1
        Part of the way from the relaxation to a bound that is enough which need not be closed.
    quick_rounds : int >= 1
        Rounds of quick pricing after which one is proven, so that there soon is a bound.
    quick_patterns : int >= 1
        Patterns of each server type that quick pricing adds in a round.
    """

    rounds: Count = 400
    patterns: Count = 4_000
    small_workflow: Whole = 6
    few_patterns: Whole = 60
    unused: Fraction = 1e-5
    smoothing: Fraction = 0.5
    coarse: Fraction = 0.01
    fine: Fraction = 0.2
    leeway: Fraction = 0.1
    quick_rounds: Count = 10
    quick_patterns: Count = 20


@dataclass(frozen=True)
class CutParams(Params):
    """Rounding cuts: rows that the relaxation breaks, and how often they are looked for.

    Parameters
    ----------
    passes : int >= 0
        Times that cuts are added and patterns priced again.
    pass_share : float, 0 < x <= 1
        Part of the time left for the patterns of one pass.
    loops : int >= 1
        Relaxations solved over the same patterns; nearly all rows are found by the first two.
    server_rows : int >= 1
        Rows on what whole servers can keep that are added at a time, one a part: each takes
        integers of its own in pricing.
    shares : int >= 1
        Into so many shares what a server can keep is divided, to be a reference each.
    least_fraction : float, 0 <= x <= 1
        Fractional part of the replicas that a part needs below which a row is not worth having:
        it takes off next to nothing.
    least_broken : float, 0 <= x <= 1
        Part of its rate by which a row must be broken to be added.
    """

    passes: Whole = 3
    pass_share: Part = 0.5
    loops: Count = 4
    server_rows: Count = 8
    shares: Count = 3
    least_fraction: Fraction = 0.01
    least_broken: Fraction = 1e-4


@dataclass(frozen=True)
class IntegerPlanParams(Params):
    """Integer programs over patterns at hand: which patterns, and how many nodes.

    Parameters
    ----------
    share : float, 0 < x <= 1
        Part of the time left for one program.
    nodes : int >= 1
        Branch-and-bound nodes of one program over the patterns at hand.
    near_nodes : int >= 1
        Nodes of a program whose counts are held near the relaxation's.
    wide_nodes : int >= 1
        Nodes of such a program over all patterns met, whose relaxation alone takes seconds.
    promising : tuple of int >= 1
        Listed contents that are offered to a program, the first time and further ones: patterns
        made for the relaxation rarely add up to whole servers.
    wide_gap : float, 0 <= x <= 1
        Gap of a large cluster above which more patterns are worth a program that takes long.
    exchange_rounds : int >= 0
        Times that the neighbours of the patterns in use are offered while that helps.
    """

    share: Part = 0.5
    nodes: Count = 4_000
    near_nodes: Count = 50
    wide_nodes: Count = 60
    promising: Wholes = (150, 150, 400)
    wide_gap: Fraction = 1e-3
    exchange_rounds: Whole = 12


@dataclass(frozen=True)
class DiveParams(Params):
    """A dive through the relaxation of a small cluster whose models share GPUs.

    Parameters
    ----------
    first_rounds : int >= 0
        Rounds of quick pricing before all plans, if it finds patterns for as long: of fewer rounded
        plans are none, or poor. Without any there is no dive.
    rounds : int >= 0
        Rounds of quick pricing before each server that is fixed.
    patterns : int >= 1
        Patterns of each server type that a round adds.
    kept : int >= 1
        Patterns that the next masters keep, of least reduced cost: all of them take three times
        as long.
    part : float, 0 < x <= 1
        Part of the free servers that a step fixes: one at a time, of few, so that all but the last
        make up for each other.
    ends : int >= 1
        Patterns that are tried for the last server: it has to serve what all others leave.
    mending_share : float, 0 < x <= 1
        Part of the time left for an end that is no plan; starts from beyond the cap need time, too.
    """

    first_rounds: Whole = 16
    rounds: Whole = 1
    patterns: Count = 20
    kept: Count = 80
    part: Part = 0.1
    ends: Count = 4
    mending_share: Part = 0.3


@dataclass(frozen=True)
class BranchingParams(Params):
    """Branch and price, and the integer programs that close its leaves.

    Parameters
    ----------
    nodes : int >= 1
        Parts of the plans that are split.
    part_rounds : int >= 1
        Pricing rounds for the bound of one part.
    part_gap : float, 0 <= x <= 1
        Gap between relaxation and bound at which the pricing of a part ends.
    deepest : int >= 1
        Decisions of one part: a certificate nests no deeper than can be checked.
    first_patterns : int >= 1
        Patterns a part begins with: those next to the basis of the whole it is part of.
    most_candidates : int >= 1
        Patterns of an integer program over all that a better plan can hold that is still worth a
        try.
    batch : int >= 1
        Contents valued exactly at a time, on the way to such a program.
    most_batches : int >= 1
        Batches after which there is none: the bounds left are too loose.
    finish_gap : float, 0 <= x <= 1
        Relative gap at which the program stops; what it leaves open, the proof loses.
    finish_nodes : int >= 1
        Branch-and-bound nodes of the program.
    """

    nodes: Count = 400
    part_rounds: Count = 25
    part_gap: Fraction = 1e-6
    deepest: Count = 60
    first_patterns: Count = 80
    most_candidates: Count = 500
    batch: Count = 200
    most_batches: Count = 40
    finish_gap: Fraction = 1e-7
    finish_nodes: Count = 20_000


@dataclass(frozen=True)
class ScenarioPatternParams(Params):
    """Patterns for several demands at once.

    Parameters
    ----------
    rounds : int >= 1
        Rounds of pricing; the bound holds after any of them.
    smoothing : float, 0 <= x <= 1
        Weight of the best centre in the duals that are priced.
    nodes : int >= 1
        Branch-and-bound nodes of the integer program over the patterns found.
    plan_shares : tuple of float, 0 < x <= 1
        Parts of the time left for that program over the patterns near the relaxation, and then
        over all.
    """

    rounds: Count = 200
    smoothing: Fraction = 0.5
    nodes: Count = 4_000
    plan_shares: Parts = (0.4, 0.9)


@dataclass(frozen=True)
class CountedBottleneckParams(Params):
    """The least bottleneck load of a large cluster, by the counts of all its servers in sum.

    Parameters
    ----------
    compact_servers : int >= 0
        Largest cluster on which the compact form is tried where the counts leave an interval.
    closed : float > 0
        Relative width of an interval of the bottleneck load that counts as closed.
    nodes : int >= 1
        Branch-and-bound nodes of the program over the counts.
    packed_servers : int >= 0
        Largest cluster on which shared counts are packed, every replica looking at every server.
    """

    compact_servers: Whole = 12
    closed: Positive = 1e-3
    nodes: Count = 20_000
    packed_servers: Whole = 200
