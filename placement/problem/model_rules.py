"""What operators demand of the replicas of one model."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class ModelRules:
    """What must hold of the replicas of one model.

    Parameters
    ----------
    min_replicas, max_replicas : int or None
        Least and most replicas in all.
    spread : int or None
        Least number of servers that hold a replica.
    """

    min_replicas: int | None = None
    max_replicas: int | None = None
    spread: int | None = None

    def over(self, other: ModelRules) -> ModelRules:
        """These rules, and of the other ones those that these do not state."""
        stated = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}
        return replace(other, **stated)
