"""What operators demand of the replicas of one model."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from placement.problem.cluster import Speeds


@dataclass(frozen=True)
class Sites:
    """Where replicas may stand, or may not.

    Parameters
    ----------
    server_types : tuple of str
        Servers of these types.
    servers : tuple of int
        Servers of these numbers.
    gpus : tuple of int
        GPUs of these numbers within their server; all where there is none.
    """

    server_types: tuple[str, ...] = ()
    servers: tuple[int, ...] = ()
    gpus: tuple[int, ...] = ()

    @property
    def anywhere(self) -> bool:
        """Whether all servers are meant."""
        return not self.server_types and not self.servers


@dataclass(frozen=True)
class ModelRules:
    """What must hold of the replicas of one model.

    Parameters
    ----------
    min_replicas, max_replicas : int or None
        Least and most replicas in all.
    spread : int or None
        Least number of servers that hold a replica.
    allowed : Sites or None
        Its replicas stand on these servers and GPUs alone.
    forbidden : Sites or None
        None of its replicas stands there.
    pinned : tuple of (server, tuple of int), or None
        A replica stands on these GPUs of the server, by their numbers in it; where there is no
        server, by their numbers in the cluster.
    apart_from : tuple of str, or None
        No server holds a replica and one of these models.
    together_with : tuple of str, or None
        A server that holds a replica holds one of each of these models.
    speed : tuple of (str, float or tuple of float), or None
        By server type: how fast the model is there, in place of the type's speed; on each GPU in
        order where they differ.
    """

    min_replicas: int | None = None
    max_replicas: int | None = None
    spread: int | None = None
    allowed: Sites | None = None
    forbidden: Sites | None = None
    pinned: tuple[tuple[int | None, tuple[int, ...]], ...] | None = None
    apart_from: tuple[str, ...] | None = None
    together_with: tuple[str, ...] | None = None
    speed: tuple[tuple[str, Speeds], ...] | None = None

    @property
    def on_numbers(self) -> ModelRules:
        """The rules on the numbers of replicas and on their company."""
        return replace(self, allowed=None, forbidden=None, pinned=None, speed=None)

    def over(self, other: ModelRules) -> ModelRules:
        """These rules, and of the other ones those that these do not state."""
        stated = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}
        return replace(other, **stated)

    def closed_on(self, type_name: str, server: int | None, gpus: int) -> set[int]:
        """GPUs on which no replica may stand, of a server or of those of its type in general.

        Parameters
        ----------
        type_name : str
        server : int or None
            Its number; None for a server that no rule names.
        gpus : int
            GPUs of the server.

        Returns
        -------
        set of int
        """
        every, closed = set(range(gpus)), set[int]()

        def meant(sites: Sites) -> bool:
            return sites.anywhere or type_name in sites.server_types or server in sites.servers

        if self.allowed is not None:
            given = set(self.allowed.gpus) or every
            closed |= every - given if meant(self.allowed) else every
        if self.forbidden is not None and meant(self.forbidden):
            closed |= set(self.forbidden.gpus) & every if self.forbidden.gpus else every
        return closed
