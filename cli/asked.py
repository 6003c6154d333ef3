"""What a command was asked for, as one frozen value: the groups that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from placement.problem.cluster import Cluster
    from placement.problem.names import Mode, SharingMode
    from placement.problem.placement_rules import PlacementRules
    from placement.problem.workload import Workload

MAX_UTILIZATION = 0.8
HEADROOM_SLACK = 0.05
GAP = 1e-4
"""Defaults of the options of these names."""

A = TypeVar("A")
Command = Callable[..., None]


def takes(asked: Callable[..., A]) -> Callable[[Callable[[A], None]], Command]:
    """Hand a command its options as one value, whose fields are named as the options are.

    Parameters
    ----------
    asked : type
        A frozen dataclass with a field for each option; stands right above the command.
    """

    def decorate(command: Callable[[A], None]) -> Command:
        @wraps(command)
        def called(**options: Any) -> None:
            command(asked(**options))

        called.__dict__["asked"] = asked
        return called

    return decorate


@dataclass(frozen=True, kw_only=True)
class InputFiles:
    """``--config`` and ``--requests``."""

    config: str
    requests: str

    @property
    def input_words(self) -> list[str]:
        """Write the options again, for a command to paste."""
        return ["--config", self.config, "--requests", self.requests]


@dataclass(frozen=True, kw_only=True)
class GivenCluster:
    """``--gpus`` with its companions, or ``--cluster``."""

    gpus: int | None
    gpus_per_server: int
    gpu_memory_gb: float
    cluster_file: str | None

    def cluster(self) -> Cluster:
        """Build the cluster that the options describe.

        Raises
        ------
        click.UsageError
            Where both ways are used, or neither.
        InputError
            As `read_cluster`.
        """
        from placement.files.cluster_file import read_cluster
        from placement.problem.cluster import Cluster

        if self.cluster_file is not None and self.gpus is None:
            return read_cluster(self.cluster_file)
        if self.gpus is None or self.cluster_file is not None:
            raise click.UsageError(
                "say what the cluster is: either --gpus N [--gpus-per-server K] "
                "[--gpu-memory-gb M], or --cluster FILE"
            )
        return Cluster.homogeneous(self.gpus, self.gpus_per_server, self.gpu_memory_gb)

    @property
    def cluster_words(self) -> list[str]:
        """Write the options again, for a command to paste."""
        if self.cluster_file is not None:
            return ["--cluster", self.cluster_file]
        return [
            "--gpus", str(self.gpus), "--gpus-per-server", str(self.gpus_per_server),
            "--gpu-memory-gb", f"{self.gpu_memory_gb:g}",
        ]  # fmt: skip


def share_gpus(cluster: Cluster, mode: SharingMode | None) -> Cluster:
    """Give the cluster with its GPUs shared as the option says, if it says anything."""
    if mode is None:
        return cluster
    return replace(cluster, sharing=replace(cluster.sharing, mode=mode))


@dataclass(frozen=True, kw_only=True)
class SharedCluster(GivenCluster):
    """A cluster, how its GPUs are shared, and by how many replicas."""

    gpu_sharing: SharingMode | None
    exclusive: bool
    max_models_per_gpu: int | None

    def cluster(self) -> Cluster:
        """Build the cluster that the options describe, its GPUs shared as they say."""
        return share_gpus(super().cluster(), self.gpu_sharing)

    @property
    def cluster_words(self) -> list[str]:
        """Write the options again, for a command to paste."""
        words = super().cluster_words
        if self.gpu_sharing is not None:
            words += ["--gpu-sharing", self.gpu_sharing]
        if self.exclusive:
            words.append("--exclusive")
        if self.max_models_per_gpu is not None:
            words += ["--max-models-per-gpu", str(self.max_models_per_gpu)]
        return words


@dataclass(frozen=True, kw_only=True)
class RuledCluster(SharedCluster):
    """A cluster with how it is shared, and ``--rules``."""

    rules_file: str | None

    def placement_rules(self, cluster: Cluster, workload: Workload) -> PlacementRules:
        """Read the rules of the file, if one is given.

        Raises
        ------
        InputError
            As `read_rules`.
        """
        from placement.files.rules_file import read_rules
        from placement.problem.placement_rules import PlacementRules

        if self.rules_file is None:
            return PlacementRules()
        return read_rules(self.rules_file, cluster, workload)

    @property
    def cluster_words(self) -> list[str]:
        """Write the options again, for a command to paste."""
        rules = [] if self.rules_file is None else ["--rules", self.rules_file]
        return super().cluster_words + rules


@dataclass(frozen=True, kw_only=True)
class Headroom:
    """``--max-utilization`` and ``--headroom-slack``."""

    max_utilization: float
    headroom_slack: float


@dataclass(frozen=True, kw_only=True)
class Solvable(InputFiles, RuledCluster, Headroom):
    """What says which plan is sought: inputs, cluster, rules, cap, mode and gap."""

    mode: Mode
    gap: float

    @property
    def solve_words(self) -> list[str]:
        """Write a solve of the same again, for a command to paste; defaults are left out."""
        words = ["solve", *self.input_words, *self.cluster_words]
        if self.mode != "online":
            words += ["--mode", self.mode]
        if self.max_utilization != MAX_UTILIZATION:
            words += ["--max-utilization", f"{self.max_utilization:g}"]
        if self.headroom_slack != HEADROOM_SLACK:
            words += ["--headroom-slack", f"{self.headroom_slack:g}"]
        if self.gap != GAP:
            words += ["--gap", f"{self.gap:g}"]
        return words


@dataclass(frozen=True, kw_only=True)
class Shown:
    """``--json`` and ``--quiet``."""

    as_json: bool
    quiet: bool

    @property
    def silent(self) -> bool:
        """Whether nothing is said while the command works."""
        return self.as_json or self.quiet
