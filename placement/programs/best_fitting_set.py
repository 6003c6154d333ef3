"""The set of a workflow's nodes that fits on one server and is worth most beyond its price."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pulp

from placement.params.program_params import FittingSetParams
from placement.problem.cluster import ServerType
from placement.problem.space import largest_room_gb, total_room_gb
from placement.programs.block_packing import SUMS_OFF, Block, blocks_fit
from placement.solver.milp import Manner, Pairs, SolverSettings, Stop, linear, solve_program

UNPAID = 1e-7
"""Share of all that can be kept by which a set must be worth more than its price to count."""

CHOSEN = 0.5
"""Value of a variable from which a node is in a set."""

LARGE_PARTS = 4
"""Parts of a GPU, a half to a fifth, that blocks may be larger than: rows on how many fit."""

Prices = tuple[float, ...]
"""Of each node of a workflow."""


@dataclass(frozen=True)
class Division:
    """A workflow that is to be divided among servers: all that its prices depend on.

    Parameters
    ----------
    kinds : tuple of ServerType
        One of them holds a set.
    blocks : tuple of (int, float)
        GPUs and memory of a replica of each model that is called.
    calls : tuple of int
        Which of these each node calls.
    parts : tuple of (tuple of int, float)
        Nodes of what can be kept, and its share of all that can be.
    limit : int
        Most replicas on one GPU.
    """

    kinds: tuple[ServerType, ...]
    blocks: tuple[Block, ...]
    calls: tuple[int, ...]
    parts: tuple[tuple[tuple[int, ...], float], ...]
    limit: int

    def worth(self, nodes: frozenset[int]) -> float:
        """What is kept of a unit of rate where these nodes are together."""
        return sum(worth for part, worth in self.parts if nodes.issuperset(part))

    def fit(self, kind: ServerType, models: Iterable[int], search: int) -> bool:
        """Whether a server of a type can hold a replica of each of some models.

        Parameters
        ----------
        kind : ServerType
        models : iterable of int
            Positions in `blocks`.
        search : int
            Blocks laid down, after which models that may or may not fit count as fitting.
        """
        blocks = tuple(sorted(self.blocks[m] for m in models))
        return blocks_fit(kind, blocks, min(self.limit, len(blocks)), search)


class BestSet:
    """The set of nodes that fits on a server of a type and is worth most beyond its price.

    Binaries z choose models, nodes follow theirs; memory counts over the server in sum, as do the
    parts of a GPU that large blocks take, and sets that then do not fit on its GPUs are cut off as
    they are met.

    Parameters
    ----------
    division : Division
    kind : ServerType
        One of its kinds.
    params : FittingSetParams
        How far sets are sought.

    Attributes
    ----------
    programs : int
        How many were solved.
    """

    def __init__(self, division: Division, kind: ServerType, params: FittingSetParams) -> None:
        self._division, self._kind, self._params = division, kind, params
        self.programs = 0
        self._problem = problem = pulp.LpProblem("together", pulp.LpMaximize)
        blocks = division.blocks
        self._held = [pulp.LpVariable(f"z_{m}", 0, 1, pulp.LpInteger) for m in range(len(blocks))]
        self._there = [pulp.LpVariable(f"x_{v}", 0, 1) for v in range(len(division.calls))]
        for x, m in zip(self._there, division.calls, strict=True):
            problem += linear([(x, 1.0), (self._held[m], -1.0)]) <= 0
        self._worth: Pairs = []
        for e, (part, worth) in enumerate(division.parts):
            kept = pulp.LpVariable(f"y_{e}", 0, 1)
            self._worth.append((kept, worth))
            for v in part:
                problem += linear([(kept, 1.0), (self._there[v], -1.0)]) <= 0
        room, usable = total_room_gb(kind), kind.usable_gpus * division.limit
        pairs = list(zip(self._held, blocks, strict=True))
        problem += linear([(z, k * need / room) for z, (k, need) in pairs]) <= 1
        problem += linear([(z, float(k)) for z, (k, _) in pairs]) <= usable
        for parts in _parts_of_gpus(kind, blocks):
            taken = [(z, k * parts[need]) for z, (k, need) in pairs if need in parts]
            problem += linear(taken) <= kind.usable_gpus

    def beyond(self, prices: Prices) -> tuple[set[frozenset[int]], float]:
        """Sets that are worth more than their prices, and a bound on by how much any is.

        Where too many do not fit, one after the other, or a program has too many nodes, what was
        found by then is worth less than the bound.

        Parameters
        ----------
        prices : tuple of float
            Of each node.
        """
        paid = [(x, -p) for x, p in zip(self._there, prices, strict=True)]
        self._problem.setObjective(linear([*self._worth, *paid]))
        for _ in range(self._params.covers):
            met: list[list[float]] = []
            self.programs += 1
            outcome = solve_program(
                self._problem,
                SolverSettings(),
                stop=Stop(gap=0.0, abs_gap=UNPAID / 10, node_limit=self._params.nodes),
                manner=Manner(light=True),
                on_solution=met.append,
            )
            best = self._nodes_of(lambda variable: variable.varValue or 0.0)
            sets = {self._nodes_of(lambda variable, at=at: at[variable.index]) for at in met}  # type: ignore[misc]
            apart = {q for q in {best, *sets} if not self._fits(q)}
            for q in apart:
                self._cut_off(q)
            if best not in apart:
                break
        return {q for q in {best, *sets} - apart if q}, max(0.0, outcome.best_bound)

    def _nodes_of(self, value: Callable[[pulp.LpVariable], float]) -> frozenset[int]:
        return frozenset(v for v, x in enumerate(self._there) if value(x) > CHOSEN)

    def _models(self, nodes: Iterable[int]) -> list[int]:
        return sorted({self._division.calls[v] for v in nodes})

    def _fits(self, nodes: Iterable[int]) -> bool:
        return self._division.fit(self._kind, self._models(nodes), self._params.packing_nodes)

    def _cut_off(self, nodes: Iterable[int]) -> None:
        """Let no set hold all these models, or those of them that do not fit by themselves.

        Nor as many of them and of all that are as large as any of them (extended covers; Balas,
        Mathematical Programming 8, 1975). Those left out first are the largest, so that these are
        many.
        """
        blocks = self._division.blocks
        models = self._models(nodes)
        for m in sorted(models, key=lambda m: blocks[m], reverse=True):
            fewer = [o for o in models if o != m]
            if not self._division.fit(self._kind, fewer, self._params.packing_nodes):
                models = fewer
        gpus, need = (max(sizes) for sizes in zip(*(blocks[m] for m in models), strict=True))
        others = (m for m in range(len(blocks)) if m not in models)
        larger = [m for m in others if blocks[m][0] >= gpus and blocks[m][1] >= need]
        held = [(self._held[m], 1.0) for m in (*models, *larger)]
        self._problem += linear(held) <= len(models) - 1


def _parts_of_gpus(kind: ServerType, blocks: Iterable[Block]) -> Iterator[dict[float, float]]:
    """Parts of a GPU by memory, of which those that fit on one add up to at most 1.

    Beside memory itself: with nothing of less than some memory, what leaves less than that free
    takes all (Martello and Toth, Discrete Applied Mathematics 28, 1990); and of what takes more
    than 1 / (j + 1), j fit at most.
    """
    room = largest_room_gb(kind)
    needs = {need for _, need in blocks}
    for least in sorted(need for need in needs if need <= room / 2):
        full = room * (1 + SUMS_OFF) - least
        yield {need: 1.0 if need > full else need / room for need in needs if need >= least}
    for j in range(1, LARGE_PARTS + 1):
        yield {need: 1.0 / j for need in needs if need > room * (1 + SUMS_OFF) / (j + 1)}
