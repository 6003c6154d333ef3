"""The placement map: servers, their GPUs, and the blocks of models across them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cli.views.markup import Markup, behind, mark, picture, table, tag
from cli.views.palette import model_class
from cli.views.scales import percent, plain, ranges, shorten
from cli.views.servers import ServerGroup, group_mean, group_servers, lanes
from placement.problem.cluster import FloatArray
from placement.problem.verdict import SPARE
from placement.support.described import counted
from runtime.scene import Scene

DRAWN = 120
"""Most groups of servers that are drawn; beyond them the table alone lists what there is."""

Reasons = Mapping[tuple[int, int], str]
"""Why a model of the plan is on a server, by both."""

LANE, BAR, LEFT = 26, 7, 34
WIDEST, WIDE = 132, 66
"""Pixels of a GPU: two servers beside each other, and room for a name of nine letters."""
HALF_PAGE = 528


def placement_map(
    scene: Scene, *, heading: str = "What sits where", reasons: Reasons | None = None
) -> Markup:
    """Draw the servers of a plan with their blocks, memory and expected load.

    Parameters
    ----------
    scene : Scene
    heading : str
    reasons : mapping of (model, server) to str, optional
        Why a model of the plan is on a server, shown with its blocks.
    """
    groups = group_servers(scene)
    memory = scene.per_gpu(scene.replica_memory_gb)
    load = scene.per_gpu(scene.plan.load)
    cluster = scene.plan.cluster
    width = max(WIDE, min(WIDEST, HALF_PAGE // cluster.max_gpus_per_server))
    cards = [_card(scene, g, memory, load, width, reasons or {}) for g in groups[:DRAWN]]
    alike = f"in {len(groups)} different server contents" if len(groups) < cluster.n_servers else ""
    return tag(
        "section",
        tag("h2", heading),
        tag(
            "p",
            f"{counted(scene.plan.placement.n_replicas, 'replica')} on "
            f"{counted(cluster.n_gpus, 'GPU')} of {counted(cluster.n_servers, 'server')} "
            f"{alike}".strip()
            + ". A block is a replica, as wide as the GPUs it holds; blocks above each other "
            "share GPUs. A pale one is spare: it serves nothing at the trace's rates. Under each "
            "GPU: memory in use and expected load.",
            class_="lead",
        ),
        _tools(scene, len(groups)),
        _notice(len(groups)),
        tag("div", cards, class_="cards"),
        behind("Replicas as a table", _replica_table(scene, groups)),
        class_="map",
    )


def _tools(scene: Scene, groups: int) -> Markup:
    shown = np.unique(scene.replica_model)
    ranked = sorted(shown.tolist(), key=lambda m: int(scene.work_rank[m]))
    count = np.bincount(scene.replica_model, minlength=len(scene.workload.models))
    chips = [
        tag(
            "button",
            tag(
                "svg",
                tag("rect", width=14, height=14, rx=3, class_=model_class(scene, m)),
                width=14,
                height=14,
                aria_hidden="true",
            ),
            f" {scene.workload.models[m].id} ",
            tag("small", f"×{count[m]}"),
            type="button",
            aria_pressed="false",
            data_model=str(m),
        )
        for m in ranked
    ]
    return tag(
        "div",
        tag(
            "label",
            "Find a model or a server ",
            tag("input", type="search", placeholder="model name, or server 12"),
        ),
        tag("output", f"{groups} shown", aria_live="polite"),
        tag("div", chips, class_="chips", role="group", aria_label="Legend: highlight a model"),
        class_="tools",
    )


def _notice(groups: int) -> Markup:
    if groups <= DRAWN:
        return Markup("")
    text = f"The {DRAWN} most frequent of {groups} server contents are drawn; the table has all."
    return tag("p", text, class_="notice")


def _card(
    scene: Scene,
    group: ServerGroup,
    memory: FloatArray,
    load: FloatArray,
    width: int,
    reasons: Reasons,
) -> Markup:
    gpus = group.type.gpus
    replica = group.replicas[0]
    start = scene.plan.placement.start[replica]
    length = scene.replica_gpus[replica]
    lane = lanes(start, length)
    rows = int(lane.max(initial=0)) + 1
    mean_load = group_mean(scene, group, load)
    mean_memory = group_mean(scene, group, memory)
    blocks = [_block(scene, group, b, int(lane[b]), width, reasons) for b in range(len(replica))]
    base = group.first_gpu(scene.plan.cluster)
    top = rows * LANE + 4
    slots = [
        _gpu(g, base + g, width, top, mean_memory[g], group.type.memories_gb[g], mean_load[g])
        for g in range(gpus)
    ]
    bottom = top + 3 * BAR + 14
    names = ("mem", top + 6), ("load", top + 2 * BAR + 3)
    labels = [tag("text", n, x=LEFT - 6, y=y, class_="axis end") for n, y in names]
    models = " ".join(scene.workload.models[m].id for m in scene.replica_model[replica])
    words = " ".join(f"server {s}" for s in group.servers[:2000])
    svg = picture(
        f"{group.title}: {counted(len(replica), 'replica')} on {counted(gpus, 'GPU')}",
        LEFT + gpus * width + 2,
        bottom,
        [
            tag(
                "rect",
                x=LEFT + g * width + 1,
                y=0,
                width=width - 2,
                height=rows * LANE,
                class_="slot",
            )
            for g in range(gpus)
        ],
        blocks,
        slots,
        labels,
    )
    return tag(
        "article",
        tag("h3", group.title, tag("small", group.where(scene.plan.cluster))),
        svg,
        class_="card",
        style=f"width:{LEFT + gpus * width + 2}px",
        data_search=f"{words} {models} {group.type.name}".lower(),
    )


def _block(
    scene: Scene, group: ServerGroup, b: int, lane: int, width: int, reasons: Reasons
) -> Markup:
    r = int(group.replicas[0, b])
    m = int(scene.replica_model[r])
    model, k = scene.workload.models[m], int(scene.replica_gpus[r])
    start = int(scene.plan.placement.start[r])
    loads = scene.plan.load[group.replicas[:, b]]
    gpus = _numbers(group.first_gpu(scene.plan.cluster) + start, k)
    spare = bool(loads.max() <= SPARE)
    spread = (
        f" ({percent(loads.min(), 0)}–{percent(loads.max(), 0)})" if np.ptp(loads) > 0.01 else ""
    )
    tip = (
        f"{model.id}\n{group.title}, {'GPUs' if k > 1 else 'GPU'} {gpus}\n"
        f"{plain(model.memory_per_gpu_gb)} GB on each GPU\n"
        f"expected load {percent(float(loads.mean()))}{spread}{', spare' if spare else ''}"
    )
    why = reasons.get((int(scene.plan.placement.model[r]), int(group.servers[0])))
    if why:
        tip += f"\nwhy here: {why}"
    x, y, w = LEFT + start * width + 2, lane * LANE + 1, k * width - 4
    return mark(
        tip,
        tag("rect", x=x, y=y, width=w, height=LANE - 3, rx=4, class_=model_class(scene, m)),
        tag("text", shorten(model.id, w - 4, 6.4), x=x + w / 2, y=y + 16, class_="on"),
        class_="spare" if spare else "",
        data_model=str(m),
    )


def _numbers(first: int, count: int) -> str:
    """Write the numbers of a block's GPUs."""
    return f"{first}–{first + count - 1}" if count > 1 else str(first)


def _gpu(
    g: int, number: int, width: int, top: int, used: float, capacity: float, load: float
) -> Markup:
    x, w = LEFT + g * width + 2, width - 4
    bars = []
    for row, (share, name) in enumerate([(used / capacity, "memory"), (load, "load")]):
        y = top + row * (BAR + 3)
        bars += [
            tag("rect", x=x, y=y, width=w, height=BAR, rx=2, class_="empty"),
            tag("rect", x=x, y=y, width=w * min(1.0, share), height=BAR, rx=2, class_=name),
        ]
    tip = (
        f"GPU {number}\nmemory {plain(used)} of {plain(capacity)} GB\nexpected load {percent(load)}"
    )
    return mark(
        tip, bars, tag("text", number, x=x + w / 2, y=top + 3 * BAR + 10, class_="axis mid")
    )


def _replica_table(scene: Scene, groups: list[ServerGroup]) -> Markup:
    rows = []
    for group in groups:
        for column in group.replicas.T:
            r = int(column[0])
            model = scene.workload.models[scene.replica_model[r]]
            start, k = int(scene.plan.placement.start[r]), int(scene.replica_gpus[r])
            first = group.first_gpu(scene.plan.cluster) + start
            rows.append(
                (
                    model.id,
                    f"server {ranges(group.servers, 12)}",
                    _numbers(first, k) + ("" if len(group.servers) == 1 else " of each"),
                    plain(model.memory_per_gpu_gb),
                    percent(float(scene.plan.load[column].mean())),
                )
            )
    head = ("Model", "Servers", "GPUs", "Memory per GPU (GB)", "Expected load")
    return table("Replicas, servers that hold the same together", head, rows)
