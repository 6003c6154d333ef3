"""Rules on one model, as a config and a file of rules state them."""

from __future__ import annotations

from dataclasses import fields

from placement.files.base_entry import ModelRulesEntry
from placement.files.syntax.document import PlacedFault
from placement.problem.model_rules import ModelRules
from placement.support.faults import Place


def model_rules(entry: ModelRulesEntry) -> ModelRules:
    """Turn a valid entry into the rules."""
    return ModelRules(**{f.name: getattr(entry, f.name) for f in fields(ModelRules)})


def model_rule_faults(place: Place, rules: ModelRules) -> list[PlacedFault]:
    """Rules that contradict each other."""
    faults = []
    most = rules.max_replicas
    for key, least in (("min_replicas", rules.min_replicas), ("spread", rules.spread)):
        if least is not None and most is not None and least > most:
            wrong = f"is {least}, and max_replicas is {most}"
            faults.append(PlacedFault((*place, key), wrong, "lower it, or raise max_replicas"))
    return faults
