"""The problem in the verifier's own units: one request per second and server, loads over the cap.

Nothing is then far from 1, whatever the unit of time, and no tolerance of a solver is as large as
a workflow that counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from placement.problem.blocks import block_starts
from placement.problem.cluster import FloatArray, IntArray, ServerType
from placement.problem.instance import Instance
from placement.support.equality import ByContent
from placement.verify.matrix_program import Program

WHOLE_WORKFLOW = -1
"""In place of a link's number: the whole workflow."""

Part = tuple[int, int]
"""A workflow, and one of its links or `WHOLE_WORKFLOW`: what is kept on a server or not."""


@dataclass(frozen=True, eq=False)
class Flow(ByContent):
    """A workflow with requests.

    Parameters
    ----------
    w : int
        Its number in the instance.
    rate : float
        Share of all requests times the number of servers.
    models : tuple of int
        Of each node.
    load : tuple of float
        Of each node: what one unit of rate takes of what a replica may carry at speed 1.
    parts : dict
        Value of a unit of rate kept, and the nodes that must be together for it.
    """

    w: int
    rate: float
    models: tuple[int, ...]
    load: tuple[float, ...]
    parts: dict[Part, tuple[float, tuple[int, ...]]]


class Scaled:
    """Workflows, models and server types of an instance, scaled.

    Attributes
    ----------
    speeds : float64, shape (T, M)
        Of each model on the fastest of its blocks on servers of each type.
    constant : float
        Locality that no placement changes.
    exclusive : bool
        At most one replica stands on a GPU.
    counts_suffice : bool
        Replicas whose blocks add up to a server's GPUs fit there: GPUs are exclusive, and blocks
        can be laid end to end.
    """

    def __init__(self, instance: Instance) -> None:
        flows = instance.workflows
        total = sum(w.rate for w in flows)
        links = sum(w.rate * float(w.link_weights.sum()) for w in flows)
        self.instance = instance
        self.types: tuple[ServerType, ...] = instance.cluster.server_types
        self.servers = sum(t.count for t in self.types)
        self.speeds: FloatArray = instance.speeds
        self.gpus: IntArray = instance.gpus_required
        self.memory: FloatArray = instance.memory_per_gpu_gb
        self.exclusive = instance.exclusive or instance.max_models_per_gpu == 1
        self.counts_suffice = self.exclusive and instance.cluster.uniform
        self.most_on_gpu = 1 if self.exclusive else instance.max_models_per_gpu
        self.constant = 0.0 if links > 0 else 1 - instance.alpha
        unit = total / self.servers
        cap = instance.load_cap or 1.0  # a cap of 0 is one for work that takes no time
        link_value = (1 - instance.alpha) * total / links if links > 0 else 0.0
        self.flows: list[Flow] = []
        for w, flow in enumerate(flows):
            if flow.rate <= 0:
                continue
            nodes = tuple(range(len(flow.node_model)))
            parts = {(w, WHOLE_WORKFLOW): (instance.alpha, nodes)}
            weights = flow.link_weights.tolist()
            for e, (u, v) in enumerate(flow.links.tolist()):
                parts[w, e] = (link_value * weights[e], tuple(dict.fromkeys((u, v))))
            loads = tuple(t * unit / cap if t > 0 else 0.0 for t in flow.work_s.tolist())
            models = tuple(flow.node_model.tolist())
            self.flows.append(Flow(w, flow.rate / unit, models, loads, parts))
        bases = {b for _, b in instance.company.bases}
        self.used = sorted({m for f in self.flows for m in f.models} | bases)
        self.work: dict[int, float] = dict.fromkeys(self.used, 0.0)
        for f in self.flows:
            for m, load in zip(f.models, f.load, strict=True):
                self.work[m] += f.rate * load
        self.by_w = {f.w: f for f in self.flows}

    def keep_company(
        self, program: Program, t: int, held: Mapping[int, Sequence[tuple[int, float]]]
    ) -> None:
        """Rows on which models stand on one server.

        Parameters
        ----------
        program : Program
            Takes the rows.
        t : int
            Type of the server.
        held : mapping of int to terms
            Columns of the replicas of each model that fits.
        """
        for a, b in self.instance.company.apart:
            if held.get(a) and held.get(b):
                either = program.column(0.0, 1.0, whole=True)
                most_a, most_b = float(self.most(t, a)), float(self.most(t, b))
                program.row([*held[a], (either, -most_a)], 0.0)
                program.row([*held[b], (either, most_b)], most_b)
        for m, b in self.instance.company.bases:
            if held.get(m):  # on as many blocks of the base
                program.row([*held[m], *((y, -1.0) for y, _ in held.get(b, ()))], 0.0)
        for m, o in self.instance.company.together:
            if held.get(m):
                beside = [(y, -float(self.most(t, m))) for y, _ in held.get(o, ())]
                program.row([*held[m], *beside], 0.0)

    def on_bases(self, program: Program, at: Mapping[tuple[int, int], int]) -> None:
        """Rows on adapters, block by block: column of the replica of a model at each first GPU."""
        for m, b in self.instance.company.bases:
            for (other, i), x in at.items():
                if other == m:
                    under = [(at[b, i], -1.0)] if (b, i) in at else []
                    program.row([(x, 1.0), *under], 0.0)

    def speed(self, t: int, m: int) -> float:
        """Speed of a model on servers of a type, on the fastest of its blocks there."""
        return float(self.speeds[t, m])

    def pace(self, t: int, m: int, start: int) -> float:
        """Speed of a replica over that of the fastest block of its model on servers of the type.

        Parameters
        ----------
        t : int
            Server type.
        m : int
            The model.
        start : int
            First GPU of its block.
        """
        kind = self.types[t]
        if not kind.paced:
            return 1.0
        own = kind.block_speed(self.instance.model_ids[m], start, int(self.gpus[m]))
        return own / self.speed(t, m)

    def fitting(self, t: int) -> list[int]:
        """Used models of which a server of a type can hold a replica."""
        return [m for m in self.used if self.starts(t, m)]

    def starts(self, t: int, m: int) -> list[int]:
        """First GPUs on which a replica of a model can stand on an empty server of a type."""
        name = self.instance.model_ids[m]
        return block_starts(self.types[t], int(self.gpus[m]), float(self.memory[m]), name)

    def pinned(self, t: int) -> set[tuple[int, int]]:
        """Model and first GPU of the replicas that every server of a type holds."""
        index = {self.instance.model_ids[m]: m for m in self.used}
        return {(index[name], i) for name, i in self.types[t].pinned if name in index}

    def most(self, t: int, m: int) -> int:
        """Replicas of a model that one server of a type can hold, on blocks of their own."""
        kind, k = self.types[t], int(self.gpus[m])
        return kind.usable_gpus // k if self.exclusive else len(self.starts(t, m))


def part_work(flow: Flow, part: Part) -> dict[int, float]:
    """Load that one unit of a part puts on the replicas of each of its models."""
    work: dict[int, float] = {}
    for v in flow.parts[part][1]:
        m = flow.models[v]
        work[m] = work.get(m, 0.0) + flow.load[v]
    return work
