"""Carries the calls of a live run to the actors of a deployment, in place of HTTP."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

import orjson

from runtime.arrays import Problem
from runtime.live.calls import Call
from runtime.live.endpoints import Endpoint, Endpoints
from runtime.live.kinds import SHAPES, Kind
from runtime.live.templates import TemplateError, look_up
from runtime.live.transport import SHOWN, CallError
from runtime.ray.connection import NAMESPACE
from runtime.ray.deploy import State
from runtime.ray.replica import replica_name


def endpoints_of(state: State, problem: Problem, timeout_s: float) -> Endpoints:
    """Say how each replica of a deployment is called.

    Parameters
    ----------
    timeout_s : float
        Longest a call may take.

    Raises
    ------
    ValueError
        Where the deployment is of another plan.
    """
    models = [problem.workload.models[m].id for m in problem.placement.model]
    if [r["model"] for r in state.replicas] != models:
        raise ValueError(
            f"deployment {state.name!r} is of another plan; deploy this one under another --name"
        )
    call_of = {r["model"]: r["call"] for r in state.replicas if "call" in r}
    return Endpoints(
        of_replica=tuple(
            _endpoint(p, model, call_of.get(model, {"kind": "chat"}), timeout_s)
            for p, model in enumerate(models)
        ),
        of_node={},
        time_scale=state.time_scale,
    )


def _endpoint(replica: int, model: str, call: dict[str, Any], timeout_s: float) -> Endpoint:
    kind: Kind = call["kind"]
    shape = SHAPES[kind]
    body = call.get("body")
    return Endpoint(
        replica=replica,
        url="",
        kind=kind,
        model_name=model,
        body={**(shape.body if kind != "json" or body is None else {}), **(body or {})},
        output=call.get("output", shape.output),
        key=None,
        timeout_s=timeout_s,
    )


class ActorTransport:
    """Carries calls to the actors of a deployment, wherever they stand at the moment.

    Parameters
    ----------
    deployment : str
        Name of the deployment.
    """

    def __init__(self, deployment: str) -> None:
        self._deployment = deployment
        self._actors: dict[int, Any] = {}

    async def send(self, call: Call) -> Any:
        """Send a call and give its output.

        Raises
        ------
        CallError
            Where the replica is not there, takes too long, refuses, or gives no such output.
        """
        taken, raw = await self._ask(call)
        if not taken:
            said = " ".join(raw.decode("utf-8", "replace").split())[:SHOWN]
            raise CallError(f"the replica refused the call: {said}", retryable=False)
        try:
            return look_up(call.output, orjson.loads(raw))
        except TemplateError as error:
            raise CallError(f"the answer: {error}", retryable=False) from None

    async def _ask(self, call: Call) -> tuple[bool, bytes]:
        from ray.exceptions import RayActorError, RayError

        endpoint, headers = call.endpoint, call.headers
        replica = endpoint.replica
        try:
            reply = self._actor(replica).answer.remote(
                endpoint.kind,
                call.body,
                unquote(headers["X-Request-Id"]),
                unquote(headers["X-Node-Id"]),
                headers["Idempotency-Key"],
            )
            async with asyncio.timeout(endpoint.timeout_s):
                found: tuple[bool, bytes] = await reply
        except TimeoutError:
            raise CallError(f"no answer in {endpoint.timeout_s:g} s", retryable=True) from None
        except RayActorError:
            self._actors.pop(replica, None)  # it may stand elsewhere by now
            raise CallError("the replica's actor is gone", retryable=True) from None
        except RayError as error:
            said = str(getattr(error, "cause", None) or error).splitlines()[0]
            raise CallError(f"the replica failed: {said[:SHOWN]}", retryable=True) from None
        return found

    def _actor(self, replica: int) -> Any:
        import ray

        if replica not in self._actors:
            name = replica_name(self._deployment, replica)
            try:
                self._actors[replica] = ray.get_actor(name, namespace=NAMESPACE)
            except ValueError:
                raise CallError("the replica is not deployed now", retryable=True) from None
        return self._actors[replica]
