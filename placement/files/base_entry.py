"""What every part of a file has in common, and the rules on a model, which several files state."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MAX_SERVERS = 10_000_000
MAX_GPUS_PER_SERVER = 1024
"""More than any server has; methods try every position of every model."""

Identifier = Annotated[str, Field(min_length=1, max_length=500)]
Replicas = Annotated[int, Field(ge=1, le=MAX_SERVERS)]


class Entry(BaseModel):
    """Part of a file: types are taken strictly, fields that are not named here are let pass."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore", frozen=True)


class ModelRulesEntry(Entry):
    """What must hold of the replicas of a model."""

    min_replicas: Replicas | None = Field(default=None, description="least replicas in all")
    max_replicas: Replicas | None = Field(default=None, description="most replicas in all")
    spread: Replicas | None = Field(
        default=None, description="least number of servers that hold a replica"
    )
