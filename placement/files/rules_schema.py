"""The shape of a rules file as pydantic models: what `read_rules` checks, and what is published."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from placement.files.base_entry import (
    MAX_GPUS_PER_SERVER,
    MAX_SERVERS,
    Entry,
    Identifier,
    ModelRulesEntry,
)

GpuNumber = Annotated[int, Field(ge=0, le=MAX_GPUS_PER_SERVER - 1)]
ServerNumber = Annotated[int, Field(ge=0, le=MAX_SERVERS - 1)]


class ServerGpus(Entry):
    """Some GPUs of one server."""

    server: ServerNumber = Field(description="number of the server, from 0")
    gpus: list[GpuNumber] = Field(min_length=1, description="numbers of GPUs in it, from 0")


class RulesFile(Entry):
    """A rules file (YAML or JSON): what must hold of a placement."""

    excluded_gpus: list[ServerGpus] = Field(
        default=[], description="GPUs on which no replica may stand, such as dead ones"
    )
    models: dict[Identifier, ModelRulesEntry] = Field(
        default={}, description="rules of models, by their keys in the config"
    )
