"""The placement map as a static picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cli.plots.sheet import INK, RULE, SOFT, model_look
from cli.views.scales import ranges, shorten
from cli.views.servers import ServerGroup, group_mean, group_servers, lanes
from placement.problem.cluster import FloatArray
from placement.support.described import counted
from runtime.scene import Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_GROUPS = 16
"""Server contents that one picture holds; the title says how many there are."""
LETTERS_A_SERVER = 72.0


def draw_map(figure: Figure, scene: Scene) -> None:
    """Draw the blocks of each kind of server over its GPUs, with the load of each GPU below."""
    from matplotlib.patches import Patch

    groups = group_servers(scene)
    shown = groups[:MOST_GROUPS]
    columns = 1 if len(shown) == 1 else 2
    rows = -(-len(shown) // columns)
    load = scene.per_gpu(scene.plan.load)
    depth = [int(_lanes(scene, g).max(initial=0)) + 1 for g in shown]
    row_depth = [max(depth[i : i + columns]) for i in range(0, len(shown), columns)]
    height = [0.55 + 0.27 * d for d in row_depth]
    figure.set_size_inches(5.2 * columns, sum(height) + 0.9)
    axes = figure.subplots(rows, columns, squeeze=False, height_ratios=height).ravel()
    for i, (ax, group) in enumerate(zip(axes, shown, strict=False)):
        _draw_group(ax, scene, group, load, row_depth[i // columns])
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    cluster = scene.plan.cluster
    title = (
        f"{counted(scene.plan.placement.n_replicas, 'replica')} on "
        f"{counted(cluster.n_gpus, 'GPU')} of {counted(cluster.n_servers, 'server')}"
    )
    if len(groups) > len(shown):
        title += f"; the {len(shown)} most frequent of {len(groups)} server contents"
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    models = sorted(set(scene.replica_model.tolist()), key=lambda m: int(scene.work_rank[m]))
    names = [shorten(scene.workload.models[m].id, 24, 1.0) for m in models]
    handles = [Patch(edgecolor=INK, linewidth=0.3, **model_look(scene, m)) for m in models]
    figure.legend(handles, names, loc="outside lower left", ncols=3 * columns, fontsize=8)


def _lanes(scene: Scene, group: ServerGroup) -> np.ndarray:
    replica = group.replicas[0]
    return lanes(scene.plan.placement.start[replica], scene.replica_gpus[replica])


def _draw_group(ax: Axes, scene: Scene, group: ServerGroup, load: FloatArray, depth: int) -> None:
    from matplotlib.patches import Rectangle

    gpus = group.type.gpus
    for r, lane in zip(group.replicas[0], _lanes(scene, group), strict=True):
        m, start = int(scene.replica_model[r]), int(scene.plan.placement.start[r])
        k = int(scene.replica_gpus[r])
        look = model_look(scene, m)
        block = Rectangle(
            (start + 0.03, float(lane) + 0.06), k - 0.06, 0.88, edgecolor=INK, linewidth=0.3, **look
        )
        ax.add_patch(block)
        label = shorten(scene.workload.models[m].id, k / gpus * LETTERS_A_SERVER, 1.0)
        backing = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.9}
        ax.text(start + k / 2, lane + 0.5, label, ha="center", va="center", fontsize=7,
                bbox=backing if look["hatch"] else None)  # fmt: skip
    busy = group_mean(scene, group, load)
    for g in range(gpus):
        ax.add_patch(Rectangle((g + 0.03, depth + 0.12), 0.94, 0.26, color=RULE, linewidth=0))
        width = 0.94 * min(1.0, float(busy[g]))
        ax.add_patch(Rectangle((g + 0.03, depth + 0.12), width, 0.26, color="#d0702a", linewidth=0))
    ax.set(xlim=(0, gpus), ylim=(depth + 0.45, 0), yticks=[depth + 0.25], yticklabels=["load"])
    first = group.first_gpu(scene.plan.cluster)
    ax.set_xticks(np.arange(gpus) + 0.5, [str(first + g) for g in range(gpus)])
    ax.tick_params(length=0, labelsize=7, pad=1)
    ax.spines[:].set_visible(False)
    title = group.title
    if len(group.servers) > 1:
        title += f": {ranges(group.servers, 3)}"
    ax.set_title(title, fontsize=8, color=SOFT, pad=2)
