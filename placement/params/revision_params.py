"""Parameters of what revises a plan: several demands, and a simulator that corrects it."""

from dataclasses import dataclass

from placement.params.ranges import Count, Factor, Fraction, Params, Part, Parts, Positives, Whole


@dataclass(frozen=True)
class RobustParams(Params):
    """One placement for several demands; parts are of the time left when a step begins.

    Parameters
    ----------
    compact_servers : int >= 0
        Largest cluster for which the compact form is taken at once.
    tightened_servers : int >= 0
        Largest cluster for which what time is left goes to the compact form.
    mean_share : float, 0 < x <= 1
        Part for the plan of the mean demand, which everything starts from.
    start_share : float, 0 < x <= 1
        Part for placements of each demand alone.
    alone_share : float, 0 < x <= 1
        Part for one of those by the integer program.
    cap_share : float, 0 < x <= 1
        Part for the cap that all demands keep.
    bottleneck_share : float, 0 < x <= 1
        Part of that for a placement of least load.
    starts_share : float, 0 < x <= 1
        Part for routing the starts.
    offer_share : float, 0 < x <= 1
        Part for routing what was found since.
    patterns_share : float, 0 < x <= 1
        Part for patterns; whole plans are made of them afterwards.
    plans_share : float, 0 < x <= 1
        Part for whole numbers of servers.
    compact_share : float, 0 < x <= 1
        Part for the compact form.
    closing_share : float, 0 < x <= 1
        Part, of the last phase, for each routing.
    """

    compact_servers: Whole = 2
    tightened_servers: Whole = 8
    mean_share: Part = 0.25
    start_share: Part = 0.15
    alone_share: Part = 0.2
    cap_share: Part = 0.2
    bottleneck_share: Part = 0.5
    starts_share: Part = 0.3
    offer_share: Part = 0.5
    patterns_share: Part = 0.6
    plans_share: Part = 0.7
    compact_share: Part = 0.9
    closing_share: Part = 0.3


@dataclass(frozen=True)
class SurvivalParams(Params):
    """A plan that bears the loss of a server; parts are of the time left when a step begins.

    Parameters
    ----------
    plain_share : float, 0 < x <= 1
        Part for the plan without the demand for survival, which tells its price.
    ruled_share : float, 0 < x <= 1
        Part for the plan under rules on numbers of replicas, from which the others begin.
    attempts : int >= 1
        Solves in which more and more replicas are asked for; most that help at all help soon.
    """

    plain_share: Part = 0.25
    ruled_share: Part = 0.4
    attempts: Count = 5


@dataclass(frozen=True)
class PackingParams(Params):
    """The fewest GPUs that keep the target, by bisection.

    Parameters
    ----------
    try_share : float, 0 < x <= 1
        Part of the time left that one try of fewer GPUs may take: there are a dozen at most.
    """

    try_share: Part = 0.1


@dataclass(frozen=True)
class RefineParams(Params):
    """Plans proposed anew, and moves of replicas, judged by a simulator.

    Parameters
    ----------
    caps : tuple of float, 0 < x <= 1
        Caps of the plans that are proposed anew, as fractions of the plain plan's: more room for
        queues.
    tolerances : tuple of float > 0
        Parts of the locality that a routing may give up for even loads; up to the loss allowed.
    search_share : float, 0 < x <= 1
        Part of the time left for a local search under a lower cap.
    solve_share : float, 0 < x <= 1
        Part for a solve under it, so that simulations have most of the time.
    attempts : int >= 1
        Moves drawn for one that keeps the rules, and draws without any after which it ends.
    inflation_odds : float, 0 <= x <= 1
        Probability that rates are corrected, not a replica moved.
    inflation : float >= 1
        Factor on the work of a model in need, so that the rates spread it further.
    raising_odds : float, 0 <= x <= 1
        Probability that the work is raised by the factor, and not lowered.
    tolerance_odds : float, 0 <= x <= 1
        Probability that such a correction draws its tolerance anew.
    least_loaded : int >= 1
        Blocks among which a replica's place is drawn, the least loaded first.
    idle_pressure : float, 0 <= x <= 1
        Part of the mean pressure that every model has at least: what waits is not always what is
        in the way.
    """

    caps: Parts = (0.9, 0.75, 0.6)
    tolerances: Positives = (1e-5, 0.01, 0.03, 0.1, 0.3, 1.0)
    search_share: Part = 0.1
    solve_share: Part = 0.2
    attempts: Count = 20
    inflation_odds: Fraction = 0.3
    inflation: Factor = 1.5
    raising_odds: Fraction = 0.75
    tolerance_odds: Fraction = 0.5
    least_loaded: Count = 4
    idle_pressure: Fraction = 0.2
