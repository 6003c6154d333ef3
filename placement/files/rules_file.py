"""The rules file: what must hold of a placement, checked against the cluster it is for."""

from __future__ import annotations

import os
from collections.abc import Sequence

from placement.files.rules_schema import RulesFile, ServerGpus
from placement.files.schema_faults import check_shape
from placement.files.stated_rules import model_rule_faults, model_rules
from placement.files.syntax.document import PlacedFault, load_document, raise_faults
from placement.problem.cluster import Cluster
from placement.problem.placement_rules import PlacementRules
from placement.problem.server_kinds import apply_rules
from placement.problem.workload import Workload
from placement.support.faults import Place, suggest


def read_rules(
    path: str | os.PathLike[str], cluster: Cluster, workload: Workload
) -> PlacementRules:
    """Read placement rules from a YAML or JSON file.

    Parameters
    ----------
    path : path-like
    cluster : Cluster
        The servers that the rules name by number.
    workload : Workload
        The models that they name; what the config states of them already counts unless the file
        states it otherwise.

    Raises
    ------
    InputError
        With every fault of the file: its shape, servers, GPUs and models that there are not, rules
        that contradict each other.
    """
    document = load_document(path)
    file, faults = check_shape(RulesFile, document)
    faults += _gpu_faults(("excluded_gpus",), file.excluded_gpus, cluster)
    faults += _model_faults(file, cluster, workload)
    raise_faults(document, faults)
    rules = PlacementRules(
        excluded_gpus=tuple((e.server, tuple(sorted(e.gpus))) for e in file.excluded_gpus),
        models={name: model_rules(entry) for name, entry in file.models.items()},
    )
    if not apply_rules(cluster, rules).usable_gpus.any():
        wrong, mend = "leaves no GPU of the cluster", "leave at least one to place on"
        raise_faults(document, [PlacedFault(("excluded_gpus",), wrong, mend)])
    return rules


def _model_faults(file: RulesFile, cluster: Cluster, workload: Workload) -> list[PlacedFault]:
    """Models that the config lacks, and rules that no placement on this cluster can keep."""
    faults = []
    known = {m.id: m.rules for m in workload.models}
    for name, entry in file.models.items():
        place: Place = ("models", name)
        if name not in known:
            mend = suggest(name, known, "model")
            faults.append(PlacedFault(place, "is no model of the config", mend))
            continue
        faults += model_rule_faults(place, model_rules(entry).over(known[name]))
        if entry.spread is not None and entry.spread > cluster.n_servers:
            wrong = f"is {entry.spread}, and the cluster has {cluster.n_servers} servers"
            faults.append(PlacedFault((*place, "spread"), wrong, "lower it, or add servers"))
    return faults


def _gpu_faults(place: Place, entries: Sequence[ServerGpus], cluster: Cluster) -> list[PlacedFault]:
    """Servers that the cluster lacks, and GPUs that a server lacks."""
    faults = []
    for i, entry in enumerate(entries):
        if entry.server >= cluster.n_servers:
            faults.append(
                PlacedFault(
                    (*place, i, "server"),
                    f"is {entry.server}; the cluster has {cluster.n_servers} servers",
                    f"use a number from 0 to {cluster.n_servers - 1}",
                )
            )
            continue
        gpus = int(cluster.server_gpus[entry.server])
        faults += [
            PlacedFault(
                (*place, i, "gpus", j),
                f"is {gpu}; server {entry.server} has {gpus} GPUs",
                f"use numbers from 0 to {gpus - 1}, counted in the server",
            )
            for j, gpu in enumerate(entry.gpus)
            if gpu >= gpus
        ]
    return faults
