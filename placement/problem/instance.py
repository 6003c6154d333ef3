"""The placement problem as the integer programs see it (docs/model.md, "What is given")."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from placement.problem.blocks import block_speeds, block_starts
from placement.problem.cluster import Cluster, FloatArray, IntArray, ServerType
from placement.problem.company import Company, company_of
from placement.problem.names import Objective
from placement.problem.placement_rules import (
    PlacementRules,
    Requirements,
    requirements_of,
)
from placement.support.equality import ByContent

LIGHT = 1e-6
"""Busy fraction, over the least mean load that any plan has, below which a replica counts as idle:
leaving it out moves the load of a GPU by no more, and solvers leave as much where there is none."""


@dataclass(frozen=True, eq=False)
class WorkflowDemand(ByContent):
    """One workflow w of the instance.

    Parameters
    ----------
    id : str
        Key in the config.
    rate : float
        Arrival rate lambda_w; 0 for a workflow that no request asks for.
    node_model : int64, shape (V,)
        Model of each node; steps without a GPU are none (`Workload.on_gpus`).
    work_s : float64, shape (V,)
        Busy seconds t_wv that one execution costs each GPU of the replica at speed 1.
    links : int64, shape (E, 2)
        Pairs of nodes (u, v) whose locality counts: the edges, or the co-occurring pairs.
    weights : float64, shape (E,), or None
        What each link counts; None: all the same.
    unit : float
        Requests that a rate of 1 stands for: 1, but for the workflows of a normalized instance.
    """

    id: str
    rate: float
    node_model: IntArray
    work_s: FloatArray
    links: IntArray
    unit: float = 1.0
    weights: FloatArray | None = None

    @property
    def link_weights(self) -> FloatArray:
        """What each link counts, shape (E,)."""
        return np.ones(len(self.links)) if self.weights is None else self.weights

    @property
    def request_rate(self) -> float:
        """The rate in requests, which compares with that of other workflows."""
        return self.rate * self.unit


@dataclass(frozen=True, eq=False)
class Instance(ByContent):
    """Models, workflows, cluster and the rules of sharing: all that a placement must respect.

    Indices of models and workflows are those of the `Workload`; what nobody asks for stays in,
    with rate 0, and gets no replica.

    Parameters
    ----------
    model_ids : tuple of str, length M
    gpus_required : int64, shape (M,)
        Block length k_m.
    memory_per_gpu_gb : float64, shape (M,)
        Memory on each GPU of a block, mem_m.
    workflows : tuple of WorkflowDemand, length W
    cluster : Cluster
    load_cap : float
        Most busy fraction of a GPU, rho (or (1 + eps) U* in overload and offline).
    alpha : float
        Weight of whole workflows against links in the locality, in [0, 1].
    exclusive : bool
        A GPU holds at most one replica.
    max_models_per_gpu : int or None
        Most replicas on one GPU where they may share.
    objective : str
        What counted as locality when `alpha` and the links were chosen.
    gpu_fraction : tuple of float, length M, or empty
        Part of a call's time in which each model occupies the GPU; 1 for all where it is empty.
    load_unit : float or None
        Busy fraction that a load of 1 stands for in a normalized instance (`normalization`); None
        where rates, work and loads are as measured.
    base_of : tuple of int, length M, or empty
        Model whose weights an adapter shares on its GPUs, -1 for none; empty where there is none.
    placement_rules : PlacementRules
        What else must hold of the replicas; excluded GPUs are in the cluster already.
    """

    model_ids: tuple[str, ...]
    gpus_required: IntArray
    memory_per_gpu_gb: FloatArray
    workflows: tuple[WorkflowDemand, ...]
    cluster: Cluster
    load_cap: float = 0.8
    alpha: float = 0.5
    exclusive: bool = False
    max_models_per_gpu: int | None = None
    objective: Objective = "mixed"
    gpu_fraction: tuple[float, ...] = ()
    load_unit: float | None = None
    placement_rules: PlacementRules = field(default_factory=PlacementRules)
    base_of: tuple[int, ...] = ()

    @cached_property
    def requirements(self) -> Requirements | None:
        """What the rules ask of the numbers of replicas; None where they ask nothing."""
        return requirements_of(self.placement_rules, self.model_ids)

    @cached_property
    def company(self) -> Company:
        """Which models may stand on a server beside which."""
        return company_of(self.placement_rules, self.model_ids, self.used_models, self.base_of)

    @cached_property
    def speeds(self) -> FloatArray:
        """Speed of each model on servers of each type, shape (T, M).

        Where GPUs of a server differ, that of the fastest block on which a replica can stand: no
        replica does more, so what holds of plans at these speeds holds of all. What a replica
        really does is its `pace` times that.
        """
        return np.array([self.speeds_of(kind) for kind in self.cluster.server_types])

    def speeds_of(self, kind: ServerType) -> FloatArray:
        """Speed of each model on the fastest of its blocks on a server of a type, shape (M,)."""
        if kind.paced:
            each = self.block_speeds(kind)
            return np.array([each[m, self._starts(kind, m)].max() for m in range(len(each))])
        found = np.full(len(self.model_ids), kind.speed)
        if kind.model_speeds:
            found[:] = [kind.block_speed(name, 0, 1) for name in self.model_ids]
        return found

    def _starts(self, kind: ServerType, m: int) -> list[int]:
        """First GPUs of the blocks on which a model can stand; all where it can on none."""
        k, need = int(self.gpus_required[m]), float(self.memory_per_gpu_gb[m])
        return block_starts(kind, k, need, self.model_ids[m]) or list(range(kind.gpus))

    def block_speeds(self, kind: ServerType) -> FloatArray:
        """Speed of a replica of each model on the block from each GPU on, shape (M, G)."""
        models = zip(self.model_ids, self.gpus_required.tolist(), strict=True)
        return np.array([block_speeds(kind, name, k) for name, k in models])

    def slowest_of(self, kind: ServerType) -> FloatArray:
        """Speed of each model on the slowest of the blocks of a server of a type, shape (M,)."""
        return self.block_speeds(kind).min(axis=1) if kind.paced else self.speeds_of(kind)

    def speed_on(self, kind: ServerType, m: int, start: int) -> float:
        """Speed of a replica on a server of a type.

        Parameters
        ----------
        kind : ServerType
        m : int
            Its model.
        start : int
            First GPU of its block.
        """
        return kind.block_speed(self.model_ids[m], start, int(self.gpus_required[m]))

    def pace(self, kind: ServerType, m: int, start: int) -> float:
        """Speed of a replica over that of the fastest block that its model has on such a server.

        Parameters
        ----------
        kind : ServerType
        m : int
            Its model.
        start : int
            First GPU of its block; where GPUs are alike, of no account.
        """
        if not kind.paced:
            return 1.0
        return self.speed_on(kind, m, start) / self._fastest[kind][m]

    def block_paces(self, kind: ServerType, m: int) -> FloatArray:
        """`pace` of a model on the block from each GPU of a server on, shape (G - k + 1,)."""
        width = max(0, kind.gpus - int(self.gpus_required[m]) + 1)
        return np.array([self.pace(kind, m, i) for i in range(width)])

    @cached_property
    def _fastest(self) -> dict[ServerType, list[float]]:
        """`speeds` of the types whose GPUs differ, for those who ask replica by replica."""
        types = self.cluster.server_types
        return {t: v for t, v in zip(types, self.speeds.tolist(), strict=True) if t.paced}

    @cached_property
    def _paces(self) -> FloatArray:
        """Speed on the block from each GPU on over `speeds`, shape (T, M, most GPUs)."""
        types = self.cluster.server_types
        found = np.ones((*self.speeds.shape, self.cluster.max_gpus_per_server))
        for t, kind in enumerate(types):
            if kind.paced:
                found[t, :, : kind.gpus] = self.block_speeds(kind) / self.speeds[t][:, np.newaxis]
        return found

    @cached_property
    def speed_table(self) -> FloatArray:
        """Speed of each model on servers of each type by the first GPU of its block.

        Of shape (T, M, most GPUs), or (T, M, 1) where GPUs of a server are alike.
        """
        each = self.speeds[:, :, np.newaxis]
        return each * self._paces if self.cluster.paced else each

    def paces(self, model: IntArray, server: IntArray, start: IntArray) -> FloatArray:
        """Speed of each of some replicas over that of the fastest block of its model there.

        Parameters
        ----------
        model, server, start : int64, shape (R,)
            Of each replica, the start within the server.
        """
        if not self.cluster.paced:
            return np.ones(len(model))
        return np.asarray(self._paces[self.cluster.server_type[server], model, start])

    def fastest_at(self, model: IntArray, server: IntArray) -> FloatArray:
        """`speeds` of each of some models on each of some servers, of one shape."""
        return np.asarray(self.speeds[self.cluster.server_type[server], model])

    def speed_at(self, model: IntArray, server: IntArray, start: IntArray) -> FloatArray:
        """Speed of each of some replicas, shape (R,).

        Parameters
        ----------
        model, server, start : int64, shape (R,)
            Of each replica, the start within the server.
        """
        found = self.fastest_at(model, server)
        return found * self.paces(model, server, start) if self.cluster.paced else found

    def best_speed(self, kind: ServerType) -> float:
        """Mean over the usable GPUs of a type of the speed of the used model that is fastest there.

        A replica goes at the pace of its slowest GPU, so on none of them does it more work than
        that GPU could.
        """
        used = list(self.used_models)
        if not kind.paced:
            return float(self.speeds_of(kind)[used].max()) if used else kind.speed
        usable = [g for g in range(kind.gpus) if g not in kind.excluded_gpus]
        if not (used and usable):
            return kind.speed
        each = np.array([kind.speeds_of(self.model_ids[m]) for m in used])
        return float(each.max(axis=0)[usable].mean())

    @property
    def ruled(self) -> bool:
        """Whether rules say what may stand where, or how many replicas there are."""
        return self.requirements is not None or not self.cluster.plain or bool(self.company)

    @cached_property
    def total_rate(self) -> float:
        """Requests per second over all workflows, the sum of lambda_w."""
        return float(sum(w.request_rate for w in self.workflows))

    @cached_property
    def total_link_rate(self) -> float:
        """Links per second over all workflows by their weights, the sum of lambda_w |E_w|."""
        return float(sum(w.request_rate * w.link_weights.sum() for w in self.workflows))

    @cached_property
    def active_workflows(self) -> tuple[int, ...]:
        """Workflows with requests."""
        return tuple(i for i, w in enumerate(self.workflows) if w.rate > 0)

    @cached_property
    def used_models(self) -> tuple[int, ...]:
        """Models that some request calls, and the bases of adapters: each needs a replica."""
        called = {int(m) for i in self.active_workflows for m in self.workflows[i].node_model}
        if self.base_of:
            called |= {self.base_of[m] for m in called} - {-1}
        return tuple(sorted(called))

    @cached_property
    def model_work(self) -> FloatArray:
        """Offered work per model: busy seconds per second for each GPU of a block, shape (M,)."""
        work = np.zeros(len(self.model_ids))
        for w in self.workflows:
            np.add.at(work, w.node_model, w.rate * w.work_s)
        return work

    @cached_property
    def offered_load(self) -> FloatArray:
        """Offered load per model in GPU-erlangs (lambda t k), shape (M,)."""
        return self.model_work * self.gpus_required

    @cached_property
    def load_floor(self) -> float:
        """Lower bound on U* from the total work alone: all GPUs busy all the time at best speed.

        A replica on a server of speed v does v seconds of work a second on each of its k GPUs, so
        the GPUs' speeds add up to at least the offered load over U*.
        """
        power = sum(t.count * t.usable_gpus * self.best_speed(t) for t in self.cluster.server_types)
        offered = float(self.offered_load.sum())
        if not power:  # every GPU is excluded, as in a part of a split cluster
            return float("inf") if offered else 0.0
        return offered / float(power)

    @cached_property
    def weightless(self) -> frozenset[int]:
        """Models of which a replica serves some node though it stays idle: the calls take no time.

        Those that never have work are not among them: of theirs nobody asks how many stand.
        """
        speed = float(self.speeds.max(initial=0.0)) or 1.0
        least = LIGHT * self.load_floor * speed
        flows = [self.workflows[w] for w in self.active_workflows]
        return frozenset(
            int(m)
            for flow in flows
            for m, work_s in zip(flow.node_model, flow.work_s, strict=True)
            if flow.rate * work_s <= least < self.model_work[m]
        )

    @property
    def idle_are_spare(self) -> bool:
        """Whether a plan is worth the same without its idle replicas.

        No rule and no other demand asks for them, and no node is served by one that has no work.
        """
        wanted = self.requirements
        if self.weightless:
            return False
        if self.company.asks:
            return False  # an idle one may be the company that another needs
        names = {self.model_ids[m] for m in self.used_models}
        if any(name in names for t in self.cluster.server_types for name, _ in t.pinned):
            return False  # it stands where it is pinned, loaded or not
        return wanted is None or not ((wanted.least > 1).any() or (wanted.spread > 1).any())

    def fraction(self, m: int) -> float:
        """Part of a call's time in which a model occupies the GPU."""
        return self.gpu_fraction[m] if self.gpu_fraction else 1.0

    @property
    def models_per_gpu(self) -> int:
        """Most replicas on one GPU by the sharing rules alone (memory may allow fewer).

        Without a rule, as many as there are blocks over a GPU: k begin at different GPUs for a
        model on k. Those of a single model serve no more where they overlap, so they need not.
        """
        if self.exclusive:
            return 1
        without = 1 if len(self.model_ids) == 1 else int(self.gpus_required.sum())
        return self.max_models_per_gpu or without

    @cached_property
    def counts_suffice(self) -> bool:
        """Whether replicas fit on a server where their blocks add up to no more than its GPUs.

        So it is where GPUs are exclusive and blocks can stand anywhere.
        """
        return self.models_per_gpu == 1 and self.cluster.uniform

    def locality_weights(self, w: int) -> tuple[float, float]:
        """Value of one unit of c[w, s] and of l[w, uv, s] of weight 1 in the locality objective.

        A workload without links has nothing to cross servers, so its link locality is 1 by
        definition and no l carries weight.
        """
        unit = self.workflows[w].unit
        whole = self.alpha * unit / self.total_rate if self.total_rate else 0.0
        link = (1 - self.alpha) * unit / self.total_link_rate if self.total_link_rate else 0.0
        return whole, link

    @property
    def locality_constant(self) -> float:
        """Part of the objective that no placement changes: the link locality without links."""
        return 0.0 if self.total_link_rate else 1 - self.alpha
