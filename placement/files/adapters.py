"""Adapters of a config: models that share the weights of their base on its GPUs."""

from __future__ import annotations

from collections.abc import Mapping

from placement.files.input_schema import ModelEntry
from placement.files.syntax.document import Document, PlacedFault
from placement.files.syntax.yaml_text import dotted_place
from placement.files.unread_fields import warn_each
from placement.support.faults import Fault, Place, suggest

SLIGHTLY_MORE = 1.25
"""Memory over that of its base up to which a model without adapter_gb is taken for an adapter."""


def share_bases(models: Mapping[str, ModelEntry]) -> dict[str, ModelEntry]:
    """Give the models with `adapter_gb` where it follows from memory and base."""
    return {
        key: entry.model_copy(update={"adapter_gb": more})
        if (more := _taken_for(entry, models)) is not None
        else entry
        for key, entry in models.items()
    }


def _taken_for(entry: ModelEntry, models: Mapping[str, ModelEntry]) -> float | None:
    """GB beside its base of a model that says no more than its whole memory; None for others."""
    base = models.get(entry.base_model or "")
    if base is None or entry.adapter_gb is not None or base.adapter_gb is not None:
        return None
    mine, theirs = entry.memory_gb, base.memory_gb
    if mine is None or theirs is None or entry.gpus_required != base.gpus_required:
        return None
    return mine - theirs if theirs < mine <= SLIGHTLY_MORE * theirs else None


def warn_of_adapters(document: Document, models: Mapping[str, ModelEntry]) -> None:
    """Say which models are taken for adapters of their base."""
    found = []
    for key, entry in models.items():
        more = _taken_for(entry, models)
        if more is not None:
            wrong = (
                f"is a model of this config, and {key!r} takes {more:.3g} GB more: it is taken for "
                "an adapter that shares its weights"
            )
            place = dotted_place(("models", key, "base_model"))
            mend = f"state adapter_gb: {more:.3g} in place of memory_gb, or drop base_model"
            found.append(Fault(str(document.path), place, wrong, mend))
    warn_each(document.path, found)


def adapter_faults(
    place: Place, entry: ModelEntry, models: Mapping[str, ModelEntry]
) -> list[PlacedFault]:
    """Adapters without a base to stand on, or of another shape than it.

    Parameters
    ----------
    place : tuple
        Of the model in the file.
    entry : ModelEntry
    models : mapping of str to ModelEntry
        All of the file.

    Returns
    -------
    list of PlacedFault
    """
    if entry.adapter_gb is None:
        return []
    here = (*place, "adapter_gb")
    named = models.get(entry.base_model or "")
    if entry.memory_gb is not None and named is not None:
        base_gb = named.memory_gb
        if base_gb is not None and abs(entry.memory_gb - base_gb - entry.adapter_gb) > 1e-6:
            wrong = f"and that of the base make {base_gb + entry.adapter_gb:g} GB"
            return [PlacedFault(here, wrong, "leave memory_gb out, or make them agree")]
    if entry.base_model is None:
        return [PlacedFault(here, "stands without base_model", "name the model it stands on")]
    base = models.get(entry.base_model)
    if base is None:
        mend = suggest(entry.base_model, models, "model")
        wrong = f"{entry.base_model!r} is no model of the config"
        return [PlacedFault((*place, "base_model"), wrong, mend)]
    if base.adapter_gb is not None:
        wrong = f"{entry.base_model!r} is an adapter itself"
        return [PlacedFault((*place, "base_model"), wrong, "name its base")]
    if base.gpus_required != entry.gpus_required:
        wrong = f"is {entry.gpus_required}, and its base takes {base.gpus_required} GPUs"
        return [PlacedFault((*place, "gpus_required"), wrong, "an adapter stands on the same GPUs")]
    return []
