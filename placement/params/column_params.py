"""Parameters of the search over columns of fixed rates: annealing, masters, dives."""

from dataclasses import dataclass

from placement.params.ranges import (
    Count,
    Factor,
    Fraction,
    Params,
    Part,
    Parts,
    Positive,
    Whole,
    Wholes,
)


@dataclass(frozen=True)
class ColumnParams(Params):
    """Columns of fixed rates: where models are too many for their contents to be listed.

    Annealing for contents has levels: a round takes the first that finds anything.

    Parameters
    ----------
    least_tight : float, 0 <= x <= 1
        Part of the GPUs that whole replicas for each model's work take, above which columns of
        fixed rates are searched: rounding then decides, and flows that stay free round badly.
    most_nodes : int >= 0
        Nodes of a workflow whose sets are still tabulated: the tables double with each.
    price : float > 0
        Cost of a server's worth of demand that a master misses, over what a mean server is worth
        at most: far above what servers are worth, it keeps duals from what counts.
    dearer : float >= 1
        Factor on it while demand is missed at the end.
    raises : int >= 0
        Times that it is applied: there may be no way to serve all.
    seeds : tuple of int >= 1
        Known contents that annealing begins from, the best at the duals, by level.
    anchored : tuple of float, 0 < x <= 1
        Part of the models that each are held by one content more that it begins from, by level:
        what models shared by workflows are worth is met on no way from the best contents.
    moves : tuple of int >= 1
        Of annealing from each, by level.
    hot, cold : float > 0
        Temperatures at its ends, over what a server is worth at the duals.
    near : float, 0 <= x <= 1
        Part of what a server is worth below which a known content is not valued.
    most_columns : int >= 1
        Columns of each server type that a round adds.
    smoothing : float, 0 <= x <= 1
        Weight of the best centre in the duals that are priced.
    first_share : float, 0 < x <= 1
        Part of the time for the columns before the first plan.
    share : float, 0 < x <= 1
        Part of the time left for a dive.
    count_share : float, 0 < x <= 1
        Part of that for choosing numbers of replicas.
    count_gap : float, 0 <= x <= 1
        Relative gap at which a program for numbers of replicas ends, and below the relaxation at
        which the numbers are good enough.
    count_rounds : int >= 1
        Numbers of replicas that are tried before a dive.
    count_step : float, 0 < x <= 1
        Factor on what it costs to leave the best numbers, where no others are found near them.
    count_steps : int >= 0
        Times that it is applied.
    dive_part : float, 0 < x <= 1
        Part of the free servers that a step of a dive fixes.
    dive_rounds : int >= 0
        Rounds of pricing between two steps.
    left : int >= 0
        Servers that a dive leaves to an integer program, and that are freed of the best plan.
    contents : int >= 1
        Contents of least reduced cost that the program chooses from, beside those in use.
    program_share : float, 0 < x <= 1
        Part of the time left for one program.
    program_gap : float, 0 <= x <= 1
        Relative gap at which it ends: the best plan over the contents at hand is found long before
        it is proven to be, and other contents hold more than that.
    nodes : int >= 1
        Its branch-and-bound nodes.
    proposals : int >= 0
        Programs in a row, for freed servers, that find nothing better before that ends.
    proofs : int >= 1
        Exact pricings of one round, beside which a plan is sought.
    tries : int >= 1
        Programs for freed servers of one round.
    """

    least_tight: Fraction = 0.9
    most_nodes: Whole = 10
    price: Positive = 16.0
    dearer: Factor = 4.0
    raises: Whole = 3
    seeds: Wholes = (8, 20)
    anchored: Parts = (0.2, 1.0)
    moves: Wholes = (300, 1_000)
    hot: Positive = 0.3
    cold: Positive = 2e-3
    near: Fraction = 0.8
    most_columns: Count = 60
    smoothing: Fraction = 0.7
    first_share: Part = 0.5
    share: Part = 0.5
    count_share: Part = 0.5
    count_gap: Fraction = 3e-3
    count_rounds: Count = 30
    count_step: Part = 0.25
    count_steps: Whole = 2
    dive_part: Part = 0.1
    dive_rounds: Whole = 4
    left: Whole = 24
    contents: Count = 150
    program_share: Part = 0.7
    program_gap: Fraction = 3e-3
    nodes: Count = 50
    proposals: Whole = 12
    proofs: Count = 5
    tries: Count = 2


@dataclass(frozen=True)
class ServerPackingParams(Params):
    """Servers with shared GPUs packed one after the other: where workflows are thousands.

    Parameters
    ----------
    least_nodes : int >= 0
        Nodes of active workflows beyond which servers are packed: masters over so many take
        longer than all the rest.
    kept_share : float, 0 <= x <= 1
        Part of what a workflow could keep that its nodes cost, each the same: a set of nodes that
        keeps less than that is not worth parting the workflow for.
    work_worth : float > 0
        What a GPU-second is worth by itself at first, over what all workflows could keep in one on
        average: all work has to be done, and servers that are not filled are missing at the end.
    fuller : float >= 1
        Factor on it where not all demand was served.
    looser : float, 0 < x <= 1
        Factor on it where all was.
    moves : tuple of int >= 1
        Of annealing from each content, time by time that all servers are packed: a plan is there
        soon, and the later ones are better.
    seeds : int >= 0
        Contents of servers before it that annealing begins from.
    anchors : int >= 1
        Single models that it begins from.
    hot, cold : float > 0
        Temperatures at its ends, over what a server is worth.
    renewed : int >= 1
        Servers after which what is left of the workflows is cut into pieces anew.
    remembered : int >= 0
        Contents of the last servers that annealing may begin from.
    rounds : int >= 0
        Times that all servers are packed.
    missed : float > 0
        What a GPU-second that no server does costs at first, over what it is worth.
    dearer : float >= 1
        Factor on it every time that servers are mended.
    mends : int >= 0
        Times that all servers are mended while demand is not served.
    mended : int >= 1
        Contents that mending a server begins from: copies of its own.
    wanted : int >= 0
        Models that are missing, from which it begins as well.
    mending_moves : int >= 1
        Of annealing from each.
    mending_hot, mending_cold : float > 0
        Temperatures at its ends, over what the server does at the price of what is missing.
    """

    least_nodes: Whole = 1_000
    kept_share: Fraction = 0.8
    work_worth: Positive = 1.2
    fuller: Factor = 1.08
    looser: Part = 0.85
    moves: Wholes = (300, 2_000)
    seeds: Whole = 1
    anchors: Count = 1
    hot: Positive = 0.05
    cold: Positive = 0.002
    renewed: Count = 2
    remembered: Whole = 50
    rounds: Whole = 12
    missed: Positive = 10.0
    dearer: Factor = 2.0
    mends: Whole = 8
    mended: Count = 2
    wanted: Whole = 2
    mending_moves: Count = 100
    mending_hot: Positive = 0.02
    mending_cold: Positive = 5e-4
