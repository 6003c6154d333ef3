"""A plan file of the right shape turned back into a plan, its contradictions collected."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import fields
from typing import Any

import numpy as np

from placement.files.cluster_file import MAX_GPUS, gpu_sharing
from placement.files.domains import as_domains
from placement.files.plan_schema import PlanDocument, PlanServerType, PlanWorkflow
from placement.files.stated_rules import model_rules
from placement.files.syntax.document import PlacedFault
from placement.problem.cluster import Cluster, IntArray, Network, ServerType, memories, speeds
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.outcome import Certificate
from placement.problem.placement_rules import PlacementRules
from placement.problem.plan import Plan, Shares, WorkflowRouting
from placement.problem.plan_building import METRICS
from placement.problem.solution import Placement
from placement.problem.violations import gpu_violations
from placement.support.described import counted
from placement.support.faults import suggest

_NUMBER = (int, float)
_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("objective", "best_bound", "gap", "load_cap"), _NUMBER),
    **dict.fromkeys(("bottleneck_lower", "bottleneck_upper", "headroom_slack"), _NUMBER),
    "seed": (int,),
    "deterministic": (bool,),
    "duals": (dict, type(None)),
    "versions": (dict,),
    **dict.fromkeys(("status", "method", "form", "solver", "proof"), (str,)),
}


class PlanFaults(Exception):  # noqa: N818 - carries faults, is not one
    """What does not add up in a plan, by its place in the document."""

    def __init__(self, faults: list[PlacedFault]) -> None:
        self.faults = faults


class PlanReader:
    """Turns names back into indices, collecting what does not add up."""

    def __init__(self, entry: PlanDocument) -> None:
        self.entry = entry
        self.faults: list[PlacedFault] = []
        self.models = {m.id: i for i, m in enumerate(entry.models)}
        self._refuse_repeats(
            ("cluster", "server_types"), [t.name for t in entry.cluster.server_types]
        )
        self._refuse_repeats(("models",), [m.id for m in entry.models])
        self._refuse_repeats(("workflows",), [w.id for w in entry.workflows])
        for i, flow in enumerate(entry.workflows):
            self._refuse_repeats(("workflows", i, "nodes"), [n.id for n in flow.nodes])
        if absent := [name for name in METRICS if name not in entry.expected]:
            self._fault(("expected",), f"lacks {', '.join(absent)}")
        flows = {w.id: {n.id for n in w.nodes} for w in entry.workflows}
        for name, routing in entry.routing.items():
            if name not in flows:
                self._fault(("routing", name), "is no workflow of the plan")
            elif routing.spill.keys() - flows[name]:
                self._fault(("routing", name, "spill"), "names nodes that the workflow lacks")
        for i, name in enumerate(entry.dropped):
            if name not in flows or name in entry.routing:
                self._fault(("dropped", i), f"{name!r} is no workflow, or is served after all")

    def plan(self) -> Plan:
        """Build the plan.

        Raises
        ------
        PlanFaults
            With everything that does not add up.
        """
        entry = self.entry
        part = entry.cluster
        gpus = sum(t.count * t.gpus for t in part.server_types)
        if gpus > MAX_GPUS:
            # Nothing is built for these: there are arrays of all servers and of all GPUs.
            self._fault(("cluster", "server_types"), f"add up to {gpus:,} GPUs, of {MAX_GPUS:,}")
            raise PlanFaults(self.faults)
        network = {
            name: math.inf if value is None else value
            for name, value in part.network.model_dump().items()
        }
        cluster = Cluster(
            tuple(self._server_type(i, t) for i, t in enumerate(part.server_types)),
            Network(**network),
            gpu_sharing(part.gpu_sharing, part.sharing_efficiency),
        )
        workflows = tuple(self._workflow(i, w) for i, w in enumerate(entry.workflows))
        rules = entry.rules
        fractions = tuple(m.gpu_fraction for m in entry.models)
        instance = Instance(
            model_ids=tuple(m.id for m in entry.models),
            gpus_required=np.array([m.gpus_required for m in entry.models], dtype=np.int64),
            memory_per_gpu_gb=np.array([m.memory_per_gpu_gb for m in entry.models]),
            workflows=workflows,
            cluster=cluster,
            load_cap=rules.load_cap,
            alpha=rules.alpha,
            exclusive=rules.exclusive,
            max_models_per_gpu=rules.max_models_per_gpu,
            objective=rules.objective,
            gpu_fraction=fractions if min(fractions, default=1.0) < 1 else (),
            placement_rules=self._placement_rules(),
            base_of=self._bases(),
        )
        placement, order = self._placement(instance)
        if not self.faults:
            for fault in gpu_violations(instance, placement):
                self._fault(("replicas",), fault)
        routing = tuple(self._routing(w, instance) for w in entry.workflows)
        certificate = self._certificate()
        if self.faults or certificate is None:
            raise PlanFaults(self.faults)
        return Plan(
            instance=instance,
            node_ids=tuple(tuple(n.id for n in w.nodes) for w in entry.workflows),
            placement=placement,
            load=np.array([r.load for r in entry.replicas], dtype=np.float64)[order],
            routing=routing,
            expected={k: math.inf if v is None else v for k, v in entry.expected.items()},
            certificate=certificate,
            inputs=dict(entry.inputs),
            mode=rules.mode,
            max_utilization=rules.max_utilization,
            gap=rules.gap,
            dropped=tuple(entry.dropped),
            search_params=entry.search_params,
        )

    def _bases(self) -> tuple[int, ...]:
        """Base of each model, -1 for none; empty where there is none."""
        found = tuple(
            -1 if m.base is None else self._model(("models", i, "base"), m.base)
            for i, m in enumerate(self.entry.models)
        )
        return found if max(found, default=-1) >= 0 else ()

    def _placement_rules(self) -> PlacementRules:
        stated = {}
        for name, entry in self.entry.rules.models.items():
            self._model(("rules", "models", name), name)
            stated[name] = model_rules(entry)
        rules = self.entry.rules
        return PlacementRules(models=stated, spares=rules.spares, pack=rules.pack)

    def _server_type(self, i: int, entry: PlanServerType) -> ServerType:
        place = ("cluster", "server_types", i)
        numbers = [
            *entry.excluded_gpus,
            *(g for gpus in (*entry.closed_gpus.values(), *entry.pinned.values()) for g in gpus),
            *(g for group in entry.domains for g in group),
        ]
        largest, each = memories(entry.gpu_memory_gb)
        if each and len(each) != entry.gpus:
            self._fault(place, f"states the memory of {len(each)} GPUs, and has {entry.gpus}")
            each = ()
        stated = {name: speeds(v) for name, v in sorted(entry.model_speeds.items())}
        speed, gpu_speeds = memories(entry.speed)
        for one in (entry.speed, *entry.model_speeds.values()):
            if isinstance(one, list) and len(one) != entry.gpus:
                self._fault(place, f"states the speed of {len(one)} GPUs, and has {entry.gpus}")
                stated, gpu_speeds = {}, ()
        if any(g not in range(entry.gpus) for g in numbers) or [] in entry.domains:
            self._fault(place, f"names GPUs that a server of {entry.gpus} lacks, or none")
            return ServerType(entry.name, entry.count, entry.gpus, largest, speed)
        for name in (*entry.closed_gpus, *entry.pinned, *entry.model_speeds):
            self._model(place, name)
        return ServerType(
            name=entry.name,
            count=entry.count,
            gpus=entry.gpus,
            gpu_memory_gb=largest,
            gpu_memories_gb=each,
            speed=speed,
            gpu_speeds=gpu_speeds,
            excluded_gpus=tuple(sorted(set(entry.excluded_gpus))),
            closed_gpus=tuple(
                (name, tuple(sorted(set(gpus))))
                for name, gpus in sorted(entry.closed_gpus.items())
                if gpus
            ),
            pinned=tuple(sorted((name, g) for name, gpus in entry.pinned.items() for g in gpus)),
            domains=as_domains(entry.domains),
            model_speeds=tuple(stated.items()),
            family=entry.family or "",
        )

    def _fault(self, place: tuple[str | int, ...], wrong: str, mend: str = "") -> None:
        self.faults.append(PlacedFault(place, wrong, mend or "solve again"))

    def _refuse_repeats(self, place: tuple[str | int, ...], names: list[str]) -> None:
        for name in sorted(n for n, times in Counter(names).items() if times > 1):
            self._fault(place, f"{name!r} appears twice")

    def _model(self, place: tuple[str | int, ...], name: str) -> int:
        if name not in self.models:
            self._fault(
                place, f"names the unknown model {name!r}", suggest(name, self.models, "model")
            )
            return 0
        return self.models[name]

    def _workflow(self, i: int, entry: PlanWorkflow) -> WorkflowDemand:
        place = {n.id: v for v, n in enumerate(entry.nodes)}
        links = []
        for pair in entry.links:
            fits = isinstance(pair, list) and len(pair) == 2 and all(type(p) is str for p in pair)
            if not fits or any(p not in place for p in pair):
                self._fault(("workflows", i, "links"), f"{pair!r} is no pair of its nodes")
            else:
                links.append((place[pair[0]], place[pair[1]]))
        seconds = entry.link_seconds
        if seconds is not None and len(seconds) != len(entry.links):
            self._fault(("workflows", i, "link_seconds"), "are not as many as the links")
            seconds = None
        return WorkflowDemand(
            id=entry.id,
            rate=entry.rate,
            node_model=np.array(
                [
                    self._model(("workflows", i, "nodes", v, "model"), n.model)
                    for v, n in enumerate(entry.nodes)
                ],
                dtype=np.int64,
            ),
            work_s=np.array([n.work_s for n in entry.nodes], dtype=np.float64),
            links=np.array(links, dtype=np.int64).reshape(-1, 2),
            weights=None if seconds is None else np.array(seconds, dtype=np.float64),
        )

    def _placement(self, instance: Instance) -> tuple[Placement, IntArray]:
        """Replicas in canonical order, whatever that of the file, and where each stood there."""
        cluster = instance.cluster
        model, server, start = [], [], []
        at: dict[tuple[int, int], int] = {}
        self._refuse_repeats(("replicas",), [f"id {r.id}" for r in self.entry.replicas])
        for i, replica in enumerate(self.entry.replicas):
            place = ("replicas", i)
            m = self._model((*place, "model"), replica.model)
            length = int(instance.gpus_required[m])
            if not 0 <= replica.server < cluster.n_servers:
                wrong = (
                    f"is {replica.server}; the cluster has {counted(cluster.n_servers, 'server')}"
                )
                self._fault((*place, "server"), wrong)
                continue
            first = int(cluster.first_gpu[replica.server])
            own = range(first, first + int(cluster.server_gpus[replica.server]))
            if replica.gpus != list(range(replica.gpus[0], replica.gpus[0] + length)):
                wrong = f"{replica.gpus} is no block of {length} consecutive GPUs"
                self._fault((*place, "gpus"), wrong)
                continue
            if replica.gpus[0] not in own or replica.gpus[-1] not in own:
                wrong = (
                    f"{replica.gpus} leaves server {replica.server}, "
                    f"which has GPUs {own.start} to {own.stop - 1}"
                )
                self._fault((*place, "gpus"), wrong)
                continue
            other = at.setdefault((m, replica.gpus[0]), i)
            if other != i:
                self._fault(
                    place,
                    f"stands on the same GPUs as replica {self.entry.replicas[other].id} of the "
                    "same model",
                    "remove one of them and solve again",
                )
            model.append(m)
            server.append(replica.server)
            start.append(replica.gpus[0] - first)
        return Placement.in_order(model, server, start)

    def _routing(self, workflow: PlanWorkflow, instance: Instance) -> WorkflowRouting | None:
        entry = self.entry.routing.get(workflow.id)
        if entry is None:
            return None
        place = ("routing", workflow.id)
        servers = instance.cluster.n_servers
        spill = []
        for node in workflow.nodes:
            if node.id not in entry.spill:
                self._fault((*place, "spill"), f"has no entry for node {node.id!r}")
            pairs = entry.spill.get(node.id, [])
            spill.append(self._shares((*place, "spill", node.id), pairs, servers))
        return WorkflowRouting(self._shares((*place, "home"), entry.home, servers), tuple(spill))

    def _shares(self, place: tuple[str | int, ...], pairs: list[Any], servers: int) -> Shares:
        good = []
        for pair in pairs:
            fits = (
                isinstance(pair, list)
                and len(pair) == 2
                and type(pair[0]) is int
                and type(pair[1]) in (int, float)
                and 0 <= pair[0] < servers
                and 0 <= pair[1] <= 1 + 1e-6
            )
            if fits:
                good.append(pair)
            else:
                self._fault(place, f"{pair!r} is no pair of a server and a share from 0 to 1")
        return Shares(
            np.array([s for s, _ in good], dtype=np.int64),
            np.array([p for _, p in good], dtype=np.float64),
        )

    def _certificate(self) -> Certificate | None:
        data = dict(self.entry.certificate)
        if data.get("gap", 0) is None:
            data["gap"] = math.inf
        known = {f.name for f in fields(Certificate)} - {"seconds"}
        needed = known - {"deterministic", "duals", "headroom_slack", "versions"}
        missing = sorted(needed - set(data))
        wrong = [n for n, types in _TYPES.items() if n in data and type(data[n]) not in types]
        if missing or wrong:
            self._fault(
                ("certificate",),
                f"has no {', '.join(missing)}" if missing else f"{wrong[0]} is of a wrong type",
            )
            return None
        return Certificate(**{k: v for k, v in data.items() if k in known})
