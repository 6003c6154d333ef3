"""What `gswarm-place solve` can be asked for, as its options and `cli.solve_run` know it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.asked import Shown
from cli.earlier import Earlier
from cli.scenarios import Scenarios
from cli.solve_step import Repeatable
from cli.survival import Survival

if TYPE_CHECKING:
    from placement.problem.names import Form, Method, Router


@dataclass(frozen=True, kw_only=True)
class Asked(Repeatable, Survival, Earlier, Scenarios, Shown):
    """What `gswarm-place solve` was asked for."""

    method: Method
    form: Form
    solver: str
    threads: int | None
    seed: int
    allow_partial: bool
    simulate_headroom: bool
    until_borne: bool
    history: str | None
    params: str | None
    force: bool
    refine: str | None
    refine_routing: Router
    refine_loss: float
    refine_evaluations: int
    refine_budget: float
