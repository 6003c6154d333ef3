"""Rules on one model, as a config and a file of rules state them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from placement.files.base_entry import ModelRulesEntry, SitesEntry
from placement.files.syntax.document import PlacedFault
from placement.problem.model_rules import ModelRules, Sites
from placement.support.faults import Place


def model_rules(entry: ModelRulesEntry) -> ModelRules:
    """Turn a valid entry into the rules."""
    pinned = entry.pinned
    return ModelRules(
        min_replicas=entry.min_replicas,
        max_replicas=entry.max_replicas,
        spread=entry.spread,
        allowed=_sites(entry.allowed),
        forbidden=_sites(entry.forbidden),
        pinned=None if pinned is None else tuple((p.server, tuple(sorted(p.gpus))) for p in pinned),
        apart_from=None if entry.apart_from is None else tuple(entry.apart_from),
        together_with=None if entry.together_with is None else tuple(entry.together_with),
        speed=None
        if entry.speed is None
        else tuple(
            (name, tuple(v) if isinstance(v, list) else v) for name, v in entry.speed.items()
        ),
    )


def _sites(entry: SitesEntry | None) -> Sites | None:
    if entry is None:
        return None
    return Sites(tuple(entry.server_types), tuple(entry.servers), tuple(entry.gpus))


def stated(rules: ModelRules) -> dict[str, Any]:
    """The rules that there are, as a file states them."""
    return {key: value for key, value in asdict(rules).items() if value is not None}


def model_rule_faults(place: Place, rules: ModelRules) -> list[PlacedFault]:
    """Rules that contradict each other."""
    faults = []
    most = rules.max_replicas
    pinned = len(rules.pinned) if rules.pinned else None
    for key, least in (
        ("min_replicas", rules.min_replicas),
        ("spread", rules.spread),
        ("pinned", pinned),
    ):
        if least is not None and most is not None and least > most:
            wrong = f"asks for {least} replicas, and max_replicas is {most}"
            faults.append(PlacedFault((*place, key), wrong, "ask for less, or raise max_replicas"))
    both = sorted({*(rules.apart_from or ())} & {*(rules.together_with or ())})
    if both:
        wrong = f"names {', '.join(map(repr, both))}, as together_with does"
        faults.append(PlacedFault((*place, "apart_from"), wrong, "keep one of the two"))
    for key, sites in (("allowed", rules.allowed), ("forbidden", rules.forbidden)):
        if sites == Sites():
            mend = "give server_types, servers or gpus, or leave it out"
            faults.append(PlacedFault((*place, key), "names no server and no GPU", mend))
    return faults
