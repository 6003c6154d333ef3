"""The network of a cluster file: latencies and bandwidths, or profiles by name."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from placement.files.base_entry import Entry
from placement.problem.cluster import Network

MAX_SECONDS = 1e9
"""Longest time a file may state: thirty years, far beyond any service or load time."""

Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS)]

LINKS: dict[str, tuple[float, float]] = {
    "nvlink": (2e-6, 450.0),
    "pcie": (2e-6, 63.0),
    "rdma-400": (2e-6, 50.0),
    "rdma-100": (2e-6, 12.5),
    "tcp-25": (5e-5, 3.125),
}
"""Latency in seconds and GB a second, one way, of each profile (docs/locality.md: sources)."""

LinkProfile = Literal["nvlink", "pcie", "rdma-400", "rdma-100", "tcp-25"]
NetworkProfile = Literal["rdma-400", "rdma-100", "tcp-25"]


class LinkEntry(Entry):
    """A network: moving a payload takes latency + payload / bandwidth."""

    profile: LinkProfile | None = Field(
        default=None, description="a link by name, in place of what is left out beside it"
    )
    latency_s: Seconds | None = Field(
        default=None, description="seconds before the first byte arrives; 0 where it is left out"
    )
    bandwidth_gb_per_s: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        default=None, description="gigabytes a second; no limit where it is left out"
    )

    def values(self, default: str | None) -> tuple[float, float]:
        """Latency in seconds and bandwidth in GB a second; of a profile where nothing is said.

        Parameters
        ----------
        default : str or None
            Profile of the network, for a link that states nothing.
        """
        silent = self.latency_s is None and self.bandwidth_gb_per_s is None
        name = self.profile or (default if silent else None)
        latency_s, bandwidth = LINKS[name] if name else (0.0, math.inf)
        return (
            latency_s if self.latency_s is None else self.latency_s,
            bandwidth if self.bandwidth_gb_per_s is None else self.bandwidth_gb_per_s,
        )


class NetworkEntry(Entry):
    """The network inside servers and between them; what is left out takes no time."""

    profile: NetworkProfile | None = Field(
        default=None,
        description="a network by name: this between servers, NVLink inside them, where they say "
        "nothing else",
    )
    intra_server: LinkEntry = Field(default=LinkEntry(), description="inside one server")
    inter_server: LinkEntry = Field(default=LinkEntry(), description="between two servers")

    def network(self) -> Network:
        """Give the network that the entry describes."""
        inside = self.intra_server.values("nvlink" if self.profile else None)
        return Network(*inside, *self.inter_server.values(self.profile))
