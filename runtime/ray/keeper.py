"""The actor that keeps a plan deployed: replicas where they belong, or where there is room.

It compares what should stand with what stands, mends the difference, and waits until a replica ends
or some time is over. Whatever it has made ends with it, so a deployment leaves nothing behind; and
where only its own process ends, Ray starts it anew and it makes everything anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from placement.problem.solution import Placement
from runtime.ray.blueprint import Blueprint
from runtime.ray.failures import own_words, why_ended
from runtime.ray.nodes import Node, assign, gpu_nodes, missing
from runtime.ray.replica import LEFT_ALONE, ReplicaActor, Serving, replica_name
from runtime.ray.reservations import accounted, clear_groups, reserve
from runtime.ray.seats import Seat, gpus_of, is_free, nowhere, place_anew, seats_of

if TYPE_CHECKING:
    from runtime.live.emulation import Emulator

KEEPER_LOOK_S = 1.0
"""How often the nodes are looked at where no replica ends: a new one may have come."""

PAUSES_S = (1.0, 60.0)
"""Pause before a replica that ended is started again, doubling from the first to the last."""


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
                self._fault[p] = why_ended(running.end)
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
                    self._fault[p] = own_words(error)

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
            self._held[server] = _Held(node, reserve(self._blueprint.name, server, node))

    def _homeless(self) -> set[int]:
        """Servers to which replicas that stand nowhere belong."""
        return {home.server for p, home in self._home.items() if p not in self._seat}

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
