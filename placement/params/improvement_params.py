"""Parameters of the searches that begin with a placement: servers anew, starts beyond the cap."""

from dataclasses import dataclass

from placement.params.ranges import Count, Factors, Params, Part, Positive, Wholes


@dataclass(frozen=True)
class NeighbourhoodParams(Params):
    """Large-neighbourhood search: a few servers are freed at a time and placed anew.

    Parameters
    ----------
    rounds : int >= 1
        Draws of servers: a limit by work, where time has none.
    first_free : int >= 1
        Servers freed at first where GPUs are exclusive: with one alone there is little to win.
    first_free_shared : int >= 1
        The same where they are shared: a server with all its positions keeps branch and bound busy.
    most_free : int >= 1
        Servers freed at a time at most: more is the compact form's part.
    node_limits : tuple of int >= 1
        Branch-and-bound nodes of one program: at first, and where that finds nothing more.
    least_gain : float > 0
        Gain in locality that counts, and relative gap of a program: less is solvers' rounding.
    """

    rounds: Count = 400
    first_free: Count = 2
    first_free_shared: Count = 1
    most_free: Count = 3
    node_limits: Wholes = (60, 400)
    least_gain: Positive = 1e-6


@dataclass(frozen=True)
class BeyondCapParams(Params):
    """Starts found under wider caps, brought back under the real one (strategic oscillation).

    Parameters
    ----------
    most_servers : int >= 1
        Largest shared cluster that is searched so: on more servers, what is freed one at a time
        changes too little.
    slacks : tuple of float >= 1
        Caps of the local search, over the real one, in turn; as many starts as there are.
    attempt_share : float, 0 < x <= 1
        Part of the time left for one start.
    rounds : int >= 1
        Servers placed anew for one start at most.
    """

    most_servers: Count = 32
    slacks: Factors = (1.02, 1.06, 1.04, 1.0)
    attempt_share: Part = 0.5
    rounds: Count = 40
