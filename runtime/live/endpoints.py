"""The endpoints file: at which address each replica of a plan is called, and how."""

from __future__ import annotations

import ipaddress
import os
import ssl
import warnings
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from placement.files.schema_faults import check_shape
from placement.files.syntax.document import Document, PlacedFault, load_document, raise_faults
from placement.files.unread_fields import InputWarning
from placement.problem.workload import Workload
from placement.support.described import listed
from placement.support.equality import ByContent
from placement.support.faults import suggest
from runtime.arrays import Problem
from runtime.live.endpoint_schema import CallEntry, EndpointsFile, ReplicaEntry
from runtime.live.keys import Key, key_from_environment, key_from_file
from runtime.live.kinds import SHAPES, Kind, join_url
from runtime.live.templates import ROOTS, gaps

TIMEOUT_S = 600.0
"""Longest a call may take where nothing says otherwise."""


@dataclass(frozen=True, eq=False)
class Endpoint(ByContent):
    """How one replica is called.

    Parameters
    ----------
    replica : int
    url : str
        The whole address.
    model_name : str
        What the server calls the model.
    body : dict
        Template of what is sent.
    output : str
        Place of the output in the answer.
    key : Key or None
    timeout_s : float
    """

    replica: int
    url: str
    kind: Kind
    model_name: str
    body: dict[str, Any]
    output: str
    key: Key | None
    timeout_s: float


@dataclass(frozen=True, eq=False)
class Endpoints(ByContent):
    """Every replica's endpoint, and what single nodes send instead.

    Parameters
    ----------
    of_replica : tuple of Endpoint, length P
    of_node : dict
        Body and output by workflow and node number, None for the model's.
    trust : ssl.SSLContext or None
        Certificates of the user's own.
    time_scale : float
        Seconds that a second of the trace takes on these servers.
    """

    of_replica: tuple[Endpoint, ...]
    of_node: dict[tuple[int, int], tuple[dict[str, Any] | None, str | None]]
    trust: ssl.SSLContext | None = None
    time_scale: float = 1.0

    @property
    def keys(self) -> tuple[Key, ...]:
        """Every key, each once."""
        return tuple({e.key.header(): e.key for e in self.of_replica if e.key}.values())


def read_endpoints(
    path: str | os.PathLike[str], problem: Problem, timeout_s: float = TIMEOUT_S
) -> Endpoints:
    """Read where the replicas of a run are served.

    Parameters
    ----------
    path : path-like
        YAML or JSON.
    problem : Problem
        The run; only replicas of models that its requests call need an endpoint.
    timeout_s : float
        Longest a call may take where the file does not say.

    Raises
    ------
    InputError
        With every fault of the file: replicas without an address or with two, unknown names,
        addresses that are none, keys that are not there, gaps that name nothing.
    """
    document = load_document(path)
    file, faults = check_shape(EndpointsFile, document)
    workload = problem.workload
    faults += _name_faults(file, workload)
    entries = _by_replica(file, problem, faults)
    found = []
    for p, (place, entry) in entries.items():
        model = workload.models[problem.placement.model[p]].id
        found.append(_endpoint(place, entry, file.models.get(model), model, timeout_s, faults))
    _check_gaps(file, workload, faults)
    trust = _trust(file.ca_file, faults)
    raise_faults(document, faults)
    _warn_of_open_keys(document, found)
    of_replica = {e.replica: e for e in found}
    unused = Endpoint(-1, "", "json", "", {}, "", None, timeout_s)
    return Endpoints(
        of_replica=tuple(of_replica.get(p, unused) for p in range(problem.n_replicas)),
        of_node=_node_calls(file, workload),
        trust=trust,
        time_scale=file.time_scale,
    )


def _by_replica(
    file: EndpointsFile, problem: Problem, faults: list[PlacedFault]
) -> dict[int, tuple[tuple[str | int, ...], ReplicaEntry]]:
    """Find the entry of every replica, and which are missing, unknown or there twice."""
    n = problem.n_replicas
    entries: dict[int, tuple[tuple[str | int, ...], ReplicaEntry]] = {}
    for i, entry in enumerate(file.replicas):
        place = ("replicas", i)
        if entry.replica >= n:
            wrong = f"is {entry.replica}; the plan has replicas 0 to {n - 1}"
            faults.append(PlacedFault((*place, "replica"), wrong, "take it out"))
        elif entry.replica in entries:
            wrong = f"{entry.replica} is there twice"
            faults.append(PlacedFault((*place, "replica"), wrong, "keep one of them"))
        else:
            entries[entry.replica] = (place, entry)
    called = {
        node.model
        for w in set(problem.workflow.tolist())
        for node in problem.workload.workflows[w].nodes
    }
    absent = [p for p, m in enumerate(problem.placement.model) if m in called and p not in entries]
    if absent:
        shown = listed([f"{p} ({_model_id(problem, p)})" for p in absent], 8)
        wrong = f"have no entry for replica {shown}"
        faults.append(PlacedFault(("replicas",), wrong, "add an address for each"))
    return entries


def _model_id(problem: Problem, replica: int) -> str:
    return str(problem.workload.models[problem.placement.model[replica]].id)


def _endpoint(
    place: tuple[str | int, ...],
    entry: ReplicaEntry,
    model: CallEntry | None,
    model_id: str,
    timeout_s: float,
    faults: list[PlacedFault],
) -> Endpoint:
    """Lay an entry over that of its model and the shape of its kind."""
    layers: tuple[CallEntry, ...] = (entry,) if model is None else (entry, model)

    def first(name: str, default: Any) -> Any:
        return next((v for e in layers if (v := getattr(e, name)) is not None), default)

    wrong = _url_fault(entry.url)
    if wrong:
        faults.append(PlacedFault((*place, "url"), *wrong))
    kind: Kind = first("kind", "chat")
    shape = SHAPES[kind]
    body = first("body", None)
    return Endpoint(
        replica=entry.replica,
        url=join_url(entry.url, first("path", shape.path)),
        kind=kind,
        model_name=first("name", model_id),
        body={**(shape.body if kind != "json" or body is None else {}), **(body or {})},
        output=first("output", shape.output),
        key=_key(place, model_id, layers, faults),
        timeout_s=first("timeout_s", timeout_s),
    )


def _key(
    place: tuple[str | int, ...],
    model_id: str,
    layers: tuple[CallEntry, ...],
    faults: list[PlacedFault],
) -> Key | None:
    for here, entry in zip((place, ("models", model_id)), layers, strict=False):
        if entry.key_env is None and entry.key_file is None:
            continue
        field = "key_env" if entry.key_env is not None else "key_file"
        if entry.key_env is not None and entry.key_file is not None:
            faults.append(PlacedFault((*here, "key_file"), "stands beside key_env", "keep one"))
        try:
            if entry.key_env is not None:
                return key_from_environment(entry.key_env)
            assert entry.key_file is not None
            return key_from_file(entry.key_file)
        except ValueError as error:
            fault = PlacedFault((*here, field), f"gives no key: {error}", "set it, or leave it out")
            if fault not in faults:
                faults.append(fault)
        return None
    return None


def _url_fault(text: str) -> tuple[str, str] | None:
    """Say what is wrong with an address, without repeating a password in it."""
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        return "is no address", "write http://HOST:PORT or https://HOST"
    if url.scheme not in ("http", "https") or not url.hostname:
        return f"is {text!r}, no address of a server", "write http://HOST:PORT or https://HOST"
    if url.username is not None or url.password is not None:
        return "holds a name or a password", "put the key into key_env or key_file"
    if url.query or url.fragment:
        return "has a query or a fragment", "write the address alone; put the path into `path`"
    return None


def _warn_of_open_keys(document: Document, endpoints: list[Endpoint]) -> None:
    """Say where a key would travel unencrypted, unless it stays on this machine."""
    open_ = {e.replica for e in endpoints if e.key and not _is_private(urlsplit(e.url))}
    if open_:
        text = (
            f"{os.fspath(document.path)}: the keys of replicas {sorted(open_)[:8]} would travel "
            "unencrypted over http://; use https://"
        )
        warnings.warn(InputWarning(text), stacklevel=1)


def _is_private(url: SplitResult) -> bool:
    host = url.hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    return url.scheme == "https" or loopback


def _name_faults(file: EndpointsFile, workload: Workload) -> list[PlacedFault]:
    faults = []
    for model in file.models:
        if model not in workload.model_index:
            mend = suggest(model, workload.model_index, "model")
            faults.append(PlacedFault(("models", model), "is no model of the config", mend))
    for w, nodes in file.workflows.items():
        if w not in workload.workflow_index:
            mend = suggest(w, workload.workflow_index, "workflow")
            faults.append(PlacedFault(("workflows", w), "is no workflow of the config", mend))
            continue
        known = [n.id for n in workload.workflows[workload.workflow_index[w]].nodes]
        for node in nodes:
            if node not in known:
                wrong, mend = f"is no node of workflow {w!r}", suggest(node, known, "node")
                faults.append(PlacedFault(("workflows", w, node), wrong, mend))
    return faults


def _check_gaps(file: EndpointsFile, workload: Workload, faults: list[PlacedFault]) -> None:
    """Refuse gaps that can never be filled; what a request brings is known only when it comes."""
    places: list[tuple[tuple[str | int, ...], Any, list[str] | None]] = [
        (("replicas", i, "body"), entry.body, None) for i, entry in enumerate(file.replicas)
    ]
    places += [(("models", m, "body"), entry.body, None) for m, entry in file.models.items()]
    for w, nodes in file.workflows.items():
        if w not in workload.workflow_index:
            continue
        flow = workload.workflows[workload.workflow_index[w]]
        index = {n.id: v for v, n in enumerate(flow.nodes)}
        for node, call in nodes.items():
            before = [flow.nodes[e.source].id for e in flow.edges if e.target == index.get(node)]
            places.append((("workflows", w, node, "body"), call.body, before))
    for place, body, parents in places:
        for gap in gaps(body):
            root, _, rest = gap.partition(".")
            if root not in ROOTS:
                wrong = f"has the gap ${{{gap}}}, which names nothing"
                faults.append(PlacedFault(place, wrong, suggest(root, ROOTS, "name")))
            elif root == "parents" and parents is not None and rest:
                parent = rest.partition(".")[0]
                if not any(rest == p or rest.startswith(f"{p}.") for p in parents):
                    wrong = f"has the gap ${{{gap}}}, and {parent!r} is no parent of the node"
                    faults.append(PlacedFault(place, wrong, suggest(parent, parents, "parent")))


def _node_calls(
    file: EndpointsFile, workload: Workload
) -> dict[tuple[int, int], tuple[dict[str, Any] | None, str | None]]:
    found = {}
    for w, nodes in file.workflows.items():
        number = workload.workflow_index[w]
        for v, node in enumerate(workload.workflows[number].nodes):
            if node.id in nodes:
                found[number, v] = (nodes[node.id].body, nodes[node.id].output)
    return found


def _trust(ca_file: str | None, faults: list[PlacedFault]) -> ssl.SSLContext | None:
    if ca_file is None:
        return None
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        wrong = f"cannot be read as certificates ({error.strerror or error})"
        faults.append(PlacedFault(("ca_file",), wrong, "name a PEM file"))
        return None
    return context
