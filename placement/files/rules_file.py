"""The rules file: what must hold of a placement, checked against the cluster it is for."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence

from placement.files.domains import as_domains, domain_faults
from placement.files.rules_schema import RulesFile
from placement.files.schema_faults import check_shape
from placement.files.stated_rules import model_rule_faults, model_rules
from placement.files.syntax.document import PlacedFault, load_document, raise_faults
from placement.files.syntax.yaml_text import dotted_place
from placement.problem.blocks import block_starts
from placement.problem.cluster import Cluster
from placement.problem.model_rules import ModelRules, Sites
from placement.problem.placement_rules import PlacementRules, merged_rules
from placement.problem.server_kinds import apply_rules, located
from placement.problem.workload import Workload
from placement.support.described import counted
from placement.support.faults import FaultList, Place, suggest


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
        for f in gpu_faults(("excluded_gpus", i), e.server, e.gpus, cluster)
    ]
    faults += _domain_faults(file, cluster) + _model_faults(file, cluster, workload)
    raise_faults(document, faults)
    rules = PlacementRules(
        excluded_gpus=tuple((e.server, tuple(sorted(e.gpus))) for e in file.excluded_gpus),
        models={name: model_rules(entry) for name, entry in file.models.items()},
        domains=tuple((name, as_domains(groups)) for name, groups in file.domains.items()),
        spares=file.spares,
        pack=file.pack,
    )
    applied = apply_rules(cluster, merged_rules(workload, rules))
    if not applied.usable_gpus.any():
        wrong, mend = "leaves no GPU of the cluster", "leave at least one to place on"
        raise_faults(document, [PlacedFault(("excluded_gpus",), wrong, mend)])
    raise_faults(document, _pin_faults(rules.models, cluster, applied, workload))
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
        stated = model_rules(entry)
        faults += model_rule_faults(place, stated.over(known[name]))
        faults += _cluster_faults(place, name, stated, cluster, known)
    return faults


def check_config_rules(path: str | os.PathLike[str], workload: Workload, cluster: Cluster) -> None:
    """Hold the rules that a config states against the cluster they are for.

    Parameters
    ----------
    path : path-like
        The config.
    workload : Workload
    cluster : Cluster

    Raises
    ------
    InputError
        With every server, GPU, server type and model that there is not, and every pin that is no
        block of its model.
    """
    known = [m.id for m in workload.models]
    faults = FaultList(path)
    found: list[PlacedFault] = []
    for model in workload.models:
        found += _cluster_faults(("models", model.id), model.id, model.rules, cluster, known)
    if not found:
        applied = apply_rules(cluster, merged_rules(workload, PlacementRules()))
        rules = {m.id: m.rules for m in workload.models}
        found = _pin_faults(rules, cluster, applied, workload)
    for fault in found:
        faults.add(dotted_place(fault.place), fault.wrong, fault.mend)
    faults.raise_if_any()


def _cluster_faults(
    place: Place, name: str, rules: ModelRules, cluster: Cluster, known: Collection[str]
) -> list[PlacedFault]:
    """What the rules of a model name and there is not, or what cannot be on this cluster."""
    faults = []
    if rules.spread is not None and rules.spread > cluster.n_servers:
        wrong = f"is {rules.spread}, and the cluster has {counted(cluster.n_servers, 'server')}"
        faults.append(PlacedFault((*place, "spread"), wrong, "lower it, or add servers"))
    for key, sites in (("allowed", rules.allowed), ("forbidden", rules.forbidden)):
        if sites is not None:
            faults += _site_faults((*place, key), sites, cluster)
    types = {t.type_name: t for t in cluster.server_types}
    for kind, stated in rules.speed or ():
        if kind not in types:
            mend = suggest(kind, types, "server type")
            wrong = "is no server type of the cluster"
            faults.append(PlacedFault((*place, "speed", kind), wrong, mend))
        elif isinstance(stated, tuple) and len(stated) != types[kind].gpus:
            wrong = f"has {len(stated)} numbers, and the servers have {types[kind].gpus} GPUs"
            mend = "give one for each, or one for all"
            faults.append(PlacedFault((*place, "speed", kind), wrong, mend))
    for i, (server, gpus) in enumerate(rules.pinned or ()):
        faults += gpu_faults((*place, "pinned", i), server, gpus, cluster)
    for key, others in (("apart_from", rules.apart_from), ("together_with", rules.together_with)):
        for i, other in enumerate(others or ()):
            if other == name:
                wrong, mend = f"names {name!r} itself", "name another model, or leave it out"
                faults.append(PlacedFault((*place, key, i), wrong, mend))
            elif other not in known:
                wrong, mend = f"{other!r} is no model of the config", suggest(other, known, "model")
                faults.append(PlacedFault((*place, key, i), wrong, mend))
    return faults


def _site_faults(place: Place, sites: Sites, cluster: Cluster) -> list[PlacedFault]:
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


def _pin_faults(
    rules: Mapping[str, ModelRules], cluster: Cluster, applied: Cluster, workload: Workload
) -> list[PlacedFault]:
    """Pins that are no block of the model, or on which none of its replicas may stand."""
    faults = []
    for name, mine in rules.items():
        model = workload.models[workload.model_index[name]]
        for i, (server, named) in enumerate(mine.pinned or ()):
            place: Place = ("models", name, "pinned", i, "gpus")
            server, found = located(cluster, server, named)
            gpus, k = sorted(found), model.gpus_required
            kind = applied.server_types[applied.server_type[server]]
            if gpus != list(range(gpus[0], gpus[0] + k)):
                wrong = f"is {list(named)}, and a replica takes {k} consecutive GPUs"
                faults.append(PlacedFault(place, wrong, f"name {counted(k, 'GPU')} in a row"))
            elif gpus[0] not in block_starts(kind, k, model.memory_per_gpu_gb, name):
                wrong = f"is {list(named)}, where none of its replicas may stand or fit"
                mend = "look at excluded_gpus, domains, allowed, forbidden and the GPUs' memory"
                faults.append(PlacedFault(place, wrong, mend))
    return faults


def gpu_faults(
    place: Place, server: int | None, numbers: Sequence[int], cluster: Cluster
) -> list[PlacedFault]:
    """A server that the cluster lacks, or GPUs that the server or the cluster lacks.

    Parameters
    ----------
    place : tuple
        Of the entry in the file.
    server : int or None
        None where GPUs are numbered through the cluster.
    numbers : sequence of int
        The GPUs.
    cluster : Cluster

    Returns
    -------
    list of PlacedFault
    """
    if server is not None and server >= cluster.n_servers:
        wrong = f"is {server}; the cluster has {counted(cluster.n_servers, 'server')}"
        mend = f"use a number from 0 to {cluster.n_servers - 1}"
        return [PlacedFault((*place, "server"), wrong, mend)]
    gpus = cluster.n_gpus if server is None else int(cluster.server_gpus[server])
    what = "the cluster" if server is None else f"server {server}"
    faults = [
        PlacedFault(
            (*place, "gpus", j),
            f"is {gpu}; {what} has {counted(gpus, 'GPU')}",
            f"use numbers from 0 to {gpus - 1}"
            + ("" if server is None else ", counted in the server"),
        )
        for j, gpu in enumerate(numbers)
        if gpu >= gpus
    ]
    if server is None and not faults and len({cluster.gpu_server[g] for g in numbers}) > 1:
        wrong = f"is {list(numbers)}, on several servers"
        faults.append(PlacedFault((*place, "gpus"), wrong, "name GPUs of one server"))
    return faults
