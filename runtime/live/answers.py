"""What stands behind a replica of this project's own: a model that infers, or one that makes up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from placement.problem.trace import Trace, prefill_times
from placement.problem.workload import Model, Workload
from runtime.live.inference import Engine
from runtime.live.kinds import KIND_OF_TYPE
from runtime.live.replies import Answer, Asked

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63"
    "fcffff3f030005fe02fea73581e40000000049454e44ae426082"
)
"""A PNG of one pixel."""

ECHOED = 200
"""Characters of a call's text that an emulated model says back."""

DIMENSIONS = 8
"""Of an emulated embedding."""


class ServiceTimes:
    """How long an emulated call takes: what the trace says of it, else what the config says.

    Raises
    ------
    ValueError
        With a sentence, where neither says it.
    """

    def __init__(self, workload: Workload, trace: Trace | None, models: Iterable[Model]) -> None:
        self._known = {} if trace is None else _times_of(workload, trace)
        self._of_model = {
            m.id: (m.service_time_s or 0.0, 0.0 if m.chunked_prefill else m.prefill_time_s)
            for m in workload.models
        }
        for model in models:
            if trace is None and model.service_time_s is None:
                raise ValueError(
                    f"nothing says how long model {model.id!r} takes; give its "
                    "inference_time_mean in the config, or a trace with --requests"
                )

    def of(self, model: str, asked: Asked) -> tuple[float, float]:
        """Seconds of one call at speed 1, and of its prefill among them."""
        known = self._known.get((asked.request_id, asked.node_id))
        return self._of_model[model] if known is None else known


def _times_of(workload: Workload, trace: Trace) -> dict[tuple[str, str], tuple[float, float]]:
    known = {}
    names = [[node.id for node in flow.nodes] for flow in workload.workflows]
    service, prefill = trace.service_s.tolist(), prefill_times(workload, trace).tolist()
    for r, (first, w) in enumerate(
        zip(trace.offset.tolist(), trace.workflow.tolist(), strict=False)
    ):
        for v, name in enumerate(names[w]):
            known[trace.request_ids[r], name] = service[first + v], prefill[first + v]
    return known


def how_called(model: Model, engine: Engine | None) -> dict[str, Any]:
    """Say how a model is called, as an endpoints file does; without an engine it is emulated."""
    if engine is None:
        return {"kind": KIND_OF_TYPE.get((model.type or "").lower(), "chat")}
    call: dict[str, Any] = {"kind": engine.kind}
    if engine.body:
        call["body"] = dict(engine.body)
    if engine.output is not None:
        call["output"] = engine.output
    return call


def inferring(engine: Engine, slots: int) -> Answer:
    """Infer in threads of the replica's own, as many as it takes calls at once."""
    threads = ThreadPoolExecutor(slots, "replica")

    async def answer(asked: Asked) -> Any:
        return await asyncio.get_running_loop().run_in_executor(threads, engine.answer, asked)

    return answer


def made_up(model: str, asked: Asked) -> Any:
    """Answer as a model would in form: text that says the call back, a vector, a picture."""
    text = asked.text[:ECHOED]
    match asked.kind:
        case "embeddings":
            weights = [0] * DIMENSIONS
            for i, byte in enumerate(text.encode()):
                weights[i % DIMENSIONS] += byte
            length = sum(w * w for w in weights) ** 0.5 or 1.0
            return [w / length for w in weights]
        case "images":
            return PIXEL
        case "json":
            return {"model": model, "output": text}
        case _:
            return f"[{model}] {text}"
