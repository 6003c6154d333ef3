"""Parameters of the pricing problems: what one server can hold that is worth most."""

from dataclasses import dataclass

from placement.params.ranges import Count, Fraction, Params, Positive, Whole


@dataclass(frozen=True)
class PricingParams(Params):
    """Pricing by branch and bound, over counts or positions of the replicas of a server.

    Parameters
    ----------
    gap : float, 0 <= x <= 1
        Relative gap at which a solve over counts stops; the bound is valid at any.
    most_others : int >= 0
        Worse contents met on the way that are taken along: they cost nothing and save rounds.
    thresholds : int >= 1
        j of the rows "at most j blocks with more than 1/(j+1) of a GPU's memory on each GPU".
    most_cuts : int >= 1
        Cuts on sharing sought in one solve.
    cut_models : int >= 1
        Models of one content that such a cut is sought for, those that cover the most memory: the
        sets that fit on a GPU double with each.
    position_gap : float, 0 <= x <= 1
        Relative gap at which a solve over positions stops: it is several times the work of the
        relaxation over counts, and its bound is valid nonetheless.
    position_nodes : int >= 1
        Branch-and-bound nodes of a solve over positions.
    """

    gap: Fraction = 1e-7
    most_others: Whole = 10
    thresholds: Count = 6
    most_cuts: Count = 20
    cut_models: Count = 14
    position_gap: Fraction = 3e-3
    position_nodes: Count = 300


@dataclass(frozen=True)
class ContentParams(Params):
    """Pricing over the list of all contents of a server, where these are few enough.

    Parameters
    ----------
    most_contents : int >= 0
        Contents that are still listed: beyond it, pricing branches. A byte a model each, and a
        pass over all of them a pricing.
    most_nodes : int >= 0
        Nodes of a workflow whose sets are still tabulated: the tables double with each.
    most_parts : int >= 0
        Parts of servers over all workflows that quick pricing still values at every duals.
    batch : int >= 1
        Contents valued exactly by one linear program.
    batches : int >= 1
        Linear programs of one pricing: the bound is valid after any, and mostly exact by then.
    proving_batches : int >= 1
        The same of a pricing that proves a bound anew: no looser than the first time, whatever
        came before it.
    looked_at : int >= 1
        Contents valued exactly for each that is promising: their bounds are no order yet.
    most_near : int >= 1
        Contents of a draft: most of the others stay far from being worth it.
    most_others : int >= 0
        Worse contents valued on the way that are taken along.
    exact : float > 0
        Locality, per server, up to which a bound on a content counts as exact.
    """

    most_contents: Whole = 1_500_000
    most_nodes: Whole = 10
    most_parts: Whole = 1_000_000
    batch: Count = 48
    batches: Count = 6
    proving_batches: Count = 100
    looked_at: Count = 3
    most_near: Count = 100_000
    most_others: Whole = 10
    exact: Positive = 1e-7
