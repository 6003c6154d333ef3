"""The shape of every input file, as pydantic models: the boundary, and what is published."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from placement.files.base_entry import (
    MAX_GPUS_PER_SERVER,
    MAX_MEMORY_GB,
    MAX_SERVERS,
    Domains,
    Entry,
    GpuMemory,
    GpuNumber,
    GpuSpeed,
    Identifier,
    ModelRulesEntry,
)
from placement.files.network_entry import MAX_SECONDS, NetworkEntry, Seconds
from placement.files.serve_entry import ServeEntry
from placement.problem.cluster import GpuSharing
from placement.problem.names import SharingMode

DEFAULT_EFFICIENCY = GpuSharing().efficiency[0]

Tokens = Annotated[float, Field(ge=0, le=1e12)]
Memory = Annotated[float, Field(ge=0, le=MAX_MEMORY_GB)]


def _check_efficiency(value: Any) -> Any:
    """Take eta(2), eta(3), ..., or one number for all; a sentence tells what else it is."""
    numbers = value if isinstance(value, list) else [value]
    if not all(type(n) in (int, float) and math.isfinite(n) for n in numbers):
        raise ValueError("must be a number, or a list of numbers for 2, 3, ... that share a GPU")
    if not numbers:
        raise ValueError("must hold at least the number for two replicas that share a GPU")
    if min(numbers) <= 0:
        raise ValueError("must be above 0")
    shares = [1.0, *(eta / n for n, eta in enumerate(numbers, start=2))]
    if any(b > a for a, b in pairwise(shares)):
        raise ValueError(
            "must not give each of n replicas more than fewer would get: eta(n) / n may not grow, "
            "and eta(1) is 1"
        )
    return value


SharingEfficiency = Annotated[
    Any,
    BeforeValidator(_check_efficiency),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 2},
                {
                    "type": "array",
                    "prefixItems": [{"type": "number", "exclusiveMinimum": 0, "maximum": 2}],
                    "items": {"type": "number", "exclusiveMinimum": 0},
                    "minItems": 1,
                },
            ]
        }
    ),
]


def _check_slowdown(value: Any) -> Any:
    """Take a slope or a measured table; a sentence tells what else it is."""
    numbers = value if isinstance(value, list) else [value]
    if not all(type(n) in (int, float) and math.isfinite(n) for n in numbers):
        raise ValueError("must be a number (the slope) or a list of numbers (a measured table)")
    if not isinstance(value, list):
        if not 0 <= value <= 1e6:
            raise ValueError("must be a slope from 0 to 1e6")
    elif not value or value[0] != 1:
        raise ValueError("must begin with 1, the factor of one execution in service")
    elif any(b < a for a, b in pairwise(value)):
        raise ValueError("must never decrease: more in service makes nothing faster")
    return value


Slowdown = Annotated[
    Any,
    BeforeValidator(_check_slowdown),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "array", "items": {"type": "number", "minimum": 1}, "minItems": 1},
            ]
        }
    ),
]


class DegreeEntry(Entry):
    """A number of GPUs that a replica may take."""

    gpus: int = Field(ge=1, le=MAX_GPUS_PER_SERVER, description="GPUs of one replica")
    seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS)] = Field(
        description="seconds of a call on so many; requests state those of the first"
    )


class ModelEntry(ModelRulesEntry):
    """A model: what one replica occupies, and how long one call takes."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": [name], "properties": {name: {"type": "number"}}}
                for name in ("memory_gb", "weights_gb", "adapter_gb")
            ]
        }
    )

    name: Identifier = Field(description="name shown to people")
    weights_gb: Memory | None = Field(
        default=None,
        description="in place of memory_gb: GB of the weights of a replica, to which "
        "kv_gb_per_sequence is added for each of max_concurrency",
    )
    kv_gb_per_sequence: Memory | None = Field(
        default=None, description="GB of KV cache that one execution in service needs"
    )
    adapter_gb: Memory | None = Field(
        default=None,
        description="in place of memory_gb: GB that an adapter takes beside base_model, whose "
        "weights it shares on its GPUs",
    )
    memory_gb: Memory | None = Field(
        default=None,
        validate_default=True,
        description="memory of a whole replica in GB, split evenly over its GPUs; needed unless "
        "weights_gb or adapter_gb is given",
    )
    gpus_required: int = Field(
        ge=0,
        le=MAX_GPUS_PER_SERVER,
        description="GPUs of one replica, consecutive GPUs of one server; 0: a step that needs no "
        "GPU, which takes its time, waits for nobody and crosses nothing",
    )
    degrees: list[DegreeEntry] | None = Field(
        default=None,
        min_length=1,
        description="numbers of GPUs to choose one from, with the seconds of a call on each; may "
        "be written as gpus_required, which is else the first",
    )
    load_time_seconds: Seconds = Field(
        description="seconds to load a replica; only schedulers that switch models pay it"
    )
    tokens_per_second: Annotated[float, Field(gt=0, le=1e12)] | None = Field(
        default=None, description="generation speed; the service time is token_mean over it"
    )
    token_mean: Tokens | None = Field(default=None, description="mean tokens of one call")
    token_std: Tokens | None = Field(
        default=None, description="standard deviation of the tokens of one call"
    )
    inference_time_mean: Seconds | None = Field(
        default=None, description="mean seconds of one call, where tokens do not tell it"
    )
    inference_time_std: Seconds | None = Field(
        default=None, description="standard deviation of the seconds of one call"
    )
    max_concurrency: int = Field(
        default=1,
        ge=1,
        le=4096,
        description="most executions that one replica serves at once (continuous batching)",
    )
    slowdown: Slowdown = Field(
        default=0.0,
        description="how service time grows with the n executions in service: a slope b for the "
        "factor 1 + b (n - 1), or the measured factors for n = 1, 2, ... max_concurrency",
    )
    prefill_time_seconds: Seconds = Field(
        default=0.0,
        description="seconds at the beginning of a call in which the others of its replica stand "
        "still; part of the service time",
    )
    chunked_prefill: bool = Field(
        default=False,
        description="whether the prefill is mixed with the others' work: a call then counts as "
        "one in service from its beginning",
    )
    gpu_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0,
        description="part of a call's time, alone, in which it occupies the GPU; less where the "
        "host leaves gaps that others on the GPU can use",
    )
    type: str | None = Field(
        default=None,
        description="kind of model (llm, embedding, diffusion, ...): how `serve-local` and "
        "`export` serve it",
    )
    base_model: str | None = Field(
        default=None, description="model it derives from; with adapter_gb, a key of this config"
    )
    config: dict[str, Any] | None = Field(
        default=None, description="options a request may choose from; not used for placement"
    )
    serve: ServeEntry | None = Field(
        default=None, description="what serves it for real, for `export`"
    )

    @model_validator(mode="before")
    @classmethod
    def _takes_degrees(cls, data: Any) -> Any:
        """Take a list in gpus_required for the degrees."""
        if isinstance(data, dict) and isinstance(data.get("gpus_required"), list):
            degrees = data["gpus_required"]
            first = degrees[0].get("gpus") if degrees and isinstance(degrees[0], dict) else None
            return {**data, "degrees": degrees, "gpus_required": first}
        return data

    @field_validator("memory_gb", mode="after")
    @classmethod
    def _needs_one(cls, value: float | None, info: ValidationInfo) -> float | None:
        # Of the fields before it: a fault of theirs is enough.
        others = (info.data.get("weights_gb", 0.0), info.data.get("adapter_gb", 0.0))
        if value is None and others == (None, None):
            raise PydanticCustomError("missing", "Field required")
        return value


class NodeEntry(Entry):
    """A step of a workflow: one call to one model."""

    id: Identifier = Field(description="name of the node, unique in its workflow")
    model: Identifier = Field(description="key of the model it calls")
    inputs: list[str] | None = Field(default=None, description="data it reads; not checked")
    outputs: list[str] | None = Field(
        default=None, description="data it writes; an edge that names one means this node"
    )
    config_options: list[str] | None = Field(
        default=None, description="options a request may set; not used for placement"
    )


class EdgeEntry(Entry):
    """Data passed from one node to another, which waits for it."""

    source: Identifier = Field(
        alias="from", description="id of the node that sends, or one of its outputs"
    )
    target: Identifier = Field(alias="to", description="id of the node that waits")
    payload_mb: Annotated[float, Field(ge=0, le=1e9)] = Field(
        default=0.0, description="megabytes moved; they take time where the cluster has a network"
    )
    shared_prefix: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0,
        description="part of the prefill of `to` that is saved on the replica that ran `from`, "
        "whose context it reads again; both call one model",
    )


class WorkflowEntry(Entry):
    """A workflow: a directed graph of nodes without cycles."""

    name: Identifier | None = Field(default=None, description="name shown to people")
    nodes: list[NodeEntry] = Field(min_length=1, description="its steps")
    edges: list[EdgeEntry] = Field(default=[], description="what waits for what")
    description: str | None = Field(default=None, description="for people")


class ConfigFile(Entry):
    """A config file (JSON or YAML): models, and the workflows that call them."""

    models: dict[Identifier, ModelEntry] = Field(min_length=1, description="models by key")
    workflows: dict[Identifier, WorkflowEntry] = Field(min_length=1, description="workflows by key")


class ServerTypeEntry(Entry):
    """A server type: `count` identical servers."""

    count: int = Field(ge=1, le=MAX_SERVERS, description="number of servers of the type")
    gpus: int = Field(ge=1, le=MAX_GPUS_PER_SERVER, description="GPUs of one server")
    gpu_memory_gb: GpuMemory = Field(
        default=80.0,
        description="memory of one GPU in GB; of a server of different cards a list, one for each",
    )
    speed: GpuSpeed = Field(
        default=1.0,
        description="an execution of t seconds takes t / speed here; of a server of different "
        "cards a list, one for each",
    )
    excluded_gpus: list[GpuNumber] = Field(
        default=[],
        description="numbers, from 0, of GPUs of each server on which no replica may stand",
    )
    domains: Domains | None = Field(
        default=None,
        description="groups of GPUs, such as NVLink pairs, within which a block must stay",
    )


class ClusterFile(Entry):
    """A cluster file (JSON or YAML): server types, the network, how GPUs are shared."""

    server_types: dict[Identifier, ServerTypeEntry] = Field(
        min_length=1, description="server types by name; servers are numbered in this order"
    )
    network: NetworkEntry = Field(default=NetworkEntry(), description="time to move data")
    gpu_sharing: SharingMode | None = Field(
        default=None,
        description="how a GPU serves several replicas: evenly (time-sliced, the default), or one "
        "execution at a time (serial)",
    )
    sharing_efficiency: SharingEfficiency = Field(
        default=DEFAULT_EFFICIENCY,
        description="what replicas that share a GPU get of it together, against one alone: a "
        "number, or a list for 2, 3, ... of them",
    )


class RequestEntry(Entry):
    """A request: one run of a workflow."""

    request_id: Identifier | int = Field(description="name of the request, unique in the trace")
    timestamp: str = Field(
        description="arrival in ISO 8601, all with the same offset to UTC or all without; the "
        "requests stand in order of arrival"
    )
    workflow_id: Identifier = Field(description="key of the workflow")
    node_execution_times: dict[str, Seconds | list[Seconds] | None] | None = Field(
        default=None,
        description="seconds of each node by its id; a node left out takes token_mean / "
        "tokens_per_second of its model, else its inference_time_mean; null: the node did not "
        "run; a list: it ran so often, one after the other",
    )
    node_prefill_times: dict[str, Seconds] | None = Field(
        default=None,
        description="seconds of prefill of each node by its id, part of its execution time; a "
        "node left out takes prefill_time_seconds of its model",
    )
    session_id: Identifier | int | None = Field(
        default=None,
        description="session of which the request is a turn; `--routing sticky` keeps the turns "
        "of one on a server",
    )
    input_data: Any = Field(
        default=None, description="what the request brings along; `execute` sends it"
    )
    node_configs: Any = Field(
        default=None, description="options of nodes by their ids; `execute` sends them"
    )
    metadata: Any = Field(default=None, description="kept for other tools; not used")


class RequestsFile(Entry):
    """A trace in YAML or JSON; JSONL, CSV and Parquet hold one request a line or row."""

    requests: list[RequestEntry] = Field(min_length=1, description="requests by arrival")
    metadata: Any = Field(default=None, description="kept for other tools; not used")
