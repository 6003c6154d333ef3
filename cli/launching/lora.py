"""Adapters of a plan: which server loads each, and by what name it is asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cli.formats.slots import Slot
from cli.launching import EngineName
from placement.problem.plan import Plan

_LORA: dict[EngineName, tuple[str, str]] = {
    "vllm": ("--max-loras", "--lora-modules"),
    "sglang": ("--max-loras-per-batch", "--lora-paths"),
}
"""Options for how many adapters a batch may hold, and for NAME=SOURCE of each."""


@dataclass(frozen=True)
class Adapter:
    """An adapter that a server loads beside its base.

    Parameters
    ----------
    id : str
        Its key in the config, by which it is asked for.
    source : str
        What the server loads.
    """

    id: str
    source: str

    @property
    def assignment(self) -> str:
        """``ID=SOURCE``, as engines read it.

        Raises
        ------
        ValueError
            Where the id holds an equals sign, or would be taken for an option.
        """
        if "=" in self.id or self.id.startswith("-"):
            raise ValueError(
                f"models.{self.id}: no server takes an adapter of this name; rename it without "
                "an equals sign, and not with a hyphen first"
            )
        return f"{self.id}={self.source}"


def lodgings(plan: Plan, slots: Sequence[Slot]) -> dict[int, int]:
    """For the replica of each adapter, the replica of its base on the same GPUs.

    Parameters
    ----------
    plan : Plan
        Says which models are adapters; none of one whose GPUs hold nothing else.
    slots : sequence of Slot
        All its replicas.
    """
    instance = plan.instance
    base_of = {
        instance.model_ids[m]: instance.model_ids[b]
        for m, b in enumerate(instance.base_of)
        if b >= 0
    }
    at = {(s.model, s.gpus): s.replica for s in slots}
    return {s.replica: at[base_of[s.model], s.gpus] for s in slots if s.model in base_of}


def servers_of(slots: Sequence[Slot], homes: Mapping[int, int]) -> list[Slot]:
    """The replicas that are servers of their own, each with the memory of its adapters.

    Parameters
    ----------
    slots : sequence of Slot
        All replicas of a plan.
    homes : mapping of int to int
        `lodgings` of them.
    """
    memory, share = defaultdict[int, float](float), defaultdict[int, float](float)
    for s in slots:
        home = homes.get(s.replica, s.replica)
        memory[home] += s.memory_per_gpu_gb
        share[home] += s.memory_share
    return [
        replace(s, memory_per_gpu_gb=memory[s.replica], memory_share=share[s.replica])
        for s in slots
        if s.replica not in homes
    ]


def adapter_options(engine: EngineName, adapters: Sequence[Adapter]) -> tuple[str, ...]:
    """Options by which a server of an engine loads adapters; none where there are none."""
    if not adapters:
        return ()
    many, names = _LORA[engine]
    return (
        "--enable-lora", many, str(len(adapters)), names, *(a.assignment for a in adapters),
    )  # fmt: skip


def asked_name(engine: EngineName | None, base: str, adapter: str) -> str:
    """Name by which a server is asked for an adapter.

    Parameters
    ----------
    engine : str or None
        What the server is.
    base, adapter : str
        Names of the two.
    """
    return f"{base}:{adapter}" if engine == "sglang" else adapter
