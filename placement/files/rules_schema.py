"""The shape of a rules file as pydantic models: what `read_rules` checks, and what is published."""

from __future__ import annotations

from pydantic import Field

from placement.files.base_entry import (
    Domains,
    Entry,
    Identifier,
    ModelRulesEntry,
    ServerGpus,
)
from placement.problem.names import Spares


class RulesFile(Entry):
    """A rules file (YAML or JSON): what must hold of a placement."""

    excluded_gpus: list[ServerGpus] = Field(
        default=[], description="GPUs on which no replica may stand, such as dead ones"
    )
    domains: dict[Identifier, Domains] = Field(
        default={},
        description="by server type: groups of GPUs within which a block must stay",
    )
    spares: Spares = Field(
        default="few",
        description="replicas beyond those that cap and locality need: few, where they even the "
        "loads; none; or fill, as many as there is memory for",
    )
    pack: bool = Field(
        default=False, description="use the fewest GPUs that keep the target for the busiest one"
    )
    models: dict[Identifier, ModelRulesEntry] = Field(
        default={}, description="rules of models, by their keys in the config"
    )
