"""Parameters of the placement methods without a solver."""

from dataclasses import dataclass

from placement.params.ranges import Count, Factors, Params, Part, Positive, Positives


@dataclass(frozen=True)
class CoverageParams(Params):
    """Giving every used model a replica.

    Parameters
    ----------
    repacking_rounds : int >= 1
        Orders of packing that are tried: one that fits is mostly among the first few, and an order
        that comes again ends it anyway.
    relieving_rounds : int >= 1
        Shared replicas added while a GPU is above the cap; a large cluster would take minutes.
    packing_nodes : int >= 1
        Branch-and-bound nodes of a program that decides what fits, or how many servers would do;
        beyond them a larger cluster than necessary may be advised.
    decide_share : float, 0 < x <= 1
        Part of the time left for the program that decides.
    advice_share : float, 0 < x <= 1
        Part of what is left then for that of the advice.
    """

    repacking_rounds: Count = 200
    relieving_rounds: Count = 1_000
    packing_nodes: Count = 20_000
    decide_share: Part = 0.5
    advice_share: Part = 0.5


@dataclass(frozen=True)
class TilingParams(Params):
    """Placing a large cluster as a small one, repeated.

    Parameters
    ----------
    large_servers : int >= 1
        Servers above which a cluster is placed at a fraction; its programs then have few patterns.
    servers_per_block : int >= 1
        Size of the fraction, in servers that one replica of every used model would fill: smaller
        ones leave the greedy placement no choice.
    """

    large_servers: Count = 64
    servers_per_block: Count = 6


@dataclass(frozen=True)
class LocalSearchParams(Params):
    """Simulated annealing on what each server holds.

    Parameters
    ----------
    searched_servers : int >= 1
        Larger clusters are searched as one of about this size, or of the next that holds every
        model, and repeated: moves grow dearer and fewer of them matter.
    runs : int >= 1
        Annealing runs, each from a greedy placement; one more takes up the best of them.
    runs_share : float, 0 < x <= 1
        Part of the moves that these runs have between them.
    hot : tuple of float > 0
        Loss of locality accepted with probability 1/e at first, of the runs in turn: one server
        holds little of the locality of a large cluster, and much of a small one's.
    warm : float > 0
        The same of the run that takes up the best, which must not lose it.
    cold : float > 0
        The same of all runs at last: next to nothing.
    penalty : float > 0
        Locality that counts as lost where nothing is served. More hinders the passage between
        placements that serve all.
    last_penalty : float > 0
        The same of a last run from what leaves a little unserved: an exact penalty (Nocedal and
        Wright, Numerical Optimization, 2006, 17.2), for no locality makes up for it.
    wider : tuple of float >= 1
        Caps, over the real one, of the runs in turn where the greedy placements cannot keep it:
        water-filling leaves demand unserved close to the cap that the routing program serves, and
        placements a little beyond it are easier to pass between (strategic oscillation; Glover and
        Laguna, Tabu Search, 1997).
    moves : int >= 1
        Moves of the method: a limit by work, so that equal seeds give equal placements.
    start_moves : int >= 1
        Moves where it makes one proposal among several: for scenarios, together, and for `refine`.
    moves_per_gpu : int >= 1
        Moves for each GPU of a small cluster, which is searched out sooner.
    chunk_moves : int >= 1
        Most moves between two looks at the clock.
    chunk_work : int >= 1
        Most work between two looks: nodes times servers that the moves fill.
    """

    searched_servers: Count = 24
    runs: Count = 4
    runs_share: Part = 0.75
    hot: Positives = (0.01, 0.1)
    warm: Positive = 0.002
    cold: Positive = 1e-5
    penalty: Positive = 10.0
    last_penalty: Positive = 1e4
    wider: Factors = (1.1, 1.03)
    moves: Count = 46_000
    start_moves: Count = 40_000
    moves_per_gpu: Count = 2_800
    chunk_moves: Count = 2_000
    chunk_work: Count = 6_000_000


@dataclass(frozen=True)
class ReplicationParams(Params):
    """Selective replication guided by simulation: every step costs a simulation a candidate.

    Parameters
    ----------
    neediest : int >= 1
        Models tried in a step: those whose replicas are busiest (the paper's fast variant tries
        one).
    lightest : int >= 1
        Kinds of servers tried for each model: those with the least load on the block.
    patience : int >= 1
        Replicas added in a row without a better score, before the search ends.
    """

    neediest: Count = 4
    lightest: Count = 6
    patience: Count = 8
