"""Why a plan is as it is: what each replica serves, and what is lost without it.

What a replica is worth is a difference, not an opinion: the placement without it is routed anew by
the linear program, under the cap of the plan. Marginal worths do not add up; two replicas may each
be worth nothing because the other is there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from placement.problem.plan import Plan
from placement.problem.solution import evaluate
from placement.problem.verdict import Remark
from placement.programs.least_load import least_bottleneck
from placement.programs.routing import best_routing
from placement.solver.milp import SolverSettings
from placement.support.described import counted, percent

ROUNDS_AWAY = 5e-7
"""Share, load or locality that rounds to nothing."""

MOST_SERVERS = 12
"""Kinds of servers explained one by one: those that serve most."""


def explain_model(plan: Plan, model: str, settings: SolverSettings | None = None) -> list[Remark]:
    """Say where a model stands, what it serves there, and what is lost without it.

    Parameters
    ----------
    plan : Plan
    model : str
        Its id.
    settings : SolverSettings, optional
        Of the linear programs.

    Raises
    ------
    ValueError
        The plan has no such model.
    """
    m = _index(plan.model_ids, model, "model")
    placement = plan.placement
    rows = np.flatnonzero(placement.model == m)
    if not len(rows):
        return [Remark(f"{model} has no replica: no request of the trace calls it", "expected")]
    remarks = [
        Remark(
            f"{model} has {counted(len(rows), 'replica')} on "
            f"{counted(len(np.unique(placement.server[rows])), 'server')}, which work "
            f"{plan.load[rows].sum():.2f} replicas' time together",
            "expected",
        )
    ]
    for servers in _alike(plan, np.unique(placement.server[rows]).tolist()):
        here = rows[placement.server[rows] == servers[0]]
        remarks.append(_worth(plan, m, here, servers, settings or SolverSettings()))
    return remarks


def reasons_here(
    plan: Plan,
    servers: Iterable[int],
    settings: SolverSettings | None = None,
    *,
    losses: bool = True,
) -> dict[tuple[int, int], str]:
    """Say for each model on some servers what it serves there and what is lost without it.

    Parameters
    ----------
    plan : Plan
    servers : iterable of int
        Their numbers.
    settings : SolverSettings, optional
        Of the linear programs, one for each model and server.
    losses : bool
        Otherwise no program is solved, and what is lost is not said.

    Returns
    -------
    dict of (int, int) to str
        By model and server.
    """
    placement = plan.placement
    found = {}
    for server in servers:
        here = placement.server == server
        for m in np.unique(placement.model[here]).tolist():
            rows = np.flatnonzero(here & (placement.model == m))
            serves = _served_whole(plan, m, server)
            if losses:
                lost = _loss(plan, rows, settings or SolverSettings())
                found[m, server] = f"serves {serves}; {lost}" if serves else lost
            elif serves:
                found[m, server] = f"serves {serves}"
            elif plan.load[rows].sum() <= ROUNDS_AWAY:
                found[m, server] = "a spare"
            else:
                found[m, server] = "serves steps of workflows that cross servers"
    return found


def explain_server(plan: Plan, server: int, settings: SolverSettings | None = None) -> list[Remark]:
    """Say what runs on a server, what keeps it from more, and what each of its models is worth.

    Parameters
    ----------
    plan : Plan
    server : int
        Its number in the cluster.
    settings : SolverSettings, optional
        Of the linear programs.

    Raises
    ------
    ValueError
        There is no such server.
    """
    if not 0 <= server < plan.cluster.n_servers:
        raise ValueError(
            f"there is no server {server}: they are numbered 0 to {plan.cluster.n_servers - 1}"
        )
    placement = plan.placement
    whole = {
        name: float(routing.home.share[routing.home.server == server].sum())
        for name, routing in zip(plan.workflow_ids, plan.routing, strict=True)
        if routing is not None
    }
    kept = ", ".join(
        f"{percent(share)} of {name}"
        for name, share in sorted(whole.items(), key=lambda pair: -pair[1])
        if share > ROUNDS_AWAY
    )
    text = f"runs {kept} from end to end" if kept else "runs no workflow from end to end"
    remarks = [Remark(f"server {server} {text}", "expected")]
    first = int(plan.cluster.first_gpu[server])
    loads = evaluate(plan.instance, plan.solution()).gpu_load
    mine = loads[first : first + int(plan.cluster.server_gpus[server])]
    cap = plan.instance.load_cap
    full = int((mine >= cap - 1e-6).sum())
    remarks.append(
        Remark(
            f"its GPUs are busy {percent(float(mine.min()))} to {percent(float(mine.max()))} of "
            f"the time; {counted(full, 'GPU')} at the cap of {percent(cap)}",
            "expected",
        )
    )
    rows = np.flatnonzero(placement.server == server)
    for m in dict.fromkeys(placement.model[rows].tolist()):
        here = rows[placement.model[rows] == m]
        remarks.append(_worth(plan, m, here, [server], settings or SolverSettings()))
    return remarks


def explain_workflow(plan: Plan, workflow: str) -> list[Remark]:
    """Say where a workflow runs from end to end, where its steps go else, and what is in the way.

    Raises
    ------
    ValueError
        The plan has no such workflow.
    """
    w = _index(plan.workflow_ids, workflow, "workflow")
    routing, placement = plan.routing[w], plan.placement
    if routing is None:
        return [Remark(f"{workflow} is not served: no request calls it, or a model is missing",
                       "expected")]  # fmt: skip
    home = routing.home
    total = float(home.share.sum())
    remarks = [
        Remark(
            f"{percent(total)} of {workflow} run from end to end on one server, "
            f"{counted(int((home.share > ROUNDS_AWAY).sum()), 'server')} in all",
            "expected",
        )
    ]
    needed = set(plan.instance.workflows[w].node_model.tolist())
    held: dict[int, set[int]] = defaultdict(set)
    for m, s in zip(placement.model.tolist(), placement.server.tolist(), strict=True):
        held[s].add(m)
    whole = [s for s in range(plan.cluster.n_servers) if needed <= held[s]]
    if total >= 1 - ROUNDS_AWAY:
        return remarks
    if not whole:
        nearest = max(range(plan.cluster.n_servers), key=lambda s: len(needed & held[s]))
        missing = ", ".join(plan.model_ids[m] for m in sorted(needed - held[nearest]))
        remarks.append(
            Remark(
                f"no server holds all of its models; server {nearest} comes nearest and lacks "
                f"{missing}",
                "expected",
            )
        )
        return remarks
    loads = evaluate(plan.instance, plan.solution()).gpu_load
    busy = []
    for m in sorted(needed):
        rows = np.flatnonzero((placement.model == m) & np.isin(placement.server, whole))
        least = min(_peak(plan, int(r), loads) for r in rows)
        if least >= plan.instance.load_cap - 1e-6:
            busy.append(plan.model_ids[m])
    servers = counted(len(whole), "server")
    verb = "holds" if len(whole) == 1 else "hold"
    if busy:
        text = f"{servers} {verb} all of its models, but {', '.join(busy)} is at the cap there"
    else:
        text = f"{servers} {verb} all of its models, and other workflows are kept there instead"
    remarks.append(Remark(text, "expected"))
    for node, spill in zip(plan.node_ids[w], routing.spill, strict=True):
        if spill.share.sum() > ROUNDS_AWAY:
            at = int(spill.server[int(spill.share.argmax())])
            remarks.append(
                Remark(
                    f"{percent(float(spill.share.sum()))} of step {node} run apart, most on server "
                    f"{at}",
                    "expected",
                )
            )
    return remarks


def _worth(
    plan: Plan, m: int, rows: np.ndarray, servers: list[int], settings: SolverSettings
) -> Remark:
    """What the replicas of a model on a server serve, and what is lost without them."""
    name, server = plan.model_ids[m], servers[0]
    serves = _served_whole(plan, m, server)
    also = f" (and {counted(len(servers) - 1, 'server')} like it)" if len(servers) > 1 else ""
    text = f"{name} is on server {server}{also}"
    if serves:
        text += f" for {serves}"
    elif plan.load[rows].sum() <= ROUNDS_AWAY:
        text += " as a spare"
    return Remark(f"{text}; {_loss(plan, rows, settings)}", "expected")


def _loss(plan: Plan, rows: Iterable[int], settings: SolverSettings) -> str:
    """What is lost when replicas go, in words."""
    instance = plan.instance
    left = np.ones(plan.placement.n_replicas, dtype=bool)
    left[list(rows)] = False
    without = plan.placement.only(left)
    there = without.replicas_per_model(len(instance.model_ids))
    if not there[list(instance.used_models)].all():
        return "without it nobody serves the model"
    before = evaluate(instance, plan.solution())
    routed = best_routing(instance, without, settings)
    if routed is None:
        upper, _ = least_bottleneck(instance, without, settings)
        return (
            f"without it the busiest GPU would work {percent(upper)} of the time, above the cap of "
            f"{percent(instance.load_cap)}"
        )
    after = evaluate(instance, routed)
    if after.objective >= before.objective - ROUNDS_AWAY:
        return "without it nothing would be lost"
    parts = []
    for what, old, new in (
        ("server efficiency", before.server_efficiency, after.server_efficiency),
        ("edges kept", before.edge_locality, after.edge_locality),
    ):
        if old - new > ROUNDS_AWAY:
            parts.append(f"{100 * (old - new):.2f} points of {what}")
    return f"without it {' and '.join(parts) or 'some locality'} would be lost"


def _served_whole(plan: Plan, m: int, server: int) -> str:
    """Workflows that call a model and run whole on a server, in words; "" where none does."""
    found = []
    for name, demand, routing in zip(
        plan.workflow_ids, plan.instance.workflows, plan.routing, strict=True
    ):
        if routing is None or m not in demand.node_model:
            continue
        share = float(routing.home.share[routing.home.server == server].sum())
        if share > ROUNDS_AWAY:
            found.append((share, name))
    return ", ".join(f"{percent(share)} of {name}" for share, name in sorted(found, reverse=True))


def _alike(plan: Plan, servers: list[int]) -> list[list[int]]:
    """Groups of servers that hold the same and serve the same shares; who serves most first."""
    placement = plan.placement
    content: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for m, s, i in placement.replicas():
        content[s].append((m, i))
    served = np.zeros(plan.cluster.n_servers)
    share: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for w, routing in enumerate(plan.routing):
        if routing is not None:
            pairs = zip(routing.home.server.tolist(), routing.home.share.tolist(), strict=True)
            for s, x in pairs:
                served[s] += x * plan.instance.workflows[w].rate
                share[s].append((w, round(x, 9)))
    groups: dict[object, list[int]] = defaultdict(list)
    for s in servers:
        kind = int(plan.cluster.server_type[s])
        groups[kind, tuple(sorted(content[s])), tuple(share[s])].append(s)
    order = sorted(groups.values(), key=lambda g: (-served[g[0]], g[0]))
    return order[:MOST_SERVERS]


def _peak(plan: Plan, replica: int, loads: np.ndarray) -> float:
    """Load of the busiest GPU of a replica."""
    first = int(plan.first_gpu[replica])
    return float(
        loads[first : first + int(plan.instance.gpus_required[plan.placement.model[replica]])].max()
    )


def _index(names: tuple[str, ...], name: str, kind: str) -> int:
    """Position of a name.

    Raises
    ------
    ValueError
        Naming the nearest one.
    """
    if name in names:
        return names.index(name)
    from difflib import get_close_matches  # only needed to explain a mistake

    near = get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names[:10])}"
    raise ValueError(f"the plan has no {kind} {name!r}; {hint}")
