"""A plan as one JSON object, server by server, for deployment tools."""

from __future__ import annotations

from itertools import groupby

import orjson

from cli.formats.slots import Slot, list_slots
from placement.problem.plan import Plan, Shares


def deployment_document(plan: Plan) -> str:
    """Write servers with their replicas, and the routing shares of every workflow."""
    document = {
        "servers": [
            {
                "server": server,
                "type": slots[0].server_type,
                "replicas": [_replica(s) for s in slots],
            }
            for server, slots in _by_server(list_slots(plan))
        ],
        "routing": {
            name: {
                "home": _shares(routing.home),
                "spill": {
                    node: _shares(shares) for node, shares in zip(nodes, routing.spill, strict=True)
                },
            }
            for name, nodes, routing in zip(
                plan.workflow_ids, plan.node_ids, plan.routing, strict=True
            )
            if routing is not None
        },
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def _by_server(slots: list[Slot]) -> list[tuple[int, list[Slot]]]:
    return [(server, list(found)) for server, found in groupby(slots, lambda s: s.server)]


def _replica(slot: Slot) -> dict[str, object]:
    return {
        "replica": slot.replica,
        "model": slot.model,
        "local_gpus": slot.local_gpus,
        "gpus": slot.gpus,
        "memory_per_gpu_gb": slot.memory_per_gpu_gb,
        "load": slot.load,
    }


def _shares(shares: Shares) -> dict[str, float]:
    return {str(s): x for s, x in zip(shares.server.tolist(), shares.share.tolist(), strict=True)}
