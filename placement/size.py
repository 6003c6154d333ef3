"""How large a cluster must be: the fewest servers that reach a goal, and why fewer cannot.

A plan for n servers is one for n + 1, with a server left empty. So a size at which no plan reaches
the goal, by a proven bound, settles all smaller ones; and the fewest servers are found between one
size that reaches it and one that does not. What only a simulation says (the P99) proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from math import ceil

from placement.problem.cluster import Cluster
from placement.problem.instance import Instance
from placement.problem.outcome import Infeasible, SolveOptions, SolveResult
from placement.solve import solve_instance
from placement.solver.budget import Budget
from placement.support.described import percent

GOAL_SLACK = 1e-6
"""What solvers round: a goal missed by no more is reached."""

LATER = "--p99 needs a simulated P99 and there is none; give the function that finds it"


@dataclass(frozen=True)
class Goal:
    """What a cluster is to reach.

    Parameters
    ----------
    load : float
        Most busy fraction of the busiest GPU.
    server_efficiency : float or None
        Least share of requests that run whole on one server, at mean rates.
    p99_s : float or None
        Most seconds of the simulated P99 latency.

    Raises
    ------
    ValueError
        A figure is out of its range.
    """

    load: float = 0.8
    server_efficiency: float | None = None
    p99_s: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.load <= 1:
            raise ValueError(f"the load is {self.load:g}; give a busy fraction above 0, at most 1")
        if self.server_efficiency is not None and not 0 < self.server_efficiency <= 1:
            raise ValueError(
                f"the server efficiency is {self.server_efficiency:g}; give a share above 0, at "
                "most 1"
            )
        if self.p99_s is not None and not 0 < self.p99_s < float("inf"):
            raise ValueError(f"the P99 is {self.p99_s:g} s; give a finite time above 0")

    @property
    def text(self) -> str:
        """The goal in words."""
        words = [f"the busiest GPU at most {percent(self.load)}"]
        if self.server_efficiency is not None:
            words.insert(0, f"server efficiency of {percent(self.server_efficiency)}")
        if self.p99_s is not None:
            words.append(f"P99 latency of at most {self.p99_s:g} s")
        return ", ".join(words)


@dataclass(frozen=True)
class Tail:
    """Simulated P99 latency in seconds.

    Parameters
    ----------
    seconds : float
        Of the trace.
    mean_s, low_s, high_s : float or None
        Over traces resampled from it: the mean, and where another trace falls, 95 times of 100.
    """

    seconds: float
    mean_s: float | None = None
    low_s: float | None = None
    high_s: float | None = None

    @property
    def judged_s(self) -> float:
        """What a goal is held against: the larger of the trace's and the mean of the others."""
        return max(self.seconds, self.mean_s or 0.0)


@dataclass(frozen=True)
class Size:
    """A number of servers, and what it reaches.

    Parameters
    ----------
    servers : int
        Of the type whose number is sought.
    gpus : int
        Of the whole cluster.
    server_efficiency, most_efficiency : float or None
        Share of requests on one server at mean rates, of the plan that was found, and a proven
        bound on that of any plan under the load (1 where none was sought); None without a plan.
    busiest : float or None
        Busy fraction of the busiest GPU.
    tail : Tail or None
        Simulated.
    missed : tuple of str
        What the plan does not reach; empty where it meets the goal.
    impossible : str or None
        Why no plan of this size can reach it, where that is proven.
    """

    servers: int
    gpus: int
    server_efficiency: float | None = None
    most_efficiency: float | None = None
    busiest: float | None = None
    tail: Tail | None = None
    missed: tuple[str, ...] = ()
    impossible: str | None = None

    @property
    def meets(self) -> bool:
        """Whether the goal is reached."""
        return not self.missed and self.impossible is None


@dataclass(frozen=True)
class Sizing:
    """What was tried, and what follows.

    Parameters
    ----------
    sizes : tuple of Size
        Ascending.
    floor : int
        Servers that the work alone needs: fewer are impossible.
    """

    sizes: tuple[Size, ...]
    floor: int

    @property
    def fewest(self) -> Size | None:
        """The smallest size that was found to reach the goal."""
        return next((size for size in self.sizes if size.meets), None)

    @property
    def least_possible(self) -> int:
        """No fewer servers than these can reach the goal: proven."""
        proven = [size.servers + 1 for size in self.sizes if size.impossible is not None]
        return max([self.floor, *proven])

    @property
    def proven(self) -> bool:
        """Whether no smaller cluster can reach the goal."""
        return self.fewest is not None and self.fewest.servers <= self.least_possible


def servers_for_work(instance: Instance, varied: int, load: float) -> int:
    """Servers of one type without which all GPUs together cannot do the work.

    Parameters
    ----------
    instance : Instance
        On a cluster of any size.
    varied : int
        Position of the type whose number is sought.
    load : float
        Most busy fraction of a GPU.

    Returns
    -------
    int
        At least 1. The offered load over what GPUs of all speeds do under the load
        (`Instance.load_floor`).
    """
    types = instance.cluster.server_types
    power = [t.usable_gpus * instance.best_speed(t) for t in types]
    others = sum(t.count * power[i] for i, t in enumerate(types) if i != varied)
    one = power[varied]
    needed = float(instance.offered_load.sum()) / load - others
    return max(1, ceil(needed / one - GOAL_SLACK))


def size_of(
    instance: Instance,
    options: SolveOptions,
    goal: Goal,
    tail: Callable[[SolveResult], Tail] | None = None,
) -> Size:
    """Solve for a cluster of one size, and hold it against the goal.

    Parameters
    ----------
    instance : Instance
        Its objective should be ``workflow`` where the goal is a server efficiency: then the bound
        is one on that.
    options : SolveOptions
        Their `max_utilization` is replaced by the goal's load.
    goal : Goal
    tail : callable, optional
        Simulates a plan; needed for a P99.

    Raises
    ------
    ValueError
        The goal has a P99, and nothing that finds it was given.
    """
    if goal.p99_s is not None and tail is None:
        raise ValueError(LATER)
    cluster = instance.cluster
    size = Size(cluster.n_servers, cluster.n_gpus)
    budget = Budget(options.time_limit_s)
    options = replace(options, max_utilization=goal.load)
    try:
        result = solve_instance(instance, options, budget=budget)
    except Infeasible as error:
        if budget.cut_short:
            return replace(size, missed=("no placement was found in time",))
        return replace(size, impossible=str(error))
    worth, proof = result.evaluation, result.certificate
    kept = proof.bottleneck_lower <= goal.load * (1 + GOAL_SLACK)
    most = proof.best_bound if instance.alpha == 1 else 1.0
    size = replace(
        size,
        server_efficiency=worth.server_efficiency,
        most_efficiency=most,
        busiest=worth.max_utilization,
        tail=None if tail is None else tail(result),
    )
    if not kept:
        least = percent(proof.bottleneck_lower)
        return replace(size, impossible=f"some GPU is busy {least} of the time in every plan")
    wanted = goal.server_efficiency
    # In overload the cap of the solve is above the load, so its bound holds under the load as well.
    if wanted is not None and most < wanted - GOAL_SLACK:
        return replace(size, impossible=f"no plan keeps more than {percent(most)} on one server")
    missed = []
    if worth.max_utilization > goal.load * (1 + GOAL_SLACK):
        missed.append(f"the busiest GPU works {percent(worth.max_utilization)}")
    if wanted is not None and worth.server_efficiency < wanted - GOAL_SLACK:
        missed.append(f"{percent(worth.server_efficiency)} on one server")
    if goal.p99_s is not None and size.tail is not None and size.tail.judged_s > goal.p99_s:
        missed.append(f"P99 of {size.tail.judged_s:,.1f} s")
    return replace(size, missed=tuple(missed))


Mapped = Callable[[Callable[[int], Size], Iterable[int]], Iterator[Size]]


def fewest_servers(
    at: Callable[[int], Size],
    floor: int,
    most: int,
    *,
    beyond: int = 0,
    mapped: Mapped = map,
) -> Sizing:
    """Find the fewest servers that reach a goal.

    Sizes are tried at growing distances from the floor until one reaches it, then halfway between
    the largest that does not and the smallest that does.

    Parameters
    ----------
    at : callable
        What a number of servers reaches.
    floor, most : int
        Servers that are needed at least, and tried at most.
    beyond : int
        How many more servers than the fewest are tried as well, one by one, for the curve.
    mapped : callable
        Maps a function over numbers, in their order; several at once where it can.
    """
    known: dict[int, Size] = {}
    for size in mapped(at, _growing(floor, most)):
        known[size.servers] = size
        if size.meets:
            break
    sizing = Sizing(tuple(known[n] for n in sorted(known)), floor)
    while (fewest := sizing.fewest) is not None:
        low = max([floor - 1, *(n for n in known if n < fewest.servers)])
        if fewest.servers - low <= 1:
            break
        middle = (low + fewest.servers) // 2
        known[middle] = at(middle)
        sizing = replace(sizing, sizes=tuple(known[n] for n in sorted(known)))
    if fewest is not None:
        wanted = range(fewest.servers, min(most, fewest.servers + beyond) + 1)
        for size in mapped(at, [n for n in wanted if n not in known]):
            known[size.servers] = size
    return replace(sizing, sizes=tuple(known[n] for n in sorted(known)))


def _growing(first: int, most: int) -> Iterator[int]:
    step, n = 1, first
    while n < most:
        yield n
        n, step = n + step, 2 * step
    yield most


def resized(cluster: Cluster, varied: int, servers: int) -> Cluster:
    """Give a cluster with another number of servers of one type.

    Parameters
    ----------
    cluster : Cluster
    varied : int
        Position of the type.
    servers : int
        Of this type; at least 1.
    """
    types = list(cluster.server_types)
    types[varied] = replace(types[varied], count=servers)
    return replace(cluster, server_types=tuple(types))
