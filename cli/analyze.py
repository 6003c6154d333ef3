"""`gswarm-place analyze`: what a trace asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from cli.asked import GivenCluster, InputFiles, Shown, takes
from cli.file_arguments import load_inputs
from cli.json_output import echo_json
from cli.missing import Complete
from cli.options import cluster_options, input_options, output_options
from cli.waiting import waiting

if TYPE_CHECKING:
    from placement.analysis import Analysis

DEFAULT_SERVERS = 1
MOST_PAIRS = 15


@dataclass(frozen=True, kw_only=True)
class Asked(InputFiles, GivenCluster, Shown):
    """What `gswarm-place analyze` was asked for."""


@click.command(cls=Complete)
@input_options
@cluster_options
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Show what a trace asks for: usage, pairs, offered load, what one server can hold.

    The offered load of a model in GPU-erlangs is the number of GPUs it would keep busy all the
    time. Without --gpus and --cluster, one server of --gpus-per-server GPUs is looked at.

    \b
    Example:
      gswarm-place analyze --config configs/multimodal.yaml \\
          --requests configs/multimodal_requests.jsonl --gpus-per-server 8
    """
    from placement.analysis import analyze

    if asked.gpus is None and asked.cluster_file is None:
        asked = replace(asked, gpus=asked.gpus_per_server * DEFAULT_SERVERS)
    cluster = asked.cluster()
    workload, trace = load_inputs(asked.config, asked.requests)
    with waiting("counting pairs and loads"):
        analysis = analyze(workload, trace, cluster)
    if asked.as_json:
        echo_json(_as_json(analysis))
    elif not asked.quiet:
        _show(analysis)


def _as_json(a: Analysis) -> dict[str, Any]:
    ids = [m.id for m in a.workload.models]
    return {
        "requests": int(a.demand.requests.sum()),
        "span_s": a.demand.span_s,
        "models": [
            {
                "id": name,
                "executions": int(a.executions[m]),
                "requests": int(a.requests_with[m]),
                "gpus_required": a.workload.models[m].gpus_required,
                "offered_load_gpu_erlangs": float(a.offered_load[m]),
            }
            for m, name in enumerate(ids)
        ],
        "workflows": [
            {
                "id": flow.id,
                "requests": int(a.demand.requests[w]),
                "rate": float(a.demand.rate[w]),
                "service_s": {
                    v.id: float(t) for v, t in zip(flow.nodes, a.demand.service_s[w], strict=True)
                },
                "one_server": [
                    {
                        "server_type": h.server_type,
                        "gpus": h.gpus,
                        "memory_gb": h.memory_gb,
                        "holds_exclusive": h.exclusive,
                        "holds_shared": h.shared,
                        "servers_for_load": h.servers_for_load,
                    }
                    for h in a.holdings
                    if h.workflow == w
                ],
            }
            for w, flow in enumerate(a.workload.workflows)
        ],
        "cooccurrence": _pairs(a.cooccurrence, ids, symmetric=True),
        "edges": _pairs(a.edges, ids, symmetric=False),
    }


def _pairs(matrix: Any, ids: list[str], *, symmetric: bool) -> list[dict[str, Any]]:
    found = [
        {"models": [ids[i], ids[j]], "count": int(matrix[i, j])}
        for i in range(len(ids))
        for j in range(i if symmetric else 0, len(ids))
        if matrix[i, j]
    ]
    return sorted(found, key=lambda p: (-p["count"], p["models"]))


def _show(a: Analysis) -> None:
    from cli.terminal import output, plain, table

    console = output()
    total = int(a.demand.requests.sum())
    console.print(f"{total:,} requests over {a.demand.span_s:,.1f} s")
    models = table("model", "executions", "requests", "GPUs", "GPU-erlangs")
    for m in sorted(range(len(a.workload.models)), key=lambda m: -a.offered_load[m]):
        model = a.workload.models[m]
        models.add_row(
            plain(model.id),
            f"{a.executions[m]:,}",
            f"{100 * a.requests_with[m] / total:.1f}%",
            str(model.gpus_required),
            f"{a.offered_load[m]:.3f}",
        )
    models.add_row("all", f"{a.executions.sum():,}", "", "", f"{a.offered_load.sum():.3f}")
    console.print(models)
    flows = table("workflow", "requests", "per second", "nodes: mean seconds")
    nodes = flows.columns[3]
    nodes.justify, nodes.no_wrap, nodes.overflow = "left", False, "fold"
    for w, flow in enumerate(a.workload.workflows):
        times = ", ".join(
            f"{v.id} {t:.3g}" for v, t in zip(flow.nodes, a.demand.service_s[w], strict=True)
        )
        flows.add_row(
            plain(flow.id), f"{a.demand.requests[w]:,}", f"{a.demand.rate[w]:.4g}", plain(times)
        )
    console.print(flows)
    ids = [m.id for m in a.workload.models]
    for title, matrix, symmetric in (
        ("models that meet in a request", a.cooccurrence, True),
        ("edges between models", a.edges, False),
    ):
        pairs = _pairs(matrix, ids, symmetric=symmetric)
        shown = table(title, "", "count", left=2)
        for pair in pairs[:MOST_PAIRS]:
            shown.add_row(*(plain(m) for m in pair["models"]), f"{pair['count']:,}")
        if len(pairs) > MOST_PAIRS:
            shown.add_row(f"{len(pairs) - MOST_PAIRS} more pairs (--json lists all)", "", "")
        console.print(shown)
    holds = table(
        "one server holds", "of type", "GPUs", "GB", "exclusive", "shared", "busy servers", left=2
    )
    for h in a.holdings:
        holds.add_row(
            plain(a.workload.workflows[h.workflow].id),
            plain(h.server_type),
            str(h.gpus),
            f"{h.memory_gb:g}",
            "yes" if h.exclusive else "no",
            "yes" if h.shared else "no",
            f"{h.servers_for_load:.2f}",
        )
    console.print(holds)
