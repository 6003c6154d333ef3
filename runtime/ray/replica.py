"""One replica as an actor of Ray: it sees its GPUs, loads its model, and answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from placement.problem.workload import Model
    from runtime.live.answers import ServiceTimes
    from runtime.live.inference import Device, Engine
    from runtime.live.kinds import Kind
    from runtime.ray.own_model import OwnModel

VISIBLE = "CUDA_VISIBLE_DEVICES"
LEFT_ALONE = "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"
"""Set, Ray leaves `VISIBLE` as the node has it: the plan says which GPUs are a replica's."""


@dataclass(frozen=True)
class Serving:
    """What a replica is to serve.

    Parameters
    ----------
    replica : int
    model : Model
    gpus : tuple of int
        Its GPUs, by their numbers within the server.
    device : {"cpu", "gpu"} or None
        What is to infer; None, or nothing of the model's type: emulated.
    own : OwnModel or None
        A class of the user's, in place of all others.
    keeper : str
        Name of the actor that keeps the emulated GPUs.
    """

    replica: int
    model: Model
    gpus: tuple[int, ...]
    device: Device | None
    own: OwnModel | None
    keeper: str


def replica_name(deployment: str, replica: int) -> str:
    """Name of a replica's actor."""
    return f"{deployment}/replica/{replica}"


def visible_devices(gpus: Sequence[int], on_node: str | None) -> str:
    """Name a replica's GPUs as the driver is told them.

    Parameters
    ----------
    gpus : sequence of int
        Numbers within the server.
    on_node : str or None
        What the node itself was started with, where it may use only some of its GPUs.

    Raises
    ------
    ValueError
        Where the node has fewer.
    """
    if on_node is None:
        return ",".join(map(str, gpus))
    names = [name.strip() for name in on_node.split(",") if name.strip()]
    if max(gpus) >= len(names):
        raise ValueError(
            f"the node was started with {VISIBLE}={on_node}, and the plan uses GPU {max(gpus)}"
        )
    return ",".join(names[gpu] for gpu in gpus)


class ReplicaActor:
    """Answers the calls of one replica; to be made by the keeper.

    Parameters
    ----------
    serving : Serving
    times : ServiceTimes or None
        How long emulated calls take; None where nothing is emulated.
    """

    def __init__(self, serving: Serving, times: ServiceTimes | None) -> None:
        # Before anything of the model is imported: CUDA looks at it once, when it begins.
        os.environ[VISIBLE] = visible_devices(serving.gpus, os.environ.get(VISIBLE))
        from runtime.live.answers import how_called, inferring
        from runtime.live.inference import load_engine
        from runtime.live.replies import Replier

        self._serving = serving
        self._times = times
        model = serving.model
        engine: Engine | None = None
        if serving.own is not None:
            engine = serving.own.make(model)
        elif serving.device is not None:
            engine = load_engine(model, serving.device, 0)
        self._call = how_called(model, engine)
        answer = self._emulate if engine is None else inferring(engine, model.max_concurrency)
        self._replier = Replier(model.id, answer)

    async def ready(self) -> dict[str, Any]:
        """Say how the replica is called and what it sees, once it is loaded."""
        return {"call": self._call, "visible": os.environ[VISIBLE], "pid": os.getpid()}

    async def answer(
        self, kind: Kind, body: Any, request_id: str, node_id: str, mark: str
    ) -> tuple[bool, bytes]:
        """Answer a call: whether the model took it, and the answer, or what was wrong with it.

        Parameters
        ----------
        kind : Kind
            Interface by which it is called.
        body : any
            What a call over HTTP would send.
        request_id, node_id : str
            Whose call it is.
        mark : str
            By which a call that comes again is known.
        """
        from runtime.live.replies import Asked

        try:
            return True, await self._replier.reply(mark, Asked(kind, body, request_id, node_id))
        except ValueError as error:
            return False, str(error).encode()

    async def stand(self) -> None:
        """Stay until the actor ends, for whoever wants to be told of its end."""
        await asyncio.Event().wait()

    async def _emulate(self, asked: Any) -> Any:
        """Take a call's time on the emulated GPUs, which are shared with other replicas."""
        import ray

        from runtime.live.answers import made_up

        model = self._serving.model.id
        assert self._times is not None
        keeper = ray.get_actor(self._serving.keeper)
        await keeper.take_time.remote(self._serving.replica, *self._times.of(model, asked))
        return made_up(model, asked)
