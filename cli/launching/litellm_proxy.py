"""LiteLLM's proxy: every replica under the name of its model, by the share it carries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cli.launching.addresses import address
from cli.launching.served import ServedReplica
from placement.files.syntax.yaml_writer import block
from runtime.live.kinds import Kind

HEAD = """\
# litellm --config FILE
# The proxy spreads calls over a model's replicas by weight, in the proportions of the plan. It
# knows nothing of workflows, so it does not keep the calls of a request on one server: that takes
# gswarm-place execute, or a client that chooses the replica itself.
"""

MODES: dict[Kind, str] = {
    "chat": "chat",
    "completions": "completion",
    "embeddings": "embedding",
}
"""What the proxy's configuration can say of a model; of others it says nothing."""

MOST_WEIGHT = 1000


def litellm_config(served: Sequence[ServedReplica], hosts: Sequence[str]) -> str:
    """Write the proxy's configuration.

    Parameters
    ----------
    hosts : sequence of str
        Addresses of the servers.
    """
    most = max((s.slot.load for s in served), default=0.0)
    config = {
        "model_list": [_deployment(s, hosts[s.slot.server], most) for s in served],
        "router_settings": {"routing_strategy": "simple-shuffle", "num_retries": 2},
    }
    return HEAD + block(config)


def _deployment(s: ServedReplica, host: str, most: float) -> dict[str, Any]:
    info = {"id": s.name, **({"mode": MODES[s.kind]} if s.kind in MODES else {})}
    weight = round(MOST_WEIGHT * s.slot.load / most) if most else 1
    return {
        "model_name": s.slot.model,
        "litellm_params": {
            "model": f"hosted_vllm/{s.called}",
            "api_base": f"{address(host, s.port)}/v1",
            "weight": max(1, weight),
        },
        "model_info": info,
    }
