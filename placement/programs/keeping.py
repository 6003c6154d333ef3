"""Placements that keep the rules, and rules that cannot hold together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pulp

from placement.heuristics.coverage import cover_anew
from placement.heuristics.mending import mend
from placement.problem.cluster import ServerType
from placement.problem.instance import Instance
from placement.problem.outcome import Infeasible
from placement.problem.placement_rules import no_requirements
from placement.problem.solution import Placement, Replica
from placement.problem.violations import gpu_violations, rule_violations
from placement.programs.compact import CompactProgram
from placement.programs.idle_servers import first_servers
from placement.solver.budget import Budget
from placement.solver.milp import Manner, Pairs, SolverSettings, Stop, linear, solve_program
from placement.support.described import counted


def keep_rules(
    instance: Instance,
    placement: Placement,
    settings: SolverSettings,
    budget: Budget | None = None,
) -> Placement:
    """Give a placement that keeps the rules, with as much as may be of the one given.

    Parameters
    ----------
    instance : Instance
    placement : Placement
        Any placement on its servers.
    settings : SolverSettings
    budget : Budget, optional

    Returns
    -------
    Placement

    Raises
    ------
    Infeasible
        None was found.
    """
    mended = mend(instance, placement)
    if mended is not None:
        return mended
    found, _ = _nearest(instance, placement, settings, budget)
    if found is None:
        raise Infeasible(
            "no placement was found that keeps the rules: "
            f"{'; '.join(sentence for sentence, _ in _rules(instance))}; "
            "loosen one of them, or add servers"
        )
    return found


def ensure_rules(
    instance: Instance, settings: SolverSettings, budget: Budget | None = None
) -> None:
    """Check that some placement keeps the rules.

    Parameters
    ----------
    instance : Instance
        Its used models fit but for the rules.
    settings : SolverSettings
    budget : Budget, optional

    Raises
    ------
    Infeasible
        Names a smallest set of rules that cannot hold together.
    """
    if not instance.ruled or _holds(instance, settings, budget) is not False:
        return
    conflict = smallest_conflict(instance, settings, budget)
    one = len(conflict) == 1
    which = "this rule cannot be kept" if one else "these rules cannot hold together"
    raise Infeasible(
        f"{which} on {counted(instance.cluster.n_gpus, 'GPU')} of "
        f"{counted(instance.cluster.n_servers, 'server')}: "
        f"{'; '.join(conflict)}; loosen {'it' if one else 'one of them'}, or add servers or memory"
    )


def smallest_conflict(
    instance: Instance, settings: SolverSettings, budget: Budget | None = None
) -> list[str]:
    """Rules, in words, that no placement keeps together, none of which can be left out.

    Deletion filter (Chinneck and Dravnieks, Locating minimal infeasible constraint sets in linear
    programs, ORSA Journal on Computing 3, 1991): each rule in turn stays out where the others
    conflict without it. What no program decides in its nodes stays in.

    Parameters
    ----------
    instance : Instance
        Whose rules conflict.
    settings : SolverSettings
    budget : Budget, optional

    Returns
    -------
    list of str
    """
    named = []
    for sentence, drop in _rules(instance):
        fewer = drop(instance)
        if _holds(fewer, settings, budget) is False:
            instance = fewer
        else:
            named.append(sentence)
    return named


Drop = Callable[[Instance], Instance]


def _rules(instance: Instance) -> list[tuple[str, Drop]]:
    """Each rule in words, and what leaves it out."""
    found: list[tuple[str, Drop]] = []
    for name, key, value in instance.placement_rules.single():

        def number(i: Instance, name: str = name, key: str = key) -> Instance:
            return replace(i, placement_rules=i.placement_rules.without(name, key))

        found.append((f"{key} {value} of model {name}", number))
    kinds = instance.cluster.server_types
    for name in sorted({name for t in kinds for name, _ in t.closed_gpus}):

        def closed(t: ServerType, name: str = name) -> ServerType:
            return replace(t, closed_gpus=tuple(c for c in t.closed_gpus if c[0] != name))

        found.append((f"allowed or forbidden of model {name}", partial(_with_kinds, closed)))
    for name in sorted({name for t in kinds for name, _ in t.pinned}):

        def pinned(t: ServerType, name: str = name) -> ServerType:
            return replace(t, pinned=tuple(p for p in t.pinned if p[0] != name))

        found.append((f"pinned of model {name}", partial(_with_kinds, pinned)))
    if any(t.domains for t in kinds):
        found.append(("domains", partial(_with_kinds, lambda t: replace(t, domains=()))))
    if any(t.excluded_gpus for t in kinds):
        none = partial(_with_kinds, lambda t: replace(t, excluded_gpus=()))
        found.append(("excluded_gpus", none))
    return found


def _with_kinds(change: Callable[[ServerType], ServerType], instance: Instance) -> Instance:
    types = tuple(change(t) for t in instance.cluster.server_types)
    return replace(instance, cluster=replace(instance.cluster, server_types=types))


def _holds(instance: Instance, settings: SolverSettings, budget: Budget | None) -> bool | None:
    """Whether some placement keeps the rules; None where that is not known."""
    try:
        mended = mend(instance, cover_anew(instance, settings.params.coverage).placement())
    except Infeasible:
        mended = None
    # Pinned replicas stand whether they fit beside each other or not.
    if mended is not None and not gpu_violations(instance, mended):
        return True
    found, status = _nearest(instance, None, settings, budget)
    return True if found is not None else False if status == "infeasible" else None


def _nearest(
    instance: Instance,
    placement: Placement | None,
    settings: SolverSettings,
    budget: Budget | None,
) -> tuple[Placement | None, str]:
    """The placement nearest to one, by the program, and its status.

    Of each type no more servers are looked at than one replica each of all that rules ask for can
    stand on.
    """
    wanted = instance.requirements or no_requirements(len(instance.model_ids))
    most = sum(int(max(wanted.least[m], wanted.spread[m])) for m in instance.used_models)
    small, number = first_servers(instance, most)
    program = CompactProgram(small, params=settings.params)
    program.problem += linear(_kept(program, placement, number))
    outcome = solve_program(
        program.problem,
        settings,
        stop=Stop(node_limit=settings.params.compact.rules_nodes),
        manner=Manner(light=True),
        budget=budget,
    )
    if not outcome.found:
        return None, outcome.status
    found = program.placement()
    found = Placement.sorted(found.model, number[found.server], found.start)
    return (None if rule_violations(instance, found) else found), outcome.status


def _kept(program: CompactProgram, placement: Placement | None, number: np.ndarray) -> Pairs:
    """Replicas that stay where they are, less a little for each that stands."""
    terms: Pairs = []
    held: Counter[Replica] = Counter()
    if placement is not None:
        own = {int(s): i for i, s in enumerate(number)}
        for m, s, i in placement.replicas():
            held[m, own.get(s, -1), -1 if program.counts else i] += 1
    for (m, s), entries in program.replicas.items():
        for x, _, start in entries:
            terms.append((x, -0.01))
            if there := held[m, s, start]:
                stays = pulp.LpVariable(f"stays_{m}_{s}_{start}", 0, there)
                program.problem += linear([(stays, 1.0), (x, -1.0)]) <= 0
                terms.append((stays, 1.0))
    return terms
