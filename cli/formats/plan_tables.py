"""A plan as tables in CSV: its replicas, and its routing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from cli.formats.slots import list_slots
from placement.problem.plan import Plan

REPLICA_COLUMNS = (
    "replica", "model", "server", "server_type", "local_gpus", "gpus", "memory_per_gpu_gb", "load",
)  # fmt: skip
ROUTING_COLUMNS = ("workflow", "node", "part", "server", "share")


def replica_table(plan: Plan) -> str:
    """Write one line a replica; GPU lists are separated by spaces."""
    return _csv(
        REPLICA_COLUMNS,
        (
            (
                s.replica, s.model, s.server, s.server_type, _list(s.local_gpus), _list(s.gpus),
                f"{s.memory_per_gpu_gb:.6g}", f"{s.load:.6f}",
            )
            for s in list_slots(plan)
        ),
    )  # fmt: skip


def routing_table(plan: Plan) -> str:
    """Write the shares of the servers: ``home`` for whole requests, ``spill`` node by node.

    The shares of a workflow's home and of one of its nodes' spill add up to 1.
    """
    rows: list[tuple[object, ...]] = []
    for name, nodes, routing in zip(plan.workflow_ids, plan.node_ids, plan.routing, strict=True):
        if routing is None:
            continue
        parts = [("", "home", routing.home)]
        parts += [(n, "spill", spill) for n, spill in zip(nodes, routing.spill, strict=True)]
        for node, part, shares in parts:
            for server, share in zip(shares.server.tolist(), shares.share.tolist(), strict=True):
                rows.append((name, node, part, server, repr(share)))
    return _csv(ROUTING_COLUMNS, rows)


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def _list(numbers: Iterable[int]) -> str:
    return " ".join(str(n) for n in numbers)
