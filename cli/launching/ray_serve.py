"""Ray Serve: one application that serves every model that vLLM can, as often as the plan does."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from cli.launching.gpu_memory import TAKEN
from cli.launching.served import ServedReplica
from placement.files.syntax.yaml_writer import block
from placement.files.unread_fields import InputWarning

HEAD = """\
# serve deploy FILE        (needs ray[serve,llm] and vllm on the nodes)
# Ray decides which node and which GPUs each replica gets, and which replica serves a call: this
# file fixes how many there are and what each takes, not where it is. What the plan gains by
# keeping a request on one server needs replicas pinned to nodes, which Ray Serve does not offer.
"""


def ray_serve_config(served: Sequence[ServedReplica], listen: str, port: int) -> str:
    """Write the configuration that ``serve deploy`` takes.

    Models with a command of their own are left out, with a warning that names them.

    Parameters
    ----------
    served : sequence of ServedReplica
    listen : str
    port : int
        Where Ray's proxy listens.

    Raises
    ------
    ValueError
        Where nothing is left.
    """
    of_model: dict[str, list[ServedReplica]] = {}
    for s in served:
        of_model.setdefault(s.slot.model, []).append(s)
    own = [name for name, replicas in of_model.items() if replicas[0].engine is None]
    if len(own) == len(of_model):
        raise ValueError("every model has a command of its own, and Ray Serve runs vLLM alone")
    with_words = [n for n in of_model if n not in own and of_model[n][0].args]
    if with_words:
        text = f"serve.args of {', '.join(map(repr, with_words))}: add them to engine_kwargs"
        warnings.warn(InputWarning(text), stacklevel=1)
    loading = [n for n in of_model if any(s.adapters for s in of_model[n])]
    if loading:
        text = (
            f"adapters of {', '.join(map(repr, loading))} are left out: Ray Serve loads them from "
            "a bucket, by lora_config"
        )
        warnings.warn(InputWarning(text), stacklevel=1)
    if own:
        text = f"left out, as Ray Serve runs vLLM alone: {', '.join(map(repr, own))}"
        warnings.warn(InputWarning(text), stacklevel=1)
    application = {
        "name": "gswarm-place",
        "route_prefix": "/",
        "import_path": "ray.serve.llm:build_openai_app",
        "args": {"llm_configs": [_model(of_model[name]) for name in of_model if name not in own]},
    }
    return HEAD + block(
        {
            "proxy_location": "EveryNode",
            "http_options": {"host": listen, "port": port},
            "applications": [application],
        }
    )


def _model(replicas: Sequence[ServedReplica]) -> dict[str, Any]:
    first = replicas[0]
    # As replicas are alike in Ray, each takes what the one with the least has in the plan.
    part = min(s.memory.of_gpu for s in replicas)
    engine: dict[str, Any] = {
        "tensor_parallel_size": len(first.slot.gpus),
        "gpu_memory_utilization": part,
    }
    deployment: dict[str, Any] = {"num_replicas": len(replicas)}
    if first.sequences is not None:
        engine["max_num_seqs"] = first.sequences
    if first.kind == "embeddings":
        engine["runner"] = "pooling"
    shared = part < TAKEN
    gpu: float = part / TAKEN if shared else 1
    bundle = {"CPU": 1, "GPU": int(gpu * 1000) / 1000 if shared else 1}
    return {
        "model_loading_config": {"model_id": first.slot.model, "model_source": first.source},
        "deployment_config": deployment,
        "placement_group_config": {
            "bundles": [bundle] * len(first.slot.gpus),
            "strategy": "STRICT_PACK",
        },
        "engine_kwargs": engine,
    }
