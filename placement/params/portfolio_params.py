"""Parameters of the methods side by side: what the integer program starts from, and partition."""

from dataclasses import dataclass

from placement.params.ranges import Count, Factor, Factors, Fraction, Params, Part, Whole


@dataclass(frozen=True)
class PortfolioParams(Params):
    """Heuristics in turn, the cap that they can keep, and the best start under it.

    Parts of the time are of what is left when a step begins.

    Parameters
    ----------
    compact_servers : int >= 0
        Largest cluster that gets the compact form, for its bottleneck and its plan: there it is
        closed sooner than patterns are found.
    headroom_factor : float >= 1
        A heuristic that seeks headroom is shown a cap of so many times the least load imaginable;
        at that load itself hardly any placement is feasible.
    headroom_share : float, 0 < x <= 1
        Part for the least load of the busiest GPU.
    roomy_share : float, 0 < x <= 1
        Part, of a search's time, for that of the fraction of a cluster that it searches.
    method_share : float, 0 < x <= 1
        Part for the placements of a method under its own name: about what local search has of the
        same limit as a start of the integer program, whose plan therefore is no worse.
    first_share : float, 0 < x <= 1
        Part for the loads of the first placement; where it is too little, they are even.
    heuristics_share : float, 0 < x <= 1
        Part for the heuristics that are soon done.
    search_share : float, 0 < x <= 1
        Part for local search.
    routing_share : float, 0 < x <= 1
        Part for routing what a step has placed.
    each_routing_share : float, 0 < x <= 1
        Part of that for one placement, so that a large program does not take the time of all
        others.
    searched_caps : tuple of float >= 1
        Caps on GPU loads under which local search is tried in turn, over the instance's: the
        search may find nothing close to the cap where a program does.
    most_searched_servers : int >= 1
        Largest cluster that is searched under wider caps too; of larger ones, patterns hold more.
    many_nodes : int >= 0
        Nodes of active workflows beyond which placements are judged and first routed by
        water-filling, and loads evened by moving what is kept together as it is: routing programs
        over so many take longer than all the rest.
    recorded_rates : int >= 1
        Rates, of every node on every server, that water-filling records at most: 8 bytes each.
    compact_share : float, 0 < x <= 1
        Part for the compact program before all heuristics: a limit of nodes ends it sooner.
    settled : float, 0 <= x <= 1
        Relative width of what is known of the least load of the busiest GPU up to which no
        heuristic is worth waiting for to learn the cap.
    program_share : float, 0 < x <= 1
        Part for the integer program; balance comes after it.
    """

    compact_servers: Whole = 2
    headroom_factor: Factor = 1.1
    headroom_share: Part = 0.2
    roomy_share: Part = 0.2
    method_share: Part = 0.6
    first_share: Part = 0.3
    heuristics_share: Part = 0.2
    search_share: Part = 0.75
    routing_share: Part = 0.5
    each_routing_share: Part = 0.5
    searched_caps: Factors = (1.0, 1.1, 1.2)
    most_searched_servers: Count = 64
    many_nodes: Whole = 1_000
    recorded_rates: Count = 20_000_000
    compact_share: Part = 0.3
    settled: Fraction = 2e-3
    program_share: Part = 0.85


@dataclass(frozen=True)
class PartitionParams(Params):
    """Random parts of the problem, each solved by the integer program.

    Parameters
    ----------
    servers : int >= 1
        Servers of one part, where the cluster allows it; parts are fewer where models miss room.
    attempts : int >= 1
        Random splits tried for each number of parts.
    compact_servers : int >= 0
        Largest part that gets the compact form.
    search_share : float, 0 < x <= 1
        Part of a part's time for the local search that it starts from.
    slack : float, 0 <= x <= 1
        Room above the least load found, where that exceeds the cap.
    gap : float, 0 <= x <= 1
        Relative gap at which the program of a part stops.
    """

    servers: Count = 4
    attempts: Count = 4
    compact_servers: Whole = 2
    search_share: Part = 0.3
    slack: Fraction = 0.05
    gap: Fraction = 1e-4
