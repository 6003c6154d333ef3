"""What counts as local, and how replicas may share GPUs."""

from __future__ import annotations

from dataclasses import dataclass, field

from placement.problem.names import OBJECTIVES, Objective
from placement.problem.placement_rules import PlacementRules
from placement.support.checks import check_choice, check_number, check_whole

ALPHA = 0.5
"""Weight of whole workflows in the mixed objective unless the user says otherwise."""

IMPLIED_ALPHA: dict[Objective, float] = {
    "workflow": 1.0,
    "edges": 0.0,
    "cooccurrence": 0.0,
    "traffic": 0.0,
}
"""Weight that an objective other than the mixed one stands for."""


@dataclass(frozen=True)
class Rules:
    """What a placement is to maximise, and how its replicas may share GPUs.

    Parameters
    ----------
    objective : {"mixed", "workflow", "edges", "cooccurrence", "traffic"}
        What counts as local: whole workflows and edges; whole workflows only; edges only; all
        pairs of nodes of one request, in place of the edges; or edges by the seconds that crossing
        servers costs them on the cluster's network.
    alpha : float or None
        Weight of whole workflows against edges in the mixed objective, from 0 to 1; None is 0.5.
        The other objectives fix it.
    exclusive : bool
        A GPU holds at most one replica.
    max_models_per_gpu : int or None
        Most replicas on one GPU; None: memory alone decides.
    placement : PlacementRules
        What else must hold of the placement, as `read_rules` gives it.

    Raises
    ------
    ValueError
        Where a field is out of its range, or `alpha` contradicts the objective.
    """

    objective: Objective = "mixed"
    alpha: float | None = None
    exclusive: bool = False
    max_models_per_gpu: int | None = None
    placement: PlacementRules = field(default_factory=PlacementRules)

    def __post_init__(self) -> None:
        check_choice(self, "objective", OBJECTIVES)
        if self.alpha is not None:
            check_number(self, "alpha", 0, 1)
            if self.alpha != self.workflow_weight:
                raise ValueError(
                    f"Rules: alpha is {self.alpha:g}, and objective {self.objective!r} fixes it at "
                    f"{self.workflow_weight:g}; leave alpha out, or take objective 'mixed'"
                )
        if self.max_models_per_gpu is not None:
            check_whole(self, "max_models_per_gpu", 1)

    @property
    def workflow_weight(self) -> float:
        """Weight alpha of whole workflows that objective and `alpha` give, in [0, 1]."""
        if self.objective != "mixed":
            return IMPLIED_ALPHA[self.objective]
        return ALPHA if self.alpha is None else self.alpha
