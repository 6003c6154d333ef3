"""The config file: models and workflows, checked as a whole."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

from placement.files.adapters import adapter_faults, share_bases, warn_of_adapters
from placement.files.base_entry import MAX_MEMORY_GB
from placement.files.input_schema import (
    ConfigFile,
    ModelEntry,
    WorkflowEntry,
)
from placement.files.schema_faults import check_shape, well_shaped
from placement.files.serve_entry import ServeEntry
from placement.files.stated_rules import model_rule_faults, model_rules
from placement.files.syntax.document import PlacedFault, load_document, raise_faults
from placement.files.workflow_edges import edge_ends, edge_faults, warn_of_outputs
from placement.problem.workload import Edge, Model, Node, Serving, Workflow, Workload
from placement.support.faults import Place, input_error, suggest


def read_config(path: str | os.PathLike[str]) -> Workload:
    """Read models and workflows from a JSON or YAML file.

    Raises
    ------
    InputError
        With every fault of the file: its shape, unknown models, edges whose end is no node,
        repeated nodes or edges, cycles.
    """
    document = load_document(path)
    if isinstance(document.data, dict) and document.data.keys() & {"requests", "server_types"}:
        _refuse_other_kind(path, document.data)
    config, faults = check_shape(ConfigFile, document, _faults_of_the_rest)
    raise_faults(document, faults + _entry_faults(config.models, config.workflows, config.models))
    warn_of_outputs(document, config.workflows)
    warn_of_adapters(document, config.models)
    return build_workload(config)


def build_workload(config: ConfigFile) -> Workload:
    """Turn a valid config into the workload."""
    adapters = share_bases(config.models)
    models = tuple(build_model(key, entry) for key, entry in adapters.items())
    index = {m.id: i for i, m in enumerate(models)}
    return Workload(
        models, tuple(_build_workflow(key, w, index) for key, w in config.workflows.items())
    )


def build_model(key: str, entry: ModelEntry) -> Model:
    """Turn a valid entry into the model; a slope becomes its table of factors."""
    if isinstance(entry.slowdown, list):
        slowdown = tuple(float(s) for s in entry.slowdown)
    else:
        slowdown = tuple(1.0 + entry.slowdown * n for n in range(entry.max_concurrency))
    return Model(
        id=key,
        name=entry.name,
        memory_gb=_memory_gb(entry),
        gpus_required=entry.gpus_required,
        load_time_s=entry.load_time_seconds,
        tokens_per_second=entry.tokens_per_second,
        token_mean=entry.token_mean,
        token_std=entry.token_std,
        inference_time_mean_s=_mean_s(entry),
        inference_time_std_s=entry.inference_time_std,
        type=entry.type,
        base_model=entry.base_model,
        degrees=tuple((d.gpus, d.seconds / entry.degrees[0].seconds) for d in entry.degrees)
        if entry.degrees
        else (),
        base=None if entry.adapter_gb is None else entry.base_model,
        max_concurrency=entry.max_concurrency,
        slowdown=slowdown,
        prefill_time_s=entry.prefill_time_seconds,
        chunked_prefill=entry.chunked_prefill,
        gpu_fraction=entry.gpu_fraction,
        weights_gb=entry.weights_gb,
        kv_gb_per_sequence=entry.kv_gb_per_sequence,
        serving=_serving(entry.serve),
        rules=model_rules(entry),
    )


def _serving(entry: ServeEntry | None) -> Serving:
    if entry is None:
        return Serving()
    return Serving(entry.hf_id, tuple(entry.command), tuple(entry.args), entry.image, entry.health)


def _mean_s(entry: ModelEntry) -> float | None:
    """Seconds of a call; of several degrees those on the first, where nothing else says them."""
    if entry.inference_time_mean is None and entry.degrees:
        return entry.degrees[0].seconds
    return entry.inference_time_mean


def _memory_gb(entry: ModelEntry) -> float:
    if entry.adapter_gb is not None:
        return entry.adapter_gb
    if entry.weights_gb is None:
        return entry.memory_gb or 0.0
    return entry.weights_gb + entry.max_concurrency * (entry.kv_gb_per_sequence or 0.0)


def _refuse_other_kind(path: str | os.PathLike[str], data: dict[str, object]) -> None:
    if not data.keys() & {"models", "workflows"}:
        kind = "trace of requests" if "requests" in data else "cluster"
        option = "--requests" if "requests" in data else "--cluster"
        raise input_error(path, "", f"is a {kind}, not a config", f"give it to {option}")


def _faults_of_the_rest(data: Any) -> list[PlacedFault]:
    """Faults of the models and workflows that have the right shape beside some that have not."""
    if not isinstance(data, dict):
        return []
    models, workflows = data.get("models"), data.get("workflows")
    names = models if isinstance(models, dict) and models else None
    return _entry_faults(
        well_shaped(ModelEntry, models), well_shaped(WorkflowEntry, workflows), names
    )


def _entry_faults(
    models: Mapping[str, ModelEntry],
    workflows: Mapping[str, WorkflowEntry],
    names: Collection[str] | None,
) -> list[PlacedFault]:
    faults = []
    for key, model in models.items():
        faults += _model_faults(("models", key), model)
        faults += adapter_faults(("models", key), model, models)
    for key, workflow in workflows.items():
        faults += _workflow_faults(("workflows", key), workflow, names)
    return faults


def _model_faults(place: Place, entry: ModelEntry) -> list[PlacedFault]:
    faults = _memory_faults(place, entry) + model_rule_faults(place, model_rules(entry))
    if isinstance(entry.slowdown, list) and len(entry.slowdown) != entry.max_concurrency:
        faults.append(
            PlacedFault(
                (*place, "slowdown"),
                f"has {len(entry.slowdown)} factors where max_concurrency is "
                f"{entry.max_concurrency}",
                "give one factor for each number in service, or a slope",
            )
        )
    if entry.tokens_per_second and (entry.token_mean or 0) / entry.tokens_per_second > 1e9:
        faults.append(
            PlacedFault(
                (*place, "tokens_per_second"),
                "makes a call of token_mean tokens last more than 1e+09 s",
                "check both figures",
            )
        )
    return faults


def _memory_faults(place: Place, entry: ModelEntry) -> list[PlacedFault]:
    """Faults of a replica's memory: stated in one of two ways, and no more than a file may say."""
    if entry.weights_gb is None and entry.kv_gb_per_sequence is not None:
        here, wrong = (*place, "kv_gb_per_sequence"), "stands without weights_gb"
        mend = "give weights_gb in place of memory_gb, or drop it"
        return [PlacedFault(here, wrong, mend)]
    if entry.weights_gb is not None and entry.memory_gb is not None:
        wrong = "stands beside weights_gb, which says the same otherwise"
        return [PlacedFault((*place, "memory_gb"), wrong, "keep one of the two")]
    if _memory_gb(entry) > MAX_MEMORY_GB:
        wrong = f"makes a replica of {_memory_gb(entry):g} GB with max_concurrency"
        mend = f"keep to {MAX_MEMORY_GB:g} GB"
        return [PlacedFault((*place, "kv_gb_per_sequence"), wrong, mend)]
    return []


def _workflow_faults(
    place: Place, entry: WorkflowEntry, models: Collection[str] | None
) -> list[PlacedFault]:
    """Faults of the graph; of the models' names too, unless the file has no models to go by."""
    faults = []
    first: dict[str, int] = {}
    for i, node in enumerate(entry.nodes):
        here = (*place, "nodes", i)
        if node.id in first:
            faults.append(
                PlacedFault(
                    (*here, "id"),
                    f"{node.id!r} is already the id of nodes[{first[node.id]}]",
                    "rename one of the two nodes",
                )
            )
        first.setdefault(node.id, i)
        if models is not None and node.model not in models:
            mend = suggest(node.model, models, "model")
            faults.append(PlacedFault((*here, "model"), f"{node.model!r} is no model", mend))
    return faults + edge_faults(place, entry)


def _build_workflow(key: str, entry: WorkflowEntry, models: dict[str, int]) -> Workflow:
    nodes = {n.id: i for i, n in enumerate(entry.nodes)}
    return Workflow(
        id=key,
        name=entry.name or key,
        nodes=tuple(Node(n.id, models[n.model]) for n in entry.nodes),
        edges=tuple(
            Edge(nodes[source], nodes[target], e.payload_mb, shared_prefix=e.shared_prefix)
            for (source, target), e in zip(edge_ends(entry), entry.edges, strict=True)
        ),
    )
