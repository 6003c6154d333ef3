"""What every part of a file has in common, and the rules on a model, which several files state."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

MAX_MEMORY_GB = 1e6
MAX_SERVERS = 10_000_000
MAX_GPUS_PER_SERVER = 1024
"""More than any server has; methods try every position of every model."""

Identifier = Annotated[str, Field(min_length=1, max_length=500)]
GpuNumber = Annotated[int, Field(ge=0, le=MAX_GPUS_PER_SERVER - 1)]
ServerNumber = Annotated[int, Field(ge=0, le=MAX_SERVERS - 1)]
Domains = Annotated[list[Annotated[list[GpuNumber], Field(min_length=1)]], Field(min_length=1)]
MIN_SPEED = 1e-9
"""Slower servers would take longer for a call than numbers can say."""

MAX_SPEED = 1e6
Replicas = Annotated[int, Field(ge=1, le=MAX_SERVERS)]


def _check_memory(value: Any) -> Any:
    """Take the memory of all GPUs, or of each; a sentence tells what else it is."""
    numbers = value if isinstance(value, list) else [value]
    if not all(type(n) in (int, float) and math.isfinite(n) for n in numbers):
        raise ValueError("must be a number, without quotes, or a list of them, one for each GPU")
    if not numbers or not 0 < min(numbers) <= max(numbers) <= MAX_MEMORY_GB:
        raise ValueError(f"must be more than 0 and at most {MAX_MEMORY_GB:g}")
    return value


_ONE_GPU = {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_MEMORY_GB}
GpuMemory = Annotated[
    Any,
    BeforeValidator(_check_memory),
    WithJsonSchema({"anyOf": [_ONE_GPU, {"type": "array", "items": _ONE_GPU, "minItems": 1}]}),
]
"""GB of memory of every GPU of a server, or a list of that of each."""


def _check_speed(value: Any) -> Any:
    """Take the speed of all GPUs, or of each; a sentence tells what else it is."""
    numbers = value if isinstance(value, list) else [value]
    if not all(type(n) in (int, float) and math.isfinite(n) for n in numbers):
        raise ValueError("must be a number, without quotes, or a list of them, one for each GPU")
    if not numbers or not MIN_SPEED <= min(numbers) <= max(numbers) <= MAX_SPEED:
        raise ValueError(f"must be at least {MIN_SPEED:g} and at most {MAX_SPEED:g}")
    return value


_ONE_SPEED = {"type": "number", "minimum": MIN_SPEED, "maximum": MAX_SPEED}
GpuSpeed = Annotated[
    Any,
    BeforeValidator(_check_speed),
    WithJsonSchema({"anyOf": [_ONE_SPEED, {"type": "array", "items": _ONE_SPEED, "minItems": 1}]}),
]
"""Speed of every GPU of a server, or a list of that of each."""


class Entry(BaseModel):
    """Part of a file: types are taken strictly, fields that are not named here are let pass."""

    model_config = ConfigDict(
        strict=True, allow_inf_nan=False, extra="ignore", frozen=True, defer_build=True
    )


class SitesEntry(Entry):
    """Servers and GPUs: where replicas may stand, or may not."""

    server_types: list[Identifier] = Field(default=[], description="servers of these types")
    servers: list[ServerNumber] = Field(
        default=[], description="servers of these numbers; all if neither they nor types are given"
    )
    gpus: list[GpuNumber] = Field(
        default=[], description="GPUs of these numbers within their server; all if none is given"
    )


class ServerGpus(Entry):
    """Some GPUs of one server."""

    server: ServerNumber = Field(description="number of the server, from 0")
    gpus: list[GpuNumber] = Field(min_length=1, description="numbers of GPUs in it, from 0")


class Pin(Entry):
    """GPUs on which a replica stands."""

    server: ServerNumber | None = Field(
        default=None, description="number of the server; without it the GPUs count in the cluster"
    )
    gpus: list[Annotated[int, Field(ge=0, le=MAX_SERVERS - 1)]] = Field(
        min_length=1, description="numbers of GPUs, from 0"
    )


def _check_pins(value: Any) -> Any:
    """Take a list of numbers for the GPUs of one replica."""
    numbers = isinstance(value, list) and value and all(type(g) is int for g in value)
    return [{"gpus": value}] if numbers else value


ClusterGpu = Annotated[int, Field(ge=0, le=MAX_SERVERS - 1)]
Pins = Annotated[
    list[Pin],
    BeforeValidator(
        _check_pins,
        json_schema_input_type=list[Pin] | Annotated[list[ClusterGpu], Field(min_length=1)],
    ),
]


class ModelRulesEntry(Entry):
    """What must hold of the replicas of a model."""

    min_replicas: Replicas | None = Field(default=None, description="least replicas in all")
    max_replicas: Replicas | None = Field(default=None, description="most replicas in all")
    spread: Replicas | None = Field(
        default=None, description="least number of servers that hold a replica"
    )
    allowed: SitesEntry | None = Field(
        default=None, description="its replicas stand on these servers and GPUs alone"
    )
    forbidden: SitesEntry | None = Field(
        default=None, description="none of its replicas stands there"
    )
    pinned: Pins | None = Field(
        default=None,
        description="a replica stands on these GPUs of the server; without one, or as a list of "
        "numbers alone, of these numbers in the cluster",
    )
    apart_from: list[Identifier] | None = Field(
        default=None, description="models of which no server holds one and this model"
    )
    together_with: list[Identifier] | None = Field(
        default=None, description="models of which every server with this model holds one, too"
    )
    speed: dict[Identifier, GpuSpeed] | None = Field(
        default=None,
        description="by server type: how fast the model is there, in place of the type's speed; a "
        "list where its GPUs differ, one for each",
    )
