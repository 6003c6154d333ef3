"""What was taken from files of other tools, and what could not be."""

from __future__ import annotations

import fnmatch
import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from placement.files.input_schema import ConfigFile, ModelEntry
from placement.files.schema_faults import check_shape
from placement.files.syntax.document import Document, load_document, raise_faults
from placement.support.faults import input_error

PLACEHOLDERS: dict[str, Any] = {"memory_gb": 0, "gpus_required": 1, "load_time_seconds": 0}
"""What a model is given where nothing says it, so that the config can be read; to be filled in."""

PLACEHOLDER_SECONDS = 1.0
"""Service time of a model of which no source says one."""


@dataclass
class Imported:
    """Models, workflows and requests as plain data, in the forms of config and trace.

    Parameters
    ----------
    models, workflows : dict
        Entries of a config by their keys.
    requests : list of dict
        In order of arrival; empty where the sources know of none.
    notes : Counter of str
        Sentences on what the sources say and these forms do not, with how often it occurs.
    """

    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    workflows: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, other: Imported) -> None:
        """Take in what another source says; of a model that both know, the fields of both."""
        for name, model in other.models.items():
            self.models[name] = {**model, **self.models.get(name, {})}
        for name, flow in other.workflows.items():
            free = name
            while free in self.workflows:
                free = f"{free} (2)"
            self.workflows[free] = flow
        self.requests += other.requests
        self.notes.update(other.notes)


def call_alone(imported: Imported) -> None:
    """Give each model a workflow of one call, where the sources have models alone."""
    if imported.workflows or not imported.models:
        return
    for name in imported.models:
        imported.workflows[name] = {"name": name, "nodes": [{"id": "call", "model": name}]}
    imported.notes["the sources have no workflows: each model has one of a single call"] += 1


def read_model_table(path: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Read fields of models by their names, or by patterns such as ``llama-*``.

    Parameters
    ----------
    path : path-like
        A config, or the part of one under ``models``.

    Raises
    ------
    InputError
        Where it is no mapping of mappings, or names a field that models do not have.
    """
    data = load_document(path).data
    table = data.get("models", data) if isinstance(data, dict) else data
    if not isinstance(table, dict) or not all(isinstance(v, dict) for v in table.values()):
        raise input_error(
            path, "", "holds no models", "write models by name or pattern, with their fields"
        )
    for name, entry in table.items():
        for key in entry.keys() - ModelEntry.model_fields.keys():
            raise input_error(path, f"{name}.{key}", "is no field of a model", "take it out")
    return table


def fill_models(
    imported: Imported,
    table: Mapping[str, Mapping[str, Any]],
    default: Mapping[str, Any],
    call_seconds: float | None = None,
) -> dict[str, list[str]]:
    """Complete the models by a table, then by defaults, then by placeholders.

    Parameters
    ----------
    imported : Imported
        Its models are completed in place.
    table : mapping
        Fields by name or pattern; they go before what the sources say, the first that fits first.
    default : mapping
        Fields of models that have none.
    call_seconds : float or None
        Service time of models that have none.

    Returns
    -------
    dict of str to list of str
        Fields that must be filled in by hand, by model.
    """
    open_fields: dict[str, list[str]] = {}
    for name, model in imported.models.items():
        # A name in full goes before a pattern.
        fits = [table[name]] if name in table else []
        fits += [entry for key, entry in table.items() if fnmatch.fnmatchcase(name, key)]
        for entry in reversed(fits):
            model.update(entry)
        model.setdefault("name", name)
        for key, value in default.items():
            if key != "memory_gb" or "weights_gb" not in model:
                model.setdefault(key, value)
        missing = [
            key
            for key in PLACEHOLDERS
            if key not in model and not (key == "memory_gb" and "weights_gb" in model)
        ]
        model.update({key: PLACEHOLDERS[key] for key in missing})
        # One GPU and no time to load are right for most; no memory is right for none.
        missing = [key for key in missing if key == "memory_gb"]
        timed = "inference_time_mean" in model or "tokens_per_second" in model
        if not timed:
            seconds = PLACEHOLDER_SECONDS if call_seconds is None else call_seconds
            model["inference_time_mean"] = seconds
        if not timed and call_seconds is None:
            missing.append("inference_time_mean")
        if missing:
            open_fields[name] = missing
            model["x-fill-in"] = missing
    return open_fields


def checked_config(imported: Imported, path: str | os.PathLike[str]) -> ConfigFile:
    """Check that models and workflows make a config that is read as it is.

    Parameters
    ----------
    path : path-like
        Where it is to be written, which faults name.

    Raises
    ------
    InputError
        With every fault.
    """
    data = {"models": imported.models, "workflows": imported.workflows}
    document = Document(path, data, json.dumps(data), "json")
    config, faults = check_shape(ConfigFile, document)
    raise_faults(document, faults)
    return config
