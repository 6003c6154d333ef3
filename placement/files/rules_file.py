"""The rules file: what must hold of a placement, checked against the cluster it is for."""

from __future__ import annotations

import os
from collections.abc import Sequence

from placement.files.rules_schema import RulesFile, ServerGpus
from placement.files.schema_faults import check_shape
from placement.files.syntax.document import PlacedFault, load_document, raise_faults
from placement.problem.cluster import Cluster
from placement.problem.placement_rules import PlacementRules
from placement.problem.server_kinds import apply_rules
from placement.support.faults import Place


def read_rules(path: str | os.PathLike[str], cluster: Cluster) -> PlacementRules:
    """Read placement rules from a YAML or JSON file.

    Parameters
    ----------
    path : path-like
    cluster : Cluster
        The servers that the rules name by number.

    Raises
    ------
    InputError
        With every fault of the file: its shape, servers and GPUs that the cluster lacks.
    """
    document = load_document(path)
    file, faults = check_shape(RulesFile, document)
    faults += _gpu_faults(("excluded_gpus",), file.excluded_gpus, cluster)
    raise_faults(document, faults)
    rules = PlacementRules(
        excluded_gpus=tuple((e.server, tuple(sorted(e.gpus))) for e in file.excluded_gpus)
    )
    if not apply_rules(cluster, rules).usable_gpus.any():
        wrong, mend = "leaves no GPU of the cluster", "leave at least one to place on"
        raise_faults(document, [PlacedFault(("excluded_gpus",), wrong, mend)])
    return rules


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
