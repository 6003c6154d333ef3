"""Seeded synthetic workloads and traces, for tests, benchmarks and first experiments."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from placement.files.atomic import replacing
from placement.files.network_entry import MAX_SECONDS
from placement.files.syntax.document import DOCUMENT_FORMATS
from placement.files.syntax.source import find_format
from placement.files.syntax.yaml_writer import block
from placement.problem.cluster import FloatArray, IntArray
from placement.problem.workload import Model, Workload
from placement.support.equality import ByContent

# Sizes as they are served today: GPUs, GB of memory for the whole replica, seconds of one call.
_SIZES = ((1, 6, 0.2), (1, 18, 0.8), (1, 30, 2.0), (2, 80, 2.5), (4, 170, 4.0), (8, 420, 5.0))
MOST_VARIATION = 1e6
"""Beyond it any trace would hold zeros alone, and below its inverse one value alone."""
_WEIGHTS = (0.25, 0.25, 0.2, 0.15, 0.1, 0.05)


def synthetic_config(
    models: int, workflows: int, *, seed: int = 0, largest_block: int = 8
) -> dict[str, Any]:
    """Draw a config: models of the usual sizes, workflows of two to six nodes.

    Parameters
    ----------
    models, workflows : int
        At least 1 each.
    seed : int
    largest_block : int
        Most GPUs that one model may need.

    Returns
    -------
    dict
        Ready to be written as JSON or YAML.
    """
    rng = np.random.default_rng(seed)
    allowed = [i for i, size in enumerate(_SIZES) if size[0] <= largest_block]
    weight = np.array([_WEIGHTS[i] for i in allowed])
    drawn = rng.choice(allowed, models, p=weight / weight.sum())
    catalogue: dict[str, Any] = {}
    for i, size in enumerate(drawn):
        gpus, memory, seconds = _SIZES[size]
        mean = round(float(seconds * rng.uniform(0.6, 1.6)), 3)
        catalogue[f"model-{i:03d}"] = {
            "name": f"Model {i}",
            "memory_gb": round(float(memory * rng.uniform(0.8, 1.2)), 1),
            "gpus_required": gpus,
            "load_time_seconds": round(memory / 4, 1),
            "inference_time_mean": mean,
            "inference_time_std": round(mean / 4, 3),
        }
    names = list(catalogue)
    # Some models are everybody's: a heavy tail, as in any catalogue.
    weight = 1.0 / (1.0 + rng.permutation(models)) ** 0.7
    popularity: FloatArray = weight / weight.sum()
    return {
        "models": catalogue,
        "workflows": {
            f"workflow-{w:03d}": _workflow(w, names, popularity, rng) for w in range(workflows)
        },
    }


def _workflow(
    w: int, names: list[str], popularity: FloatArray, rng: np.random.Generator
) -> dict[str, Any]:
    nodes = int(rng.integers(2, 7))
    chosen = rng.choice(len(names), nodes, p=popularity)
    edges = []
    for v in range(1, nodes):
        parents = rng.choice(v, min(v, int(rng.integers(1, 3))), replace=False)
        edges += [
            {
                "from": f"n{u}",
                "to": f"n{v}",
                "payload_mb": round(float(rng.lognormal(-1, 1.5)), 3),
            }
            for u in sorted(parents.tolist())
        ]
    return {
        "name": f"Workflow {w}",
        "nodes": [{"id": f"n{v}", "model": names[m]} for v, m in enumerate(chosen)],
        "edges": edges,
    }


def write_config(path: str | os.PathLike[str], config: dict[str, Any]) -> None:
    """Write a config as JSON or YAML, by the suffix of `path`.

    Raises
    ------
    InputError
        Where the suffix is none of these.
    """
    form = find_format(path, DOCUMENT_FORMATS)
    with replacing(path) as temporary:
        if form == "json":
            temporary.write_text(json.dumps(config, indent=2) + "\n")
        else:
            temporary.write_text(block(config), encoding="utf-8")


@dataclass(frozen=True, eq=False)
class SyntheticTrace(ByContent):
    """Requests as arrays; `service_s[w]` has shape (requests of w, nodes of w)."""

    workload: Workload
    arrival_s: FloatArray
    workflow: IntArray
    service_s: tuple[FloatArray, ...]


def synthetic_trace(
    workload: Workload, arrival_s: FloatArray, *, seed: int = 0, mix: FloatArray | None = None
) -> SyntheticTrace:
    """Give every arrival a workflow and service times by its models' distributions.

    Parameters
    ----------
    arrival_s : float64, shape (R,)
        Seconds, never decreasing.
    seed : int
        Of workflows and service times.
    mix : float64, shape (W,), optional
        Share of each workflow; by default a seeded draw with some heavier than others.

    Returns
    -------
    SyntheticTrace
        Service times follow gamma distributions with the models' means and deviations.

    Raises
    ------
    ValueError
        Where a model that is called states no service time.
    """
    for flow in workload.workflows:
        for v in flow.nodes:
            if workload.models[v.model].service_time_s is None:
                raise ValueError(
                    f"model {workload.models[v.model].id!r} states no service time to draw from; "
                    "give it tokens_per_second and token_mean, or inference_time_mean"
                )
    rng = np.random.default_rng([seed, 2])
    n = len(workload.workflows)
    shares = rng.dirichlet(np.full(n, 3.0)) if mix is None else mix / mix.sum()
    workflow = rng.choice(n, len(arrival_s), p=shares)
    counts = np.bincount(workflow, minlength=n)
    service = tuple(
        np.stack([_service(workload.models[v.model], counts[w], rng) for v in flow.nodes], axis=1)
        for w, flow in enumerate(workload.workflows)
    )
    return SyntheticTrace(workload, arrival_s, workflow.astype(np.int64), service)


def _service(model: Model, count: int, rng: np.random.Generator) -> FloatArray:
    mean = model.service_time_s or 0.0
    if model.tokens_per_second is not None and model.token_mean is not None:
        std = (model.token_std or 0.0) / model.tokens_per_second
    else:
        std = model.inference_time_std_s or 0.0
    if std < mean / MOST_VARIATION or mean <= 0:
        return np.full(count, mean)
    variation = min(std / mean, MOST_VARIATION)
    drawn = rng.gamma(1 / variation**2, mean * variation**2, count)
    return np.minimum(drawn, MAX_SECONDS)


def rate_for_load(workload: Workload, load: float, gpus: int, mix: FloatArray) -> float:
    """Requests per second whose offered load is the fraction `load` of so many GPUs.

    Parameters
    ----------
    workload : Workload
        Mean service times of its models.
    load : float
        Offered load as a fraction of all GPUs.
    gpus : int
        GPUs of the cluster.
    mix : float64, shape (W,)
        Share of each workflow among the requests, in any unit.

    Returns
    -------
    float
        1 where no workflow takes any time on a GPU.
    """
    shares = mix / mix.sum()
    erlangs = 0.0
    for share, flow in zip(shares, workload.workflows, strict=True):
        for v in flow.nodes:
            model = workload.models[v.model]
            busy_s = (model.service_time_s or 0.0) * model.busy_factor
            erlangs += share * busy_s * model.gpus_required
    return float(load * gpus / erlangs) if erlangs else 1.0
