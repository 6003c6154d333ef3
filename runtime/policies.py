"""Routing policies: which replica serves a node, as plain Python that the reference engine runs.

A policy is any object with a `name` and a method ``choose(view) -> replica``. The five built in
here are also compiled into the fast engine, which must choose the same replica every time; a
policy of your own runs on the reference engine (``simulate(..., policy=YourPolicy())``).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from typing import Protocol

from runtime.arrays import NOWHERE, Problem

BACKLOG_PATIENCE = 1.0
"""How many times the wait elsewhere `Locality` bears at home on top of ``Problem.patience_s``."""


class View:
    """What a policy sees when one execution must be given a replica.

    The engine moves one view from decision to decision; a policy must not keep or change it.
    What is said of a replica's future goes by all that is routed to it and its neighbours by now.

    Attributes
    ----------
    problem : Problem
        All that does not change: workflows, replicas, servers, the plan's targets.
    now_s : float
        The instant: the execution's last parent has just finished (or its request arrived).
    execution, request, node : int
        Number of the execution, of its request, and of its node over all workflows.
    model : int
        Model that the node calls.
    free_s : list of float, length P
        When each replica could begin one more execution; of one that could at once, since when it
        has been idle (or, where it batches, what it does has not changed). Below 0 where nothing
        has come yet, the lower the number the longer.
    stretch : list of float, length P
        How many times its service time an execution would take once begun: the speed, the company
        in the batch, and the neighbours on the GPUs are in it.
    share : list of float, length P
        What each replica would get of its GPUs beside the neighbours that have work.
    unfinished : list of int, length P
        Executions routed to each replica and not yet finished.
    replica_of : list of int, length N
        Replica of every execution routed so far, else -1.
    session_server : list of int
        Server to which the first call of each session went, -1 where none has come.
    end_s : list of float, length N
        End of service of every execution that has ended, or is known to end then.
    sent_s : dict of int to float
        When the data of an execution that was interrupted is sent once more.
    emptied_s : dict of int to float
        When a replica was last loaded anew, and held no context any more.
    """

    # A policy that means to keep something here is told so.
    __slots__ = (
        "_call_work", "_of_model", "_parents", "_prefixes", "_server", "_service", "emptied_s",
        "end_s", "execution", "free_s", "model", "node", "now_s", "problem", "replica_of",
        "request", "sent_s", "session_server", "share", "stretch", "unfinished",
    )  # fmt: skip

    def __init__(self, problem: Problem, replica_of: list[int], end_s: list[float]) -> None:
        n = problem.n_replicas
        self.problem = problem
        self.now_s = 0.0
        self.execution = self.request = self.node = self.model = 0
        self.free_s = [float(p - n) for p in range(n)]
        self.stretch = [1.0] * n
        self.share = [1.0] * n
        self.unfinished = [0] * n
        self.replica_of = replica_of
        self.end_s = end_s
        self.sent_s: dict[int, float] = {}
        self.emptied_s: dict[int, float] = {}
        self.session_server = [NOWHERE] * (int(problem.session.max(initial=NOWHERE)) + 1)
        self._service = problem.service_s
        self._call_work = problem.call_work.tolist()
        self._server = problem.replica_server.tolist()
        self._of_model = [
            problem.model_replica[a:b].tolist()
            for a, b in zip(problem.model_start, problem.model_start[1:], strict=False)
        ]
        self._parents = [
            list(
                zip(
                    problem.parent[a:b].tolist(),
                    problem.parent_intra_s[a:b].tolist(),
                    problem.parent_inter_s[a:b].tolist(),
                    strict=True,
                )
            )
            for a, b in zip(problem.parent_start, problem.parent_start[1:], strict=False)
        ]
        self._prefixes: list[list[tuple[int, float]]] = []
        if len(problem.prefix_s):
            parts = list(zip(problem.parent.tolist(), problem.parent_prefix.tolist(), strict=True))
            self._prefixes = [
                [(u, part) for u, part in parts[a:b] if part]
                for a, b in zip(problem.parent_start, problem.parent_start[1:], strict=False)
            ]

    def replicas(self) -> Sequence[int]:
        """Replicas of the node's model that are up, ascending."""
        replicas: list[int] = self._of_model[self.model]
        return replicas

    def lose(self, replicas: Iterable[int]) -> None:
        """Let replicas be none to choose (the engine does)."""
        for p in replicas:
            mine = self._of_model[self.problem.placement.model[p]]
            if p in mine:
                mine.remove(p)

    def regain(self, replicas: Iterable[int], now_s: float) -> None:
        """Let replicas be chosen again, empty of all context (the engine does)."""
        for p in replicas:
            self.emptied_s[p] = now_s
            insort(self._of_model[self.problem.placement.model[p]], p)

    def replicas_on(self, server: int) -> list[int]:
        """Replicas of the node's model on one server, ascending."""
        return [p for p in self.replicas() if self._server[p] == server]

    def server(self, replica: int) -> int:
        """Server of a replica."""
        return int(self._server[replica])

    @property
    def target(self) -> int:
        """Server that the plan's shares give to this execution, or -1."""
        return int(self.problem.target[self.execution])

    @property
    def session(self) -> int:
        """Session of the request, or -1."""
        sessions = self.problem.session
        return int(sessions[self.request]) if len(sessions) else NOWHERE

    def note_session(self, replica: int) -> None:
        """Keep the server of a session's first call, which has been given a replica."""
        session = self.session
        if session >= 0 and self.session_server[session] < 0:
            self.session_server[session] = self.server(replica)

    @property
    def parents(self) -> list[int]:
        """Executions that this one waited for, ascending."""
        first = int(self.problem.offset[self.request])
        return [first + u for u, _, _ in self._parents[self.node]]

    def data_arrival_s(self, server: int) -> float:
        """When the data of every parent would have arrived at a server; now without parents."""
        arrival = self.now_s
        first = int(self.problem.offset[self.request])
        again = self.sent_s.get(self.execution, float("-inf"))
        for u, intra, inter in self._parents[self.node]:
            same = self._server[self.replica_of[first + u]] == server
            sent = max(self.end_s[first + u], again)
            arrival = max(arrival, sent + (intra if same else inter))
        return arrival

    def saved_s(self, replica: int) -> float:
        """Seconds of prefill that the execution saves on a replica that read its context before.

        Of several parents there the one counts whose context saves most.
        """
        if not self._prefixes:
            return 0.0
        first = int(self.problem.offset[self.request])
        prefill = float(self.problem.prefix_s[self.execution])
        emptied = self.emptied_s.get(replica, float("-inf"))
        most = 0.0
        for u, part in self._prefixes[self.node]:
            if self.replica_of[first + u] == replica and self.end_s[first + u] > emptied:
                most = max(most, part * prefill)
        return most

    def start_s(self, replica: int) -> float:
        """When the execution would begin on a replica."""
        return max(self.data_arrival_s(self._server[replica]), self.free_s[replica])

    def finish_s(self, replica: int) -> float:
        """When the execution would end on a replica."""
        service = float(self._service[self.execution]) - self.saved_s(replica)
        return self.start_s(replica) + service * self.stretch[replica]

    def load(self, replica: int) -> float:
        """Seconds that a replica needs for its unfinished calls and one more, each of a second."""
        calls = self.unfinished[replica] + 1
        return float(calls * self._call_work[replica] / self.share[replica])

    def first_to_start(self, replicas: Iterable[int]) -> int:
        """Of these the one that can begin the execution first; ties: longest idle, then lowest."""
        return min(replicas, key=lambda p: (self.start_s(p), self.free_s[p], p))

    def first_to_finish(self, replicas: Iterable[int]) -> int:
        """Of these the one that would end the execution first; ties: longest idle, then lowest."""
        return min(replicas, key=lambda p: (self.finish_s(p), self.free_s[p], p))

    def least_loaded(self, replicas: Iterable[int]) -> int:
        """Of these the one with the least `load`; ties: longest idle, then lowest."""
        return min(replicas, key=lambda p: (self.load(p), self.free_s[p], p))


class RoutingPolicy(Protocol):
    """Chooses the replica of every node execution."""

    @property
    def name(self) -> str:
        """Name in logs and tables."""
        ...

    def choose(self, view: View) -> int:
        """Return one of ``view.replicas()``."""
        ...


class Earliest:
    """The replica that is expected to finish first, whatever its server."""

    name = "earliest"

    def choose(self, view: View) -> int:
        """Return the first to finish."""
        return view.first_to_finish(view.replicas())


class LeastLoaded:
    """The fewest unfinished executions in proportion to what a replica can serve."""

    name = "least-loaded"

    def choose(self, view: View) -> int:
        """Return the least loaded."""
        return view.least_loaded(view.replicas())


class PlanShares:
    """The server that the plan's shares call for, and nothing else."""

    name = "plan"

    def choose(self, view: View) -> int:
        """Return the first to finish on the target server; anywhere where the plan names none."""
        return view.first_to_finish(view.replicas_on(view.target) or view.replicas())


class Locality:
    """The request's home server, unless the backlog there costs more than crossing.

    The home of a node is its target server by the plan's shares; but where its first parent was
    moved away from the target it had, the node follows the parent, if the model is there. The
    node leaves home for the replica that would finish it first when home would finish it later
    than that replica by more than ``Problem.patience_s`` plus the wait there. Ends count the
    arrival of the data, so what the network makes of a crossing is in the balance too. The wait
    counts because queues that are long everywhere differ by more than any fixed patience all the
    time: moving between them gains little, and would leave nothing local in overload.
    """

    name = "locality"

    def choose(self, view: View) -> int:
        """Return the first to finish at home, or the first to finish of all."""
        at_home = view.replicas_on(self._home(view))
        anywhere = view.first_to_finish(view.replicas())
        if not at_home:
            return anywhere
        stay = view.first_to_finish(at_home)
        patience = view.problem.patience_s[view.node]
        patience += BACKLOG_PATIENCE * (view.start_s(anywhere) - view.now_s)
        later = view.finish_s(stay) - view.finish_s(anywhere)
        return stay if later <= patience else anywhere

    @staticmethod
    def _home(view: View) -> int:
        for parent in view.parents[:1]:
            server = view.server(view.replica_of[parent])
            moved = server != view.problem.target[parent] != NOWHERE
            if moved and view.replicas_on(server):
                return server
        return view.target


class Sticky:
    """The server that served the first call of the session, where the model is there.

    All else, the first call of a session too, is routed as by `Locality`.
    """

    name = "sticky"

    def choose(self, view: View) -> int:
        """Return the first to finish on the session's server, or what locality says."""
        if (session := view.session) >= 0:
            kept = view.replicas_on(view.session_server[session])
            if kept:
                return view.first_to_finish(kept)
        return LOCALITY.choose(view)


LOCALITY = Locality()

BUILT_IN: dict[str, RoutingPolicy] = {
    policy.name: policy for policy in (LOCALITY, PlanShares(), Earliest(), LeastLoaded(), Sticky())
}
"""The policies that both engines know, by name."""
