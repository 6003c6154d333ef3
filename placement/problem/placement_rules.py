"""What operators demand of a placement beyond memory and sharing, by the names that they use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PlacementRules:
    """The rules of one rules file.

    Parameters
    ----------
    excluded_gpus : tuple of (server, tuple of int)
        GPUs of a server on which no replica may stand, by their number in the server.
    """

    excluded_gpus: tuple[tuple[int, tuple[int, ...]], ...] = ()
