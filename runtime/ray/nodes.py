"""Which node of a Ray cluster is which server of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from placement.problem.cluster import Cluster
from placement.problem.outcome import Infeasible
from placement.support.described import listed

SERVER_LABEL = "gswarm-server"
"""Label of a node that says which server of the plan it is, by its number."""

TYPE_LABEL = "gswarm-type"
"""Label of a node that says of which server type it is; a resource may say either too."""

NODE_ID_LABEL = "ray.io/node-id"
"""Label by which Ray itself tells nodes apart."""


@dataclass(frozen=True)
class Node:
    """A node of a Ray cluster that has GPUs.

    Parameters
    ----------
    id : str
        Ray's own name for it.
    address : str
        Of the machine; several nodes may share one.
    gpus : int
        GPUs that it was started with.
    free_gpus : float
        Those of them that nobody has reserved.
    server : int or None
        Server of the plan that it says it is.
    kind : str or None
        Server type that it says it is of.
    """

    id: str
    address: str
    gpus: int
    free_gpus: float
    server: int | None = None
    kind: str | None = None

    @property
    def shown(self) -> str:
        """Name in sentences: its address and the beginning of its id."""
        return f"{self.address} ({self.id[:8]})"

    @property
    def is_free(self) -> bool:
        """Whether nobody uses any of its GPUs."""
        return self.free_gpus >= self.gpus


def gpu_nodes() -> list[Node]:
    """Ask Ray for its living nodes with GPUs, by address and id."""
    import ray
    from ray._private.state import available_resources_per_node

    free = available_resources_per_node()
    nodes = []
    for entry in ray.nodes():
        resources = entry["Resources"]
        gpus = int(resources.get("GPU", 0))
        if not entry["Alive"] or not gpus:
            continue
        labels = {**_from_resources(resources), **entry["Labels"]}
        server = labels.get(SERVER_LABEL)
        nodes.append(
            Node(
                id=entry["NodeID"],
                address=entry["NodeManagerAddress"],
                gpus=gpus,
                free_gpus=float(free.get(entry["NodeID"], {}).get("GPU", 0.0)),
                server=int(server) if server is not None and server.isdecimal() else None,
                kind=labels.get(TYPE_LABEL),
            )
        )
    return sorted(nodes, key=lambda n: (n.address, n.id))


def _from_resources(resources: Iterable[str]) -> dict[str, str]:
    """Read resources such as ``gswarm-server:3`` as labels, for nodes that have none."""
    pairs = (name.partition(":") for name in resources)
    return {key: value for key, _, value in pairs if key in (SERVER_LABEL, TYPE_LABEL)}


def assign(
    cluster: Cluster,
    servers: Sequence[int],
    nodes: Iterable[Node],
    pinned: Mapping[int, str] | None = None,
) -> dict[int, Node]:
    """Give as many servers as possible a node each.

    A server gets the node that it is pinned to, else one that says it is this server, else one
    that says it is of its type, else one that says nothing and has as many GPUs. Only nodes of
    which no GPU is in use are taken.

    Parameters
    ----------
    servers : sequence of int
        Those that need a node.
    nodes : iterable of Node
    pinned : mapping of int to str, optional
        Address or beginning of the id of the node of single servers.

    Returns
    -------
    dict of int to Node
        Of the servers for which there is one.
    """
    pinned = pinned or {}
    free = sorted((n for n in nodes if n.is_free), key=lambda n: (n.gpus, n.address, n.id))
    found: dict[int, Node] = {}

    def take(server: int, suits: Iterable[Node]) -> None:
        node = next((n for n in suits if n.gpus >= cluster.server_gpus[server]), None)
        if node is not None:
            found[server] = node
            free.remove(node)

    def is_named(node: Node, name: str) -> bool:
        return node.address == name or node.id.startswith(name)

    for server in servers:
        if server in pinned:
            take(server, [n for n in free if is_named(n, pinned[server])])
    for server in servers:
        if server not in pinned:
            take(server, [n for n in free if n.server == server])
    free = [n for n in free if n.server is None]
    for server in servers:
        if server not in pinned and server not in found:
            kind = cluster.server_types[cluster.server_type[server]]
            said = [n for n in free if n.kind == kind.name]
            unsaid = [n for n in free if n.kind is None and n.gpus == kind.gpus]
            take(server, [*said, *unsaid])
    return found


def assign_all(
    cluster: Cluster,
    servers: Sequence[int],
    nodes: Sequence[Node],
    pinned: Mapping[int, str] | None = None,
) -> dict[int, Node]:
    """Give every server a node.

    Parameters
    ----------
    cluster : Cluster
    servers : sequence of int
        Those that need a node.
    nodes : sequence of Node
    pinned : mapping of int to str, optional
        Address or beginning of the id of the node of single servers.

    Raises
    ------
    ValueError
        Where it cannot be told of which type a node is.
    Infeasible
        With what is missing, and what there is.
    """
    found = assign(cluster, servers, nodes, pinned)
    _check_types(cluster, servers, found)
    lacking = [s for s in servers if s not in found]
    if lacking:
        raise Infeasible(
            f"the Ray cluster cannot hold the plan: {missing(cluster, lacking, pinned)}; there "
            f"{_there(nodes)}"
        )
    return found


def missing(
    cluster: Cluster, servers: Sequence[int], pinned: Mapping[int, str] | None = None
) -> str:
    """Say which nodes would have to be there.

    Parameters
    ----------
    cluster : Cluster
    servers : sequence of int
        Those that lack a node.
    pinned : mapping of int to str, optional
        Address or beginning of the id of the node of single servers.
    """
    parts = [
        f"server {s} needs node {pinned[s]} with {cluster.server_gpus[s]} free GPUs or more"
        for s in servers
        if pinned and s in pinned
    ]
    for t, kind in enumerate(cluster.server_types):
        mine = [s for s in servers if cluster.server_type[s] == t and s not in (pinned or {})]
        if mine:
            nodes = "1 more node" if len(mine) == 1 else f"{len(mine)} more nodes"
            numbers = ", ".join(map(str, mine[:8])) + (", ..." if len(mine) > 8 else "")
            parts.append(
                f"{nodes} with {kind.gpus} free GPUs needed for type {kind.name!r} (servers "
                f"{numbers})"
            )
    return "; ".join(parts)


def _there(nodes: Sequence[Node]) -> str:
    if not nodes:
        return "is no node with GPUs"
    shown = []
    for node in nodes:
        used = "" if node.is_free else f", {node.gpus - node.free_gpus:g} of them in use"
        shown.append(f"{node.shown} with {node.gpus} GPUs{used}")
    return ("is " if len(nodes) == 1 else "are ") + listed(shown, 8)


def _check_types(cluster: Cluster, servers: Sequence[int], found: Mapping[int, Node]) -> None:
    """Refuse to guess which of several types with as many GPUs a node is of."""
    kinds = {int(cluster.server_type[s]) for s in servers}
    for s, node in found.items():
        kind = cluster.server_types[cluster.server_type[s]]
        guessed = node.server is None and node.kind is None
        for t in sorted(kinds):
            other = cluster.server_types[t]
            differs = (other.memories_gb, other.speed, other.gpu_speeds) != (
                kind.memories_gb, kind.speed, kind.gpu_speeds,
            )  # fmt: skip
            if guessed and other.gpus == kind.gpus and differs:
                raise ValueError(
                    f"server types {kind.name!r} and {other.name!r} both have {kind.gpus} GPUs, "
                    f"and node {node.shown} does not say which it is; start it with "
                    f"--labels {TYPE_LABEL}={kind.name}, or name it with --node"
                )
