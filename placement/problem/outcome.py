"""What a solve is asked for, reports while it runs, and returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from placement.problem.instance import Instance
from placement.problem.names import FORMS, METHODS, MODES, Form, Method, Mode
from placement.problem.solution import Evaluation, Solution
from placement.support.checks import check_choice, check_number, check_whole
from placement.support.equality import ByContent
from placement.support.escaping import visible

if TYPE_CHECKING:
    from placement.params.search_params import SearchParams

HEADROOM_SLACK = 0.05
"""eps of the cap (1 + eps) U* unless the user says otherwise
(docs/model.md, "What is wanted, in order")."""

Status = Literal[
    "optimal", "gap", "time limit", "work limit", "interrupted", "heuristic", "refined"
]
"""`optimal`: the gap is at most `OPTIMAL_GAP`; `gap`: at most the gap asked for; `time limit`,
`work limit`, `interrupted`: stopped before that; `heuristic`: no bound was attempted; `refined`:
locality was given up for a simulated metric or for other demands."""

NO_BOUND = "no bound was sought; no locality exceeds 1"
"""Proof of the bound 1 where none was computed: it holds by what locality is."""

LARGEST_SEED = 2**31 - 1
"""Solvers take seeds as 32-bit integers."""

OPTIMAL_GAP = 1e-6
"""Relative gap up to which a plan is proven optimal: the tolerances of solvers leave no less."""


class Infeasible(Exception):  # noqa: N818 - the field's word
    """No plan holds every used model; the message names models, what is missing and the mend."""

    def __init__(self, message: str) -> None:
        super().__init__(visible(message))


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of a running solve.

    Parameters
    ----------
    phase : str
        What the solve is at.
    seconds : float
        Since it began.
    incumbent, best_bound : float or None
        Locality of the best plan so far, and the least bound on any; None if unknown.
    detail : str
        What else there is to say.
    """

    phase: str
    seconds: float
    incumbent: float | None
    best_bound: float | None
    detail: str = ""


ProgressCallback = Callable[[Progress], None]


def relative_gap(incumbent: float, best_bound: float) -> float:
    """(bound - incumbent) / |incumbent|, at least 0: the definition HiGHS and CBC use."""
    difference = max(0.0, best_bound - incumbent)
    if difference <= 1e-12:
        return 0.0
    return difference / abs(incumbent) if incumbent else float("inf")


def cap_for(bottleneck: float, target: float, slack: float) -> float:
    """Cap on GPU loads online: the target where it can be kept, else (1 + slack) U*.

    Parameters
    ----------
    bottleneck : float
        U*, the least attainable load of the most loaded GPU.
    target : float
        The load that `--max-utilization` asks for.
    slack : float
        Part of U* by which the cap exceeds it in overload, so that a choice of routes is left.

    Returns
    -------
    float
        A busy fraction; docs/model.md, "What is wanted, in order".
    """
    return target if bottleneck <= target else (1 + slack) * bottleneck


def earned_status(method: str, gap: float, wanted: float, stopped: Status) -> Status:
    """Status that a plan may state: what its gap says, whatever its solver believed.

    Parameters
    ----------
    method : str
        Name of the placement method: only ``ilp`` claims optimality.
    gap : float
        What the bound leaves open, relative to the incumbent.
    wanted : float
        The gap asked for.
    stopped : Status
        Why the solve ended, if not for its gap.
    """
    if method != "ilp":
        return "heuristic"
    if gap <= OPTIMAL_GAP:
        return "optimal"
    if stopped == "refined":
        return stopped
    if gap <= wanted:
        return "gap"
    return stopped if stopped in ("time limit", "interrupted") else "work limit"


@dataclass(frozen=True, eq=False)
class Certificate(ByContent):
    """How good a plan is proven to be, and how that was proven.

    Parameters
    ----------
    objective, best_bound, gap : float
        Locality of the plan, a proven upper bound on that of any plan, and their `relative_gap`.
        A heuristic has bound 1 (no locality exceeds 1).
    proof : str
        One sentence: why the bound is valid.
    duals : dict or None
        What `check --bound` needs to recompute the bound; None where branch and bound gave it.
    load_cap : float
        The cap on GPU loads that the program used.
    bottleneck_lower, bottleneck_upper : float
        Proven interval that holds U*, the least attainable bottleneck load.
    headroom_slack : float
        eps of the cap (1 + eps) U* that the solve was asked for in overload and offline.
    seconds : float or None
        Wall-clock seconds of the solve. A plan file leaves it out, so that equal inputs give
        equal bytes.
    deterministic : bool
        Whether the clock had no say in it (`Budget.cut_short`): on any machine, under any load,
        with any longer time limit the plan is the same.
    versions : dict of str to str
        Of this tool and of the solver's packages.
    """

    status: Status
    method: str
    form: str
    solver: str
    objective: float
    best_bound: float
    gap: float
    proof: str
    load_cap: float
    bottleneck_lower: float
    bottleneck_upper: float
    seed: int
    headroom_slack: float = HEADROOM_SLACK
    seconds: float | None = None
    deterministic: bool = True
    duals: dict[str, object] | None = None
    versions: dict[str, str] = field(default_factory=dict)


def _usual_params() -> SearchParams:
    from placement.params.search_params import DEFAULTS  # two dozen classes: plans need none

    return DEFAULTS


@dataclass(frozen=True)
class SolveOptions:
    """How a problem is solved; what it is to maximise is said by `Rules`.

    Parameters
    ----------
    method : str
        ``ilp``, ``greedy``, ``local-search`` or another heuristic of `names.METHODS`.
    form : {"auto", "compact", "patterns"}
        ``auto`` chooses between the ``compact`` program and server ``patterns``.
    mode : {"online", "offline"}
        Requests at their timestamps, or all at time 0: then only their mix counts.
    max_utilization : float
        Target for the busy fraction of the busiest GPU; where no placement keeps it, the least
        attainable counts.
    headroom_slack : float
        eps of the cap (1 + eps) U* in overload and offline: what the busiest GPU may carry above
        the least attainable load, so that more locality fits under the cap.
    solver : str
        Any solver PuLP knows, by name.
    time_limit_s : float or None
        Wall-clock limit over all phases in seconds; None is none.
    gap : float
        Relative gap at which to stop, from 0 to 1.
    threads : int or None
        Threads of the solver; None is 1.
    seed : int
        Of everything random; equal inputs and seeds give equal plans.
    allow_partial : bool
        Drop the least used workflows where not all models fit, in place of an error.
    balance : bool
        Spread the loads evenly among plans as good.
    balance_tolerance : float
        Locality that the balance phase may give up, as a fraction of the objective: no more than
        solvers' rounding, so that a plan proven optimal states the optimum.
    params : SearchParams
        What steers the searches; others than the defaults are for experiments, and the plan says
        so.

    Raises
    ------
    ValueError
        Where a field is out of its range.
    """

    method: Method = "ilp"
    form: Form = "auto"
    mode: Mode = "online"
    max_utilization: float = 0.8
    headroom_slack: float = HEADROOM_SLACK
    solver: str = "HiGHS"
    time_limit_s: float | None = 60.0
    gap: float = 1e-4
    threads: int | None = None
    seed: int = 0
    allow_partial: bool = False
    balance: bool = True
    balance_tolerance: float = 1e-9
    params: SearchParams = field(default_factory=_usual_params)

    def __post_init__(self) -> None:
        check_choice(self, "method", METHODS)
        check_choice(self, "form", FORMS)
        check_choice(self, "mode", MODES)
        # No more than 1 is asked of users; a cap that is known to be attainable may be above it.
        check_number(self, "max_utilization", 0, above_low=True)
        check_number(self, "headroom_slack", 0)
        if self.time_limit_s is not None:
            check_number(self, "time_limit_s", 0)
        check_number(self, "gap", 0, 1)
        if self.threads is not None:
            check_whole(self, "threads", 1)
        check_whole(self, "seed", 0, LARGEST_SEED)
        check_number(self, "balance_tolerance", 0, 1)
        from placement.params.search_params import SearchParams

        if not isinstance(self.params, SearchParams):
            raise ValueError(f"SolveOptions: params is {self.params!r}; give it SearchParams")


@dataclass(frozen=True)
class SolveResult:
    """A plan, what it is worth, how that was proven, and the course of the solve.

    Parameters
    ----------
    options : SolveOptions
        What the solve was asked for.
    """

    instance: Instance
    solution: Solution
    evaluation: Evaluation
    certificate: Certificate
    options: SolveOptions
    dropped_models: tuple[int, ...] = ()
    dropped_workflows: tuple[int, ...] = ()
    history: tuple[Progress, ...] = field(default=())


@dataclass(frozen=True, eq=False)
class FormOutcome(ByContent):
    """What one form of the program (compact or patterns) returns for the locality objective.

    Parameters
    ----------
    solution : Solution
        The best found; feasible for the instance, never worse than the start it was given.
    best_bound : float
        Proven upper bound on the objective of any feasible solution of the instance.
    status : Status
    proof : str
        One sentence: why `best_bound` is valid.
    duals : dict or None
        JSON-ready data from which `check --bound` recomputes the bound with one pricing solve.
    """

    solution: Solution
    best_bound: float
    status: Status
    proof: str
    duals: dict[str, object] | None = None


@dataclass(frozen=True)
class Bottleneck:
    """Proven interval of U*, the least attainable bottleneck load, and a solution at its top."""

    lower: float
    upper: float
    solution: Solution
