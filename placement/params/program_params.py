"""Parameters of the programs over one placement, and of what becomes of spare GPUs."""

from dataclasses import dataclass

from placement.params.ranges import Count, Fraction, Params, Part, Whole


@dataclass(frozen=True)
class CompactParams(Params):
    """Branch and bound over the compact form: every replica, block and rate at once.

    Parameters
    ----------
    nodes : int >= 1
        Branch-and-bound nodes after which it gives up, the same on every machine.
    rules_nodes : int >= 1
        Nodes after which it gives up looking for any placement that keeps an operator's rules.
    bottleneck_gap : float, 0 <= x <= 1
        Relative gap at which the program of the least bottleneck load stops: the cap needs no more
        digits.
    first_rates : int >= 0
        Nodes of workflows times servers up to which the program is tried before all heuristics:
        small ones are closed before these are done, and larger ones not in many times as long.
    first_nodes : int >= 1
        Branch-and-bound nodes of that try, mostly done after some hundred: what needs more is as
        soon found by heuristics and patterns.
    """

    nodes: Count = 200_000
    rules_nodes: Count = 20_000
    bottleneck_gap: Fraction = 1e-3
    first_rates: Whole = 100
    first_nodes: Count = 1_000


@dataclass(frozen=True)
class FittingSetParams(Params):
    """Rows that tell programs which nodes of a workflow fit on no server together.

    Parameters
    ----------
    most_servers : int >= 0
        Clusters up to this size are told; larger ones have whole servers enough to learn it.
    first_rounds, rounds : int >= 1
        Times that sets are sought which the prices of a workflow do not pay for: so often of each
        workflow at first, then of those that keep most. Some 70 do for 40 nodes, and what is found
        before the last pays, too. The first learns that the whole fits nowhere, which of thousands
        of workflows is most of what there is to learn.
    covers : int >= 1
        Programs for one such set: each set that does not fit is cut off, and another sought.
    nodes : int >= 1
        Branch-and-bound nodes of each.
    work : int >= 0
        Programs for sets in all, each times the square of the workflow's nodes: for 400,000 some
        thirty seconds, and enough for one workflow of 40 nodes. Those that keep most come first.
    packing_nodes : int >= 1
        Blocks laid down on a server, one after the other, after which models count as fitting
        together.
    """

    most_servers: Whole = 32
    first_rounds: Count = 1
    rounds: Count = 400
    covers: Count = 100
    nodes: Count = 1_000
    work: Whole = 400_000
    packing_nodes: Count = 500


@dataclass(frozen=True)
class IdleServerParams(Params):
    """Clusters far larger than their load: how many servers are used at all.

    Parameters
    ----------
    most_servers : int >= 1
        Clusters up to this size are used whole.
    least_use : float, 0 < x <= 1
        Mean load, as a part of the cap, down to which servers of a larger one are used: with less
        on each, nothing is kept together that was not before.
    """

    most_servers: Count = 20_000
    least_use: Part = 0.25


@dataclass(frozen=True)
class SpareParams(Params):
    """Replicas that carry nothing make room for those that relieve the busiest GPUs.

    Parameters
    ----------
    refill_rounds : int >= 0
        Times that spare replicas are placed anew; two or three find what there is to find.
    relief_rounds : int >= 0
        Rounds that relieve the bottleneck; the first spares may only show where the next are of
        use.
    least_gain : float, 0 <= x <= 1
        Part of the squared loads that a round must save for another one to follow.
    most_per_gpu : int >= 1
        Replicas on one GPU beyond which no spare one joins them: plans stay readable.
    """

    refill_rounds: Whole = 4
    relief_rounds: Whole = 12
    least_gain: Fraction = 1e-4
    most_per_gpu: Count = 8


@dataclass(frozen=True)
class BalanceParams(Params):
    """Even loads at no cost of locality.

    Parameters
    ----------
    most_servers : int >= 0
        Clusters up to this size are balanced by an integer program over the placement too, unless
        nodes are many (`PortfolioParams.many_nodes`): on 12 servers it took nine tenths of all
        time, and loads were no more even for it.
    place_share : float, 0 < x <= 1
        Part of the time left for that program; the rates it leaves are evened afterwards.
    nodes : int >= 1
        Its branch-and-bound nodes: hundreds find loads that are more even by a hundredth.
    gap : float, 0 <= x <= 1
        Relative gap at which it stops, for the same reason.
    tangents : int >= 1
        Tangents to the square in the spread of loads; the error is at most (cap / tangents)^2 / 4.
    """

    most_servers: Whole = 8
    place_share: Part = 0.8
    nodes: Count = 20
    gap: Fraction = 0.01
    tangents: Count = 16
