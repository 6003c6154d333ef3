"""The actor that keeps a plan deployed: replicas where they belong, or where there is room.

It compares what should stand with what stands, mends the difference, and waits until a replica ends
or some time is over. Whatever it has made ends with it, so a deployment leaves nothing behind; and
where only its own process ends, Ray starts it anew and it makes everything anew.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from placement.problem.plan import Plan
from placement.problem.solution import Placement
from placement.problem.workload import Model, Workload
from placement.support.equality import ByContent
from runtime.ray.nodes import NODE_ID_LABEL, Node, assign, gpu_nodes, missing
from runtime.ray.replica import LEFT_ALONE, ReplicaActor, Serving
from runtime.ray.seats import Seat, gpus_of, is_free, nowhere, place_anew, seats_of

if TYPE_CHECKING:
    from runtime.live.answers import ServiceTimes
    from runtime.live.emulation import Emulator
    from runtime.live.inference import Device
    from runtime.ray.own_model import OwnModel

KEEPER_LOOK_S = 1.0
"""How often the nodes are looked at where no replica ends: a new one may have come."""

PAUSES_S = (1.0, 60.0)
"""Pause before a replica that ended is started again, doubling from the first to the last."""

FRACTION = 1e-4
"""Smallest part of a GPU that Ray accounts for."""


@dataclass(frozen=True, eq=False)
class Blueprint(ByContent):
    """All that a deployment is made of.

    Parameters
    ----------
    name : str
    plan : Plan
    workload : Workload
    times : ServiceTimes or None
        How long emulated calls take.
    device : {"cpu", "gpu"} or None
        What is to infer.
    own : mapping of str to OwnModel
        Classes of the user's, by model.
    time_scale : float
        Seconds that a second of the trace takes on emulated replicas.
    pinned : mapping of int to str
        Nodes of single servers.
    """

    name: str
    plan: Plan
    workload: Workload
    times: ServiceTimes | None
    device: Device | None = None
    own: Mapping[str, OwnModel] = field(default_factory=dict)
    time_scale: float = 1.0
    pinned: Mapping[int, str] = field(default_factory=dict)

    def model(self, seat: Seat) -> Model:
        """Model of a replica."""
        return self.workload.models[self.workload.model_index[self.plan.model_ids[seat.model]]]


def replica_name(deployment: str, replica: int) -> str:
    """Name of a replica's actor."""
    return f"{deployment}/replica/{replica}"


def group_name(deployment: str, server: int) -> str:
    """Name of a server's placement group."""
    return f"{deployment}/server/{server}"


def clear_groups(deployment: str) -> None:
    """Give back all that a deployment has reserved."""
    from ray.util import get_placement_group, remove_placement_group

    for group in groups_of(deployment):
        with suppress(ValueError):  # it was removed meanwhile
            remove_placement_group(get_placement_group(group["name"]))


def groups_of(deployment: str) -> list[dict[str, Any]]:
    """Give what Ray knows of each placement group of a deployment."""
    from ray.util import placement_group_table

    mine = group_name(deployment, 0).removesuffix("0")
    return [
        group
        for group in placement_group_table().values()
        if group["name"].startswith(mine) and group["state"] != "REMOVED"
    ]


@dataclass
class _Held:
    """A server's node, and the placement group that has all its GPUs."""

    node: Node
    group: Any


@dataclass
class _Running:
    """A replica's actor, and the two things that it may say: that it is ready, that it ended."""

    actor: Any
    ready: Any
    end: Any
    said: dict[str, Any] | None = None


class Keeper:
    """Keeps a deployment; to be made an actor.

    Parameters
    ----------
    blueprint : Blueprint
    nodes : mapping of int to Node
        Of the servers that hold replicas, to begin with.
    """

    def __init__(self, blueprint: Blueprint, nodes: Mapping[int, Node]) -> None:
        import ray

        self._blueprint = blueprint
        self._first = dict(nodes)
        self._home = {seat.replica: seat for seat in seats_of(blueprint.plan)}
        self._seat = dict(self._home)
        self._held: dict[int, _Held] = {}
        self._running: dict[int, _Running] = {}
        self._fault: dict[int, str] = {}
        self._pause: dict[int, tuple[float, float]] = {}
        self._times = ray.put(blueprint.times)
        self._emulator: tuple[Emulator, dict[int, int]] | None = None
        self._broken: str | None = None
        clear_groups(blueprint.name)  # of an earlier process of this keeper
        threading.Thread(target=self._keep, daemon=True).start()

    # -- what others ask ----------------------------------------------------------------------

    async def state(self) -> dict[str, Any]:
        """Say where every replica stands and how it is."""
        blueprint = self._blueprint
        return {
            "name": blueprint.name,
            "time_scale": blueprint.time_scale,
            "fault": self._broken,
            "replicas": [self._row(home) for home in self._home.values()],
        }

    def _row(self, home: Seat) -> dict[str, Any]:
        p = home.replica
        seat, running = self._seat.get(p), self._running.get(p)
        held = None if seat is None else self._held.get(seat.server)
        row: dict[str, Any] = {
            "replica": p,
            "model": self._blueprint.plan.model_ids[home.model],
            "state": "missing",
            "server": None,
            "gpus": None,
            "node": None,
            "moved": False,
            "reason": self._fault.get(p),
        }
        if seat is None:
            return row
        said = None if running is None else running.said
        return {
            **row,
            "state": "starting" if said is None else "serving",
            "server": seat.server,
            "gpus": list(gpus_of(self._blueprint.plan.instance, seat)),
            "node": None if held is None else held.node.shown,
            "moved": seat != home,
            **(said or {}),
        }

    async def take_time(self, replica: int, service_s: float, prefill_s: float) -> None:
        """Take the time of one call on the emulated GPUs.

        Parameters
        ----------
        replica : int
            Number in the plan.
        service_s, prefill_s : float
            Seconds at speed 1, alone, and the part of them that is prefill.
        """
        if self._emulator is None:
            self._emulator = self._emulated()
        emulator, number = self._emulator
        if replica in number:
            await emulator.serve(number[replica], service_s, prefill_s)

    def _emulated(self) -> tuple[Emulator, dict[int, int]]:
        """Emulate the replicas as they stand now, and number them as they are emulated."""
        from runtime.live.emulation import Emulator
        from runtime.live.local import idle_problem

        blueprint = self._blueprint
        index = blueprint.workload.model_index
        seats = list(self._seat.values())
        placement, order = Placement.in_order(
            [index[blueprint.plan.model_ids[seat.model]] for seat in seats],
            [seat.server for seat in seats],
            [seat.start for seat in seats],
        )
        problem = idle_problem(blueprint.workload, blueprint.plan.cluster, placement)
        number = {seats[i].replica: at for at, i in enumerate(order.tolist())}
        return Emulator(problem, time_scale=blueprint.time_scale), number

    # -- what keeps it so ---------------------------------------------------------------------

    def _keep(self) -> None:
        """Mend and wait, for as long as the actor lives."""
        import ray

        try:
            while True:
                self._mend()
                awaited = [r.end for r in self._running.values()]
                awaited += [r.ready for r in self._running.values() if r.said is None]
                if awaited:
                    ray.wait(awaited, timeout=KEEPER_LOOK_S)
                else:
                    threading.Event().wait(KEEPER_LOOK_S)
        except Exception as error:
            self._broken = f"{type(error).__name__}: {error}"
            raise

    def _mend(self) -> None:
        """Bring what stands to what should stand."""
        self._hear()
        alive = {node.id: node for node in gpu_nodes()}
        for server in [s for s, held in self._held.items() if held.node.id not in alive]:
            self._lose(server)
        self._take_nodes(list(alive.values()))
        self._find_seats()
        for seat in self._seat.values():
            if seat.server in self._held and self._may_start(seat.replica):
                try:
                    self._start(seat)
                except ValueError:  # the one before it still has the name; it will have gone
                    self._hold_back(seat.replica)

    def _hear(self) -> None:
        """Take note of replicas that are ready, and of those that ended."""
        import ray

        for p, running in list(self._running.items()):
            over, _ = ray.wait([running.end], timeout=0)
            if over:
                self._fault[p] = _reason(running.end)
                self._hold_back(p)
                del self._running[p]
                continue
            loaded, _ = ray.wait([running.ready], timeout=0) if running.said is None else ([], [])
            if loaded:
                try:
                    running.said = ray.get(running.ready)
                    self._fault.pop(p, None)
                    self._pause.pop(p, None)
                except Exception as error:
                    self._fault[p] = sentence(error)

    def _hold_back(self, replica: int) -> None:
        """Let a replica that ended rest, longer each time it does so before it is ready."""
        _, pause_s = self._pause.get(replica, (0.0, PAUSES_S[0]))
        self._pause[replica] = time.monotonic() + pause_s, min(2 * pause_s, PAUSES_S[1])

    def _may_start(self, replica: int) -> bool:
        return replica not in self._running and (
            time.monotonic() >= self._pause.get(replica, (0.0, 0.0))[0]
        )

    def _lose(self, server: int) -> None:
        """Forget a node that is gone, and all that stood on it."""
        import ray
        from ray.util import remove_placement_group

        held = self._held.pop(server)
        remove_placement_group(held.group)
        for p, seat in list(self._seat.items()):
            if seat.server == server:
                self._fault[p] = f"node {held.node.shown} was lost"
                self._pause.pop(p, None)
                if p in self._running:
                    ray.kill(self._running.pop(p).actor)  # it may not have begun yet

    def _take_nodes(self, nodes: list[Node]) -> None:
        """Give servers that have replicas and no node one that is free."""
        plan = self._blueprint.plan
        wanted = sorted({seat.server for seat in self._seat.values()} - set(self._held))
        wanted += sorted(self._homeless() - set(self._held) - set(wanted))
        if not wanted:
            return
        alive = {node.id for node in nodes}
        found = {s: self._first.pop(s) for s in wanted if s in self._first}
        found = {s: node for s, node in found.items() if node.id in alive}
        taken = {node.id for node in found.values()}
        taken |= {held.node.id for held in self._held.values()}
        rest = [s for s in wanted if s not in found]
        found |= assign(
            plan.cluster, rest, [n for n in nodes if n.id not in taken], self._blueprint.pinned
        )
        for server, node in found.items():
            self._held[server] = _Held(node, self._reserve(server, node))

    def _homeless(self) -> set[int]:
        """Servers to which replicas that stand nowhere belong."""
        return {home.server for p, home in self._home.items() if p not in self._seat}

    def _reserve(self, server: int, node: Node) -> Any:
        """Take all GPUs of a node, a bundle each: Ray, too, can then give none to others."""
        from ray.util import placement_group

        return placement_group(
            [{"GPU": 1}] * node.gpus,
            strategy="STRICT_PACK",
            name=group_name(self._blueprint.name, server),
            bundle_label_selector=[{NODE_ID_LABEL: node.id}] * node.gpus,
        )

    def _find_seats(self) -> None:
        """Seat those without a node: at home where the server is back, else where there is room."""
        plan = self._blueprint.plan
        before = dict(self._seat)
        for p, home in self._home.items():
            waits = p not in self._seat and home.server in self._held
            if waits and is_free(plan, self._seat.values(), home):
                self._seat[p] = home
        lost = [
            self._home[p]
            for p in self._home
            if p not in self._seat or self._seat[p].server not in self._held
        ]
        kept = [seat for seat in self._seat.values() if seat.server in self._held]
        anew = {seat.replica: seat for seat in place_anew(plan, kept, lost, self._held)}
        for home in lost:
            self._seat.pop(home.replica, None)
            if home.replica in anew:
                self._seat[home.replica] = anew[home.replica]
            else:
                nodes = missing(plan.cluster, [home.server], self._blueprint.pinned)
                self._fault[home.replica] = f"{nowhere(plan, home)}; {nodes}"
        if self._seat != before:
            self._emulator = None

    def _start(self, seat: Seat) -> None:
        """Start a replica's actor in the bundle of its first GPU."""
        import ray
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        blueprint = self._blueprint
        plan, model = blueprint.plan, blueprint.model(seat)
        serving = Serving(
            replica=seat.replica,
            model=model,
            gpus=tuple(gpus_of(plan.instance, seat)),
            device=blueprint.device,
            own=blueprint.own.get(model.id),
            keeper=blueprint.name,
        )
        actor = (
            ray.remote(ReplicaActor)
            .options(
                name=replica_name(blueprint.name, seat.replica),
                num_cpus=0,
                num_gpus=accounted(plan, seat),
                max_concurrency=1000,
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    self._held[seat.server].group, seat.start
                ),
                runtime_env={"env_vars": {LEFT_ALONE: "1"}},
            )
            .remote(serving, self._times)
        )
        self._running[seat.replica] = _Running(actor, actor.ready.remote(), actor.stand.remote())


def accounted(plan: Plan, seat: Seat) -> float:
    """Part of a GPU that Ray accounts a replica for: its memory on its first GPU.

    By memory they add up to at most one on every GPU, whatever the plan puts there, and a replica
    that has to move fits wherever its memory does.
    """
    instance = plan.instance
    kind = plan.cluster.server_types[plan.cluster.server_type[seat.server]]
    part = float(instance.memory_per_gpu_gb[seat.model]) / kind.gpu_memory_gb
    return min(1.0, int(part / FRACTION) * FRACTION)


def _reason(reference: Any) -> str:
    """Say why an actor ended."""
    import ray

    try:
        ray.get(reference)
    except Exception as error:
        return sentence(error)
    return "it ended"


def sentence(error: Exception) -> str:
    """Give an error's own words, without those of Ray around it."""
    cause = getattr(error, "cause", None)
    text = str(cause if isinstance(cause, Exception) else error)
    raised = re.findall(r"(?m)^(?:ValueError|\w*Error): (.+)$", text)
    return " ".join((raised[-1] if raised else text.splitlines()[0]).split())
