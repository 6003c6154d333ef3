"""The answer before the figures: is a plan good enough, why, and how is that known."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite
from typing import Literal

import numpy as np

from placement.problem.cluster import GpuSharing
from placement.problem.names import SIMULATED_HEADROOM
from placement.problem.plan import Plan
from placement.problem.solution import evaluate
from placement.support.described import counted, listed, percent

Level = Literal["good", "fair", "poor"]
Known = Literal["proven", "expected", "simulated", "measured", "assumed"]
"""How a statement is known: by proof; at mean rates, where nobody queues; from a simulation; from
servers that really answered; by a default that nobody has measured here."""

NARROW = 1.05
"""Headroom below which a little more traffic is too much: what two simulations differ by."""

WHOLE = 0.9995
"""Share of requests that is shown as all of them."""

NAMED = 3
"""Dropped workflows that are named; the rest are counted."""

AS_GOOD = 1e-4
"""Gap below which nobody asks for more, however the solve ended: solves stop there by default."""

SPARE = 1e-9
"""Busy fraction up to which a replica serves nothing."""


@dataclass(frozen=True)
class Remark:
    """One sentence on a plan or a run, and how it is known."""

    text: str
    known: Known


@dataclass(frozen=True)
class Verdict:
    """Good enough or not, in words.

    Parameters
    ----------
    level : {"good", "fair", "poor"}
        Shown in green, amber and red.
    headline : str
        What decides the level.
    remarks : tuple of Remark
        What else to know: other doubts, the busiest GPU, who suffers, what is idle.
    """

    level: Level
    headline: str
    remarks: tuple[Remark, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Lay it out for ``--json``."""
        remarks = [{"text": r.text, "known": r.known} for r in self.remarks]
        return {"level": self.level, "headline": self.headline, "remarks": remarks}


def judge(poor: list[Remark], fair: list[Remark], good: str, remarks: list[Remark]) -> Verdict:
    """Give the verdict that the gravest doubt makes.

    Parameters
    ----------
    poor, fair : list of Remark
        Doubts; the first decides, the others come after the headline.
    good : str
        What to say where there is no doubt.
    remarks : list of Remark
        What else there is to say.
    """
    if not poor and not fair:
        return Verdict("good", good, tuple(remarks))
    first, *others = [*poor, *fair]
    return Verdict("poor" if poor else "fair", first.text, (*others, *remarks))


def plan_verdict(plan: Plan) -> Verdict:
    """Judge a plan by what it states.

    Red is a plan that cannot serve the trace (overload, dropped workflows, a simulated headroom
    under 1), or of which nothing is known: its bound is 1, which no plan exceeds anyway. Amber is
    a gap that is not closed as asked for, a heuristic, a busiest GPU above its target, little
    headroom.

    Parameters
    ----------
    plan : Plan
    """
    certificate, expected = plan.certificate, plan.expected
    borne = expected.get(SIMULATED_HEADROOM)
    busiest, target = expected["max_utilization"], plan.max_utilization
    online = plan.mode == "online"  # offline all comes at once, and only the mix matters
    poor: list[Remark] = []
    fair: list[Remark] = []
    if plan.dropped:
        kind = "workflow" if len(plan.dropped) == 1 else "workflows"
        lost = listed(plan.dropped, NAMED)
        poor.append(_expected(f"{kind} {lost} cannot be served: the models do not fit"))
    if online and busiest >= 1:
        poor.append(
            _expected(
                f"overload: the busiest GPU would have to work {percent(busiest, 0)} of the time, "
                "so queues grow without end"
            )
        )
    elif borne is not None and borne < 1:
        said = f"queues would grow: the simulation bears out {borne:.2f} of the trace's rate"
        poor.append(Remark(said, "simulated"))
    elif online and target is not None and busiest > target * (1 + SPARE):
        fair.append(
            _expected(
                f"the busiest GPU is above its target of {percent(target, 0)}, and no placement "
                "is known that keeps it"
            )
        )
    if borne is not None and 1 <= borne < NARROW:
        said = f"little to spare: the simulation bears out {borne:.2f} of the trace's rate"
        fair.append(Remark(said, "simulated"))
    if certificate.status == "heuristic":
        said = f"{certificate.method} is a heuristic: how far from the best it is, is unknown"
        fair.append(_expected(said))
    elif certificate.status not in ("optimal", "gap") and certificate.gap > AS_GOOD:
        if certificate.best_bound >= 1 - SPARE:
            poor.append(
                _expected(
                    "nothing is proven of this plan yet: the solve ended before it had a bound "
                    "below 1, which no plan exceeds"
                )
            )
        else:
            fair.append(
                _expected(
                    f"the best plan has a locality between {certificate.objective:.4f}, which is "
                    f"this one's, and {certificate.best_bound:.4f}; the solve ended before it knew "
                    "more"
                )
            )
    best = (
        "no plan keeps more requests and edges on one server"
        if certificate.status == "optimal"
        else f"no plan is better by more than {percent(certificate.gap, 2)}"
    )
    by = "" if borne is not None else "by mean loads "
    return judge(poor, fair, f"{best}, and {by}the GPUs have room to spare", _remarks(plan))


def _expected(text: str) -> Remark:
    return Remark(text, "expected")


def _remarks(plan: Plan) -> list[Remark]:
    """The busiest GPU, the workflow that keeps least together, what is idle or spare."""
    instance, placement = plan.instance, plan.placement
    found = []
    load = evaluate(instance, plan.solution()).gpu_load
    gpu = int(np.argmax(load))
    server = int(plan.cluster.gpu_server[gpu])
    first = plan.first_gpu
    there = (first <= gpu) & (gpu < first + instance.gpus_required[placement.model])
    if load[gpu] > 0:
        on_it = np.flatnonzero(there)
        most = on_it[np.argmax(plan.load[on_it])]
        found.append(
            Remark(
                f"busiest: GPU {gpu} of server {server}, {percent(float(load[gpu]))} of the time, "
                f"most of it for {plan.model_ids[placement.model[most]]}",
                "expected",
            )
        )
    kept = {
        name: float(routing.home.share.sum())
        for name, routing in zip(plan.workflow_ids, plan.routing, strict=True)
        if routing is not None
    }
    if kept:
        least = min(kept, key=lambda name: kept[name])
        if kept[least] < WHOLE:
            found.append(
                Remark(
                    f"{least} is spread most: {percent(kept[least])} of its requests stay on one "
                    "server",
                    "expected",
                )
            )
    if _shares_by_default(plan):
        share = percent(plan.cluster.sharing.kept(2), 0)
        found.append(
            Remark(
                f"replicas that share a GPU keep {share} of it together; `calibrate` measures it",
                "assumed",
            )
        )
    empty = plan.cluster.n_gpus - int(covered(plan).sum())
    spare = int((plan.load <= SPARE).sum())
    if empty or spare:
        words = [f"{counted(empty, 'GPU')} {'holds' if empty == 1 else 'hold'} nothing"]
        words = words if empty else []
        if spare:
            words.append(f"{counted(spare, 'replica')} {'is' if spare == 1 else 'are'} spare")
        found.append(Remark(" and ".join(words), "expected"))
    return found


def _shares_by_default(plan: Plan) -> bool:
    """Whether loaded replicas share a GPU, at a cost that the cluster does not state."""
    sharing = plan.cluster.sharing
    loaded = plan.load > SPARE
    return sharing == GpuSharing() and bool((_held(plan, loaded) > 1).any())


def covered(plan: Plan) -> np.ndarray:
    """Whether each GPU holds a replica, bool of shape (N,)."""
    return np.asarray(_held(plan, np.ones(len(plan.load), dtype=bool)) > 0)


def _held(plan: Plan, which: np.ndarray) -> np.ndarray:
    """Count these replicas on each GPU, int64 of shape (N,)."""
    length = plan.instance.gpus_required[plan.placement.model]
    edges = np.zeros(plan.cluster.n_gpus + 1, dtype=np.int64)
    np.add.at(edges, plan.first_gpu[which], 1)
    np.add.at(edges, (plan.first_gpu + length)[which], -1)
    return np.asarray(np.cumsum(edges[:-1]))


def more_servers(plan: Plan, busiest: float, target: float) -> int:
    """Servers to add, of the mix there is, until the busiest GPU keeps its target; 0 where it does.

    A whole multiple of the cluster may repeat the plan, and divides every load by that multiple;
    between two multiples this is a guess.

    Parameters
    ----------
    plan : Plan
    busiest : float
        Its load on the servers there are.
    target : float
        What it should be, above 0.
    """
    if busiest <= target or not isfinite(busiest):
        return 0
    return ceil(plan.cluster.n_servers * (busiest / target - 1))


def roomier_target(plan: Plan) -> float | None:
    """Target for the busiest GPU under which queues should stay short; None where they do.

    Loads by mean rates say less than queues do by the factor between the two headrooms, so a
    target that is lower by what the simulated headroom lacks to `NARROW` should leave it. Two
    digits, rounded down: the simulation knows no more.

    Parameters
    ----------
    plan : Plan
        Whose simulated headroom may be below 1.
    """
    borne = plan.expected.get(SIMULATED_HEADROOM)
    if borne is None or borne >= 1:
        return None
    return floor(100 * plan.expected["max_utilization"] * borne / NARROW) / 100
