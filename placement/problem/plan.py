"""The plan: what a cluster needs to know to serve, and what was promised about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from placement.problem.blocks import room_gb
from placement.problem.cluster import Cluster, FloatArray, IntArray
from placement.problem.instance import Instance
from placement.problem.names import LOAD_AFTER_LOSS, SIMULATED_HEADROOM, Mode, Objective
from placement.problem.outcome import Certificate
from placement.problem.solution import (
    Flows,
    Placement,
    Solution,
)
from placement.problem.trace import Trace
from placement.problem.variants import as_run
from placement.problem.workload import Workload
from placement.support.described import Described, Facts, counted, percent
from placement.support.equality import ByContent

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, eq=False)
class Shares(ByContent):
    """Shares of servers: `server` int64 ascending and `share` float64, both of shape (K,)."""

    server: IntArray
    share: FloatArray


@dataclass(frozen=True)
class WorkflowRouting:
    """Where the requests of one workflow go.

    Parameters
    ----------
    home : Shares
        Fraction of the workflow's requests that run whole on each server: c[w, s] / lambda_w.
    spill : tuple of Shares, one a node
        The rest, node by node: (a[w, v, s] - c[w, s]) / lambda_w. Home and spill of a node add
        up to 1. A node keeps to the server of its parent as often as the two spills overlap.
    """

    home: Shares
    spill: tuple[Shares, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Plan(ByContent, Described):
    """Replicas on a cluster, the routing of every workflow, expected metrics and certificate.

    The instance that was solved travels along, so that a plan can be verified by itself.

    Parameters
    ----------
    instance : Instance
        Cluster, models, workflows with rates and service times, and the rules of sharing.
    node_ids : tuple of W tuples of str
        Nodes of each workflow by their names in the config.
    placement : Placement
        Where each replica stands.
    load : float64, shape (R,)
        Expected busy fraction of each replica.
    routing : tuple of WorkflowRouting or None, length W
        None for a workflow without requests in the trace, or one that lost a model.
    expected : dict of str to float
        ``server_efficiency``, ``edge_locality`` (fractions), ``csc_rate`` (crossings per request),
        ``max_utilization``, ``headroom``.
    certificate : Certificate
        How good the plan is proven to be, and how.
    inputs : dict of str to str
        SHA-256 of every input file by its role (config, requests, cluster).
    mode : str
        ``online`` or ``offline``.
    max_utilization, gap : float or None
        Target load of the busiest GPU and relative gap that the solve was asked for; None where
        the file does not say.
    dropped : tuple of str
        Workflows that a partial plan does not serve.
    search_params : dict of str to dict of str to value
        Search parameters that were not the defaults, by section and field.
    intact : bool
        Whether the file it was read from is as it was written.
    """

    instance: Instance
    node_ids: tuple[tuple[str, ...], ...]
    placement: Placement
    load: FloatArray
    routing: tuple[WorkflowRouting | None, ...]
    expected: dict[str, float]
    certificate: Certificate
    inputs: dict[str, str]
    mode: Mode = "online"
    max_utilization: float | None = None
    gap: float | None = None
    dropped: tuple[str, ...] = ()
    search_params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    intact: bool = True

    @property
    def headline(self) -> str:
        """How many replicas there are, and how good that is."""
        return (
            f"{counted(self.placement.n_replicas, 'replica')} on "
            f"{counted(self.cluster.n_gpus, 'GPU')}, locality "
            f"{self.certificate.objective:.5f}, {self._proven}"
        )

    @property
    def _proven(self) -> str:
        certificate = self.certificate
        if certificate.status == "optimal":
            return "proven optimal"
        if certificate.status == "heuristic":
            return "a heuristic: no bound sought"
        if certificate.gap >= 1:
            return f"proven only that the best is at most {certificate.best_bound:.5f}"
        return f"within {percent(certificate.gap, 2)} of the best, proven"

    def facts(self) -> Facts:
        """What `solve` prints of the plan: its worth, its proof, its loads."""
        certificate, expected, cluster = self.certificate, self.expected, self.cluster
        cap, slack = certificate.load_cap, certificate.headroom_slack
        least = certificate.bottleneck_upper
        borne = expected.get(SIMULATED_HEADROOM)
        by = "expected" if borne is None else f"by mean rates, {borne:.2f} simulated"
        bound = "proven" if certificate.best_bound < 1 or certificate.gap == 0 else "above any plan"
        above = abs(cap - (1 + slack) * least) <= 1e-9 * least
        facts = [
            ("locality", f"{certificate.objective:.5f}, {self._proven}"),
            ("best bound", f"{certificate.best_bound:.5f}, {bound}"),
            ("status", certificate.status),
            ("server efficiency", f"{percent(expected['server_efficiency'])} expected"),
            ("edges kept", f"{percent(expected['edge_locality'])} expected"),
            (
                "busiest GPU",
                f"{percent(expected['max_utilization'])} expected (cap {percent(cap)}"
                + (f", {percent(slack)} above the least attained)" if above else ")"),
            ),
            ("headroom", f"{expected['headroom']:.2f} x the trace's rate {by}"),
            (
                "replicas",
                f"{self.placement.n_replicas:,} on {counted(cluster.n_gpus, 'GPU')}, "
                f"{counted(cluster.n_servers, 'server')}",
            ),
        ]
        if LOAD_AFTER_LOSS in expected:
            after = percent(expected[LOAD_AFTER_LOSS])
            facts.append(("after the worst loss", f"{after} on the busiest GPU, routed anew"))
        if certificate.seconds is not None:
            facts.append(("solved in", f"{certificate.seconds:.1f} s by {certificate.method}"))
        parts = self.search_params.items()
        changed = [f"{s}.{f} {v}" for s, part in parts for f, v in part.items()]
        if changed:
            facts.append(("search", f"an experiment, not the defaults: {', '.join(changed)}"))
        return facts

    def replica_frame(self) -> pl.DataFrame:
        """Give one row for each replica.

        Returns
        -------
        polars.DataFrame
            ``replica``, ``model``, ``server``, ``first_gpu`` (its number in the cluster),
            ``gpus`` (length of the block) and ``load`` (expected busy fraction).
        """
        import polars as pl  # a fifth of a second that only tables need

        placement = self.placement
        models = pl.Series(list(self.model_ids), dtype=pl.String)
        return pl.DataFrame(
            {
                "replica": np.arange(placement.n_replicas),
                "model": models.gather(placement.model),
                "server": placement.server,
                "first_gpu": self.first_gpu,
                "gpus": self.instance.gpus_required[placement.model],
                "load": self.load,
            }
        )

    def routing_frame(self) -> pl.DataFrame:
        """Give one row for each server that serves a workflow whole, or a node of it apart.

        Returns
        -------
        polars.DataFrame
            ``workflow``, ``node`` (null where the request runs whole on the server), ``server``
            and ``share`` of the workflow's requests; the shares of a workflow's home and of one
            of its nodes add up to 1.
        """
        import polars as pl  # a fifth of a second that only tables need

        rows: list[tuple[str, str | None, int, float]] = []
        for name, nodes, routing in zip(
            self.workflow_ids, self.node_ids, self.routing, strict=True
        ):
            if routing is None:
                continue
            for node, shares in zip((None, *nodes), (routing.home, *routing.spill), strict=True):
                pairs = zip(shares.server.tolist(), shares.share.tolist(), strict=True)
                rows += [(name, node, s, p) for s, p in pairs]
        columns = {
            "workflow": pl.String,
            "node": pl.String,
            "server": pl.Int64,
            "share": pl.Float64,
        }
        return pl.DataFrame(rows, schema=columns, orient="row")

    @property
    def objective(self) -> Objective:
        """What counted as locality."""
        return self.instance.objective

    @property
    def cluster(self) -> Cluster:
        """Servers and network."""
        return self.instance.cluster

    @property
    def model_ids(self) -> tuple[str, ...]:
        """Models by index."""
        return self.instance.model_ids

    @property
    def workflow_ids(self) -> tuple[str, ...]:
        """Workflows by index."""
        return tuple(w.id for w in self.instance.workflows)

    @property
    def first_gpu(self) -> IntArray:
        """Number in the cluster of the first GPU of each replica, shape (R,)."""
        return self.cluster.first_gpu[self.placement.server] + self.placement.start

    def mismatches(self, workload: Workload, trace: Trace) -> list[str]:
        """Say why this plan cannot serve a trace: models that changed or have no replica.

        Workflows that the plan has dropped, and says so, are no mismatch.
        """
        placed = {self.model_ids[m]: int(m) for m in np.unique(self.placement.model)}
        workload = as_run(workload, trace)
        faults = []
        for name, i in placed.items():
            if name not in workload.model_index:
                faults.append(f"places model {name!r}, which the config does not have")
                continue
            model = workload.models[workload.model_index[name]]
            if model.gpus_required != self.instance.gpus_required[i]:
                faults.append(
                    f"has blocks of {self.instance.gpus_required[i]} GPUs for model {name!r}, "
                    f"which now needs {model.gpus_required}"
                )
            elif model.memory_per_gpu_gb > room_gb(self.instance.memory_per_gpu_gb[i]):
                faults.append(
                    f"has room for {self.instance.memory_per_gpu_gb[i]:g} GB a GPU of model "
                    f"{name!r}, which now takes {model.memory_per_gpu_gb:g}"
                )
        asked = np.bincount(trace.workflow, minlength=len(workload.workflows))
        for w in np.flatnonzero(asked):
            flow = workload.workflows[w]
            called = (workload.models[v.model] for v in flow.nodes)
            absent = {m.id for m in called if m.on_gpus} - placed.keys()
            if absent and flow.id not in self.dropped:
                faults.append(
                    f"holds no replica of {', '.join(sorted(absent))}, which {asked[w]:,} requests "
                    f"to workflow {flow.id!r} call"
                )
        return faults

    def solution(self) -> Solution:
        """Turn the shares back into routing rates."""
        columns: list[tuple[int, int, int, float]] = []
        for w, shares in enumerate(self.routing):
            if shares is None:
                continue
            rate = self.instance.workflows[w].rate
            for v, spill in enumerate(shares.spill):
                total: dict[int, float] = {}
                for part in (shares.home, spill):
                    for s, share in zip(part.server.tolist(), part.share.tolist(), strict=True):
                        total[s] = total.get(s, 0.0) + share * rate
                columns += [(w, v, s, a) for s, a in sorted(total.items())]
        workflow, node, server, rates = zip(*columns, strict=True) if columns else ((),) * 4
        flows = Flows(
            np.array(workflow, dtype=np.int64),
            np.array(node, dtype=np.int64),
            np.array(server, dtype=np.int64),
            np.array(rates, dtype=np.float64),
        )
        return Solution(self.placement, flows, self.load)
