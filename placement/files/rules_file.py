"""The rules file: what must hold of a placement, checked against the cluster it is for."""

from __future__ import annotations

import os

from placement.files.base_entry import ServerGpus, SitesEntry
from placement.files.domains import as_domains, domain_faults
from placement.files.rules_schema import RulesFile
from placement.files.schema_faults import check_shape
from placement.files.stated_rules import model_rule_faults, model_rules
from placement.files.syntax.document import PlacedFault, load_document, raise_faults
from placement.problem.cluster import Cluster
from placement.problem.placement_rules import PlacementRules, merged_rules
from placement.problem.server_kinds import apply_rules
from placement.problem.space import block_starts
from placement.problem.workload import Workload
from placement.support.described import counted
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
    faults += [
        f
        for i, e in enumerate(file.excluded_gpus)
        for f in gpu_faults(("excluded_gpus", i), e, cluster)
    ]
    faults += _domain_faults(file, cluster) + _model_faults(file, cluster, workload)
    raise_faults(document, faults)
    rules = PlacementRules(
        excluded_gpus=tuple((e.server, tuple(sorted(e.gpus))) for e in file.excluded_gpus),
        models={name: model_rules(entry) for name, entry in file.models.items()},
        domains=tuple((name, as_domains(groups)) for name, groups in file.domains.items()),
    )
    applied = apply_rules(cluster, merged_rules(workload, rules))
    if not applied.usable_gpus.any():
        wrong, mend = "leaves no GPU of the cluster", "leave at least one to place on"
        raise_faults(document, [PlacedFault(("excluded_gpus",), wrong, mend)])
    raise_faults(document, _pin_faults(file, applied, workload))
    return rules


def _domain_faults(file: RulesFile, cluster: Cluster) -> list[PlacedFault]:
    """Server types that there are not, and groups that their servers cannot have."""
    faults = []
    gpus = {t.type_name: t.gpus for t in cluster.server_types}
    for name, groups in file.domains.items():
        place: Place = ("domains", name)
        if name not in gpus:
            mend = suggest(name, gpus, "server type")
            faults.append(PlacedFault(place, "is no server type of the cluster", mend))
        else:
            faults += domain_faults(place, groups, gpus[name])
    return faults


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
            wrong = f"is {entry.spread}, and the cluster has {counted(cluster.n_servers, 'server')}"
            faults.append(PlacedFault((*place, "spread"), wrong, "lower it, or add servers"))
        for key, sites in (("allowed", entry.allowed), ("forbidden", entry.forbidden)):
            if sites is not None:
                faults += _site_faults((*place, key), sites, cluster)
        for i, pin in enumerate(entry.pinned or ()):
            faults += gpu_faults((*place, "pinned", i), pin, cluster)
    return faults


def _site_faults(place: Place, sites: SitesEntry, cluster: Cluster) -> list[PlacedFault]:
    types = {t.type_name for t in cluster.server_types}
    faults = [
        PlacedFault(
            (*place, "server_types", i),
            f"{name!r} is no server type of the cluster",
            suggest(name, types, "server type"),
        )
        for i, name in enumerate(sites.server_types)
        if name not in types
    ]
    for key, numbers, there in (
        ("servers", sites.servers, cluster.n_servers),
        ("gpus", sites.gpus, cluster.max_gpus_per_server),
    ):
        faults += [
            PlacedFault((*place, key, i), f"is {n}", f"use numbers from 0 to {there - 1}")
            for i, n in enumerate(numbers)
            if n >= there
        ]
    return faults


def _pin_faults(file: RulesFile, applied: Cluster, workload: Workload) -> list[PlacedFault]:
    """Pins that are no block of the model, or on which none of its replicas may stand."""
    faults = []
    for name, entry in file.models.items():
        model = workload.models[workload.model_index[name]]
        for i, pin in enumerate(entry.pinned or ()):
            place: Place = ("models", name, "pinned", i, "gpus")
            gpus, k = sorted(pin.gpus), model.gpus_required
            kind = applied.server_types[applied.server_type[pin.server]]
            if gpus != list(range(gpus[0], gpus[0] + k)):
                wrong = f"is {pin.gpus}, and a replica takes {k} consecutive GPUs"
                faults.append(PlacedFault(place, wrong, f"name {counted(k, 'GPU')} in a row"))
            elif gpus[0] not in block_starts(kind, k, model.memory_per_gpu_gb, name):
                wrong = f"is {pin.gpus}, where none of its replicas may stand or fit"
                mend = "look at excluded_gpus, domains, allowed, forbidden and the GPUs' memory"
                faults.append(PlacedFault(place, wrong, mend))
    return faults


def gpu_faults(place: Place, entry: ServerGpus, cluster: Cluster) -> list[PlacedFault]:
    """A server that the cluster lacks, or GPUs that the server lacks.

    Parameters
    ----------
    place : tuple
        Of the entry in the file.
    entry : ServerGpus
    cluster : Cluster

    Returns
    -------
    list of PlacedFault
    """
    if entry.server >= cluster.n_servers:
        wrong = f"is {entry.server}; the cluster has {counted(cluster.n_servers, 'server')}"
        mend = f"use a number from 0 to {cluster.n_servers - 1}"
        return [PlacedFault((*place, "server"), wrong, mend)]
    gpus = int(cluster.server_gpus[entry.server])
    return [
        PlacedFault(
            (*place, "gpus", j),
            f"is {gpu}; server {entry.server} has {counted(gpus, 'GPU')}",
            f"use numbers from 0 to {gpus - 1}, counted in the server",
        )
        for j, gpu in enumerate(entry.gpus)
        if gpu >= gpus
    ]
