"""All that a deployment is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from placement.problem.plan import Plan
from placement.problem.workload import Model, Workload
from placement.support.equality import ByContent
from runtime.ray.seats import Seat

if TYPE_CHECKING:
    from runtime.live.answers import ServiceTimes
    from runtime.live.inference import Device
    from runtime.ray.own_model import OwnModel


@dataclass(frozen=True, eq=False)
class Blueprint(ByContent):
    """A plan, and how its replicas are to serve.

    Parameters
    ----------
    name : str
    plan : Plan
    workload : Workload
    times : ServiceTimes or None
        How long emulated calls take.
    device : {"cpu", "gpu"} or None
        What is to infer.
    own : mapping of str to OwnModel
        Classes of the user's, by model.
    time_scale : float
        Seconds that a second of the trace takes on emulated replicas.
    pinned : mapping of int to str
        Nodes of single servers.
    """

    name: str
    plan: Plan
    workload: Workload
    times: ServiceTimes | None
    device: Device | None = None
    own: Mapping[str, OwnModel] = field(default_factory=dict)
    time_scale: float = 1.0
    pinned: Mapping[int, str] = field(default_factory=dict)

    def model(self, seat: Seat) -> Model:
        """Model of a replica."""
        return self.workload.models[self.workload.model_index[self.plan.model_ids[seat.model]]]
