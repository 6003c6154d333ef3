"""The shape of an endpoints file, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from placement.files.base_entry import Entry, Identifier
from runtime.live.kinds import Kind

Timeout = Annotated[float, Field(gt=0, le=1e6)]


class CallEntry(Entry):
    """How a model, or one replica of it, is called."""

    kind: Kind | None = Field(
        default=None, description="interface of the server; chat where it is left out"
    )
    name: Identifier | None = Field(
        default=None, description="what the server calls the model; its id where it is left out"
    )
    path: str | None = Field(default=None, description="path of the call, where it is another")
    body: dict[str, Any] | None = Field(
        default=None, description="fields of what is sent, with gaps; they replace those of a kind"
    )
    output: str | None = Field(
        default=None, description="place of the output in the answer, such as data.0.embedding"
    )
    key_env: Identifier | None = Field(
        default=None, description="environment variable that holds the key"
    )
    key_file: Identifier | None = Field(default=None, description="file that holds the key")
    timeout_s: Timeout | None = Field(default=None, description="longest a call may take")


class ReplicaEntry(CallEntry):
    """Where one replica of the plan is served."""

    replica: Annotated[int, Field(ge=0)] = Field(description="number of the replica in the plan")
    url: Identifier = Field(description="address of the server, http:// or https://")


class NodeCallEntry(Entry):
    """What one node of a workflow sends, where nodes that call one model differ."""

    body: dict[str, Any] | None = Field(
        default=None, description="fields of what is sent, with gaps; they replace the model's"
    )
    output: str | None = Field(default=None, description="place of the output in the answer")


class EndpointsFile(Entry):
    """An endpoints file (YAML or JSON): where the replicas of a plan are served."""

    replicas: list[ReplicaEntry] = Field(min_length=1, description="one entry a replica")
    models: dict[Identifier, CallEntry] = Field(
        default={}, description="how each model is called, for all its replicas"
    )
    workflows: dict[Identifier, dict[Identifier, NodeCallEntry]] = Field(
        default={}, description="what nodes send, by workflow and node"
    )
    ca_file: Identifier | None = Field(
        default=None, description="certificates that servers are checked by, beside the system's"
    )
    time_scale: Annotated[float, Field(gt=0, le=1e6)] = Field(
        default=1.0, description="seconds that a second of the trace takes on these servers"
    )
