"""A case solved as a user would, and everything that is promised about the plan put to the test."""

from __future__ import annotations

import json
import math
import traceback
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from cli.main import main
from placement.problem.names import METHODS
from tests.hunt.cases import OTHER_UNITS, Case
from tests.hunt.problem import LIGHT, Problem, read_problem
from tests.hunt.program import Replica, best_locality, fits, least_load, load_of, locality_of

CLOSE = 1e-6
"""Difference of two localities that counts; both are at most 1."""

NEAR = 1e-6
"""Relative difference of two loads that counts."""

LEAST_SHARE = 1e-9
"""A plan leaves out shares below this; on a server a thousand times slower they are seen."""

HEURISTICS = tuple(m for m in METHODS if m not in ("ilp", "selective-replication"))
TIME_LIMIT_S = 20


@dataclass
class Verdict:
    """What was found of one case: faults as (kind, sentence), and notes to count."""

    seed: int
    kinds: tuple[str, ...]
    status: str = ""
    faults: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fault(self, kind: str, sentence: str) -> None:
        """Note what does not hold."""
        self.faults.append((kind, sentence))


@dataclass(frozen=True)
class Run:
    """One command's exit code, output and the exception that it let through."""

    code: int
    output: str
    error: str

    @property
    def said(self) -> Any:
        """The JSON on stdout."""
        return json.loads(self.output)


def gswarm(arguments: list[str]) -> Run:
    """Run one command of the product in this process."""
    done = CliRunner().invoke(main, arguments)
    error = ""
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        error = "".join(traceback.format_exception(done.exception))
    return Run(done.exit_code, done.stdout, error + done.stderr)


def judge(
    case: Case, folder: Path, *, heuristics: bool = True, units: bool = True, bound: bool = True
) -> Verdict:
    """Solve the case in `folder` and compare everything with the oracle."""
    verdict = Verdict(case.seed, case.kinds)
    case.write(folder)
    problem = read_problem(folder, case.options)
    run, plan = _solve(case, folder)
    if not _same_feasibility(problem, run, verdict):
        return verdict
    if plan is None:
        verdict.status = "infeasible"
        return verdict
    verdict.status = plan["certificate"]["status"]
    _judge_plan(problem, plan, verdict)
    _judge_load(problem, case, plan, verdict)
    _judge_locality(problem, plan, verdict)
    _judge_check(folder, verdict, bound=bound)
    if heuristics:
        _judge_heuristics(problem, case, folder, plan, verdict)
    if units:
        _judge_units(case, folder, plan, verdict)
    return verdict


def _solve(case: Case, folder: Path, **other: Any) -> tuple[Run, dict[str, Any] | None]:
    output = folder / "plan.json"
    output.unlink(missing_ok=True)
    common = {"time_limit": TIME_LIMIT_S, "threads": 1, "output": output, "json": True}
    run = gswarm(case.arguments(folder, **common, **other))
    return run, json.loads(output.read_text()) if run.code == 0 else None


def _same_feasibility(problem: Problem, run: Run, verdict: Verdict) -> bool:
    """Whether the product and the oracle agree that there is a plan; crashes are told here."""
    if "Traceback" in run.error or "internal error" in run.error or run.code not in (0, 1, 2):
        verdict.fault("crash", f"exit {run.code}: {run.error.strip()[-1500:]}")
        return False
    holds = fits(problem)
    if run.code == 0 and not holds:
        verdict.fault("false feasible", "a plan where the models do not fit")
        return False
    # A model that no server can hold is a fault of the input, as is a pin where it cannot stand.
    alone = all(map(problem.fits_alone, problem.models)) and problem.pins_fit()
    right = 0 if holds else 1 if alone else 2
    if run.code != right:
        verdict.fault("exit code", f"exit {run.code} where {right} is right: {run.error.strip()}")
        return False
    return True


def placement_of(problem: Problem, plan: dict[str, Any]) -> list[Replica]:
    """The replicas of a plan, their GPUs counted within the server."""
    first = [0]
    for server in problem.servers:
        first.append(first[-1] + server.gpus)
    return [(r["model"], r["server"], r["gpus"][0] - first[r["server"]]) for r in plan["replicas"]]


def _judge_plan(problem: Problem, plan: dict[str, Any], verdict: Verdict) -> None:
    """Space, flows, loads and the objective, from the plan's routing alone."""
    cap = plan["certificate"]["load_cap"]
    _judge_space(problem, plan, verdict)
    placement = placement_of(problem, plan)
    held = {(m, s) for m, s, _ in placement}
    carried: dict[tuple[str, int], float] = defaultdict(float)
    gpus: dict[int, float] = defaultdict(float)
    loaded: dict[int, list[str]] = defaultdict(list)
    for replica, (m, s, i) in zip(plan["replicas"], placement, strict=True):
        carried[m, s] += replica["load"] * problem.speed(m, s, i)
        for g in replica["gpus"]:
            gpus[g] += replica["load"]
            if replica["load"] > LIGHT * problem.floor:
                loaded[g].append(replica["model"])
    routed: dict[tuple[str, int], float] = defaultdict(float)
    unsaid: dict[tuple[str, int], float] = defaultdict(float)
    worth = problem.constant
    for w, (whole, link) in zip(problem.workflows, problem.weights, strict=True):
        if w.id not in plan["routing"]:
            verdict.fault("routing", f"{w.id} has requests, and is not served")
            continue
        way = plan["routing"][w.id]
        share: list[dict[int, float]] = []
        for n, (model, seconds) in enumerate(w.nodes):
            mine: dict[int, float] = defaultdict(float)
            for s in range(len(problem.servers)):
                unsaid[model, s] += LEAST_SHARE * w.rate * seconds
            for s, part in way["home"] + way["spill"][w.names[n]]:
                mine[s] += part
                routed[model, s] += part * w.rate * seconds
                if (model, s) not in held:
                    verdict.fault("routing", f"{w.id}.{w.names[n]} goes where {model} is not")
            if not math.isclose(sum(mine.values()), 1.0, abs_tol=CLOSE):
                verdict.fault("routing", f"{w.id}.{w.names[n]}: {sum(mine.values())} are served")
            share.append(mine)
        servers = range(len(problem.servers))
        worth += whole * sum(min(a[s] for a in share) for s in servers)
        worth += link * sum(min(share[u][s], share[v][s]) for u, v in w.links for s in servers)
    unit = max(problem.floor, cap)
    for key in routed.keys() | carried.keys():
        slack = NEAR * unit + unsaid[key]
        if not math.isclose(routed[key], carried[key], rel_tol=NEAR, abs_tol=slack):
            verdict.fault("loads", f"{key}: {routed[key]} is routed, {carried[key]} carried")
    busiest = max((h / problem.capacity(loaded[g]) for g, h in gpus.items()), default=0.0)
    if busiest > cap * (1 + NEAR):
        verdict.fault("over the cap", f"a GPU is loaded {busiest}, the cap is {cap}")
    if abs(worth - plan["certificate"]["objective"]) > CLOSE:
        stated = plan["certificate"]["objective"]
        verdict.fault("objective", f"stated as {stated}, the routing gives {worth}")


def _judge_space(problem: Problem, plan: dict[str, Any], verdict: Verdict) -> None:
    memory: dict[int, float] = defaultdict(float)
    count: dict[int, int] = defaultdict(int)
    blocks = [(r["model"], tuple(r["gpus"])) for r in plan["replicas"]]
    if len(set(blocks)) < len(blocks):
        verdict.fault("duplicates", "two replicas of one model on the same GPUs")
    server_of = [s for s, server in enumerate(problem.servers) for _ in range(server.gpus)]
    for replica in plan["replicas"]:
        model, gpus = problem.models.get(replica["model"]), replica["gpus"]
        if model is None:
            verdict.fault("space", f"model {replica['model']} is placed, but nobody calls it")
            continue
        if gpus != list(range(gpus[0], gpus[0] + model.gpus)):
            verdict.fault("space", f"replica {replica['id']}: {gpus} is no block")
        if {server_of[g] for g in gpus} != {replica["server"]}:
            verdict.fault("space", f"replica {replica['id']}: {gpus} leave the server")
        for g in gpus:
            memory[g] += model.memory
            count[g] += 1
    for g, used in memory.items():
        first = sum(server.gpus for server in problem.servers[: server_of[g]])
        room = problem.servers[server_of[g]].room(g - first)
        if used > room * (1 + NEAR) or count[g] > problem.most:
            verdict.fault("space", f"GPU {g} holds {count[g]} replicas with {used} GB")
        if g - first in problem.servers[server_of[g]].excluded:
            verdict.fault("rules", f"GPU {g} is excluded, and holds {count[g]} replicas")
    for name in problem.models.keys() - {m for m, _ in blocks}:
        verdict.fault("space", f"model {name} has no replica")
    for m, s, i in placement_of(problem, plan):
        if i not in problem.starts(m, s):
            verdict.fault("rules", f"model {m} stands on {i} of server {s}")
    for m, s, i in placement_of(problem, plan):
        base = problem.models[m].base
        if base is not None and (base, s, i) not in placement_of(problem, plan):
            verdict.fault("rules", f"adapter {m} stands on {i} of server {s} without {base}")
    for name, rules in problem.rules.items():
        servers = [r["server"] for r in plan["replicas"] if r["model"] == name]
        least, most = rules.get("min_replicas", 1), rules.get("max_replicas", len(servers))
        own = placement_of(problem, plan)
        for pin in rules.get("pinned", ()):
            if (name, pin["server"], min(pin["gpus"])) not in own:
                verdict.fault("rules", f"model {name} is pinned to {pin}, and is not there")
        company = [(k, o) for k in ("apart_from", "together_with") for o in rules.get(k, ())]
        for key, other in company:
            beside = {s for o, s, _ in own if o == other}
            broken = set(servers) & beside if key == "apart_from" else set(servers) - beside
            if broken:
                verdict.fault("rules", f"{key} {other} of model {name}: broken on {broken}")
        if not least <= len(servers) <= most or len(set(servers)) < rules.get("spread", 1):
            verdict.fault("rules", f"model {name} has replicas on {servers}, against {rules}")


def _judge_load(problem: Problem, case: Case, plan: dict[str, Any], verdict: Verdict) -> None:
    """U* within its interval, and the cap as U* and the mode give it."""
    certificate = plan["certificate"]
    lower, upper = certificate["bottleneck_lower"], certificate["bottleneck_upper"]
    least = least_load(problem)
    if least.proven < least.attained * (1 - NEAR):
        verdict.notes.append("oracle unsure of the load")
    if lower > least.attained * (1 + NEAR):
        verdict.fault("bottleneck lower", f"{lower} is stated, a placement has {least.attained}")
    if upper < min(least.proven, load_of(problem, placement_of(problem, plan))) * (1 - NEAR):
        verdict.fault("bottleneck upper", f"{upper} is stated, none is below {least.proven}")
    target = case.options.get("max_utilization", 0.8)
    slack = 1 + case.options.get("headroom_slack", 0.05)
    online = case.options["mode"] == "online"
    cap = target if online and upper <= target * (1 + 1e-9) else slack * upper
    if not math.isclose(cap, certificate["load_cap"], rel_tol=NEAR):
        verdict.fault("cap", f"{certificate['load_cap']} is stated, the rules give {cap}")
    if online and least.attained <= target * (1 - NEAR) and upper > target * (1 + NEAR):
        verdict.fault("overload", f"{upper} attained of {target}; {least.attained} is possible")
    if upper > least.attained * (1 + 2e-3) and not (online and upper <= target):
        verdict.notes.append("bottleneck far from the least")


def _judge_locality(problem: Problem, plan: dict[str, Any], verdict: Verdict) -> None:
    """The objective never above the optimum, the bound never below, optimal where it says so."""
    certificate = plan["certificate"]
    cap, objective = certificate["load_cap"], certificate["objective"]
    bound, status = certificate["best_bound"], certificate["status"]
    # What the plan may exceed the cap by, and a placement that keeps it without a doubt.
    most = best_locality(problem, cap * (1 + NEAR))
    best = best_locality(problem, cap * (1 - NEAR))
    mine = placement_of(problem, plan)
    exists = max(
        best.attained, *(locality_of(problem, p, cap * (1 - NEAR)) for p in (mine, most.placement))
    )
    if most.proven > exists + CLOSE:
        verdict.notes.append("optimum known to an interval")
    if objective > most.proven + CLOSE:
        # The oracle's solver can be wrong as well: only what can be shown is a fault.
        if objective > locality_of(problem, mine, cap * (1 + NEAR)) + CLOSE:
            verdict.fault("objective above", f"{objective}, and none has more than {most.proven}")
        else:
            verdict.notes.append("oracle fell short of the plan")
    if bound < exists - CLOSE:
        verdict.fault("bound below", f"{bound} is stated, {exists} exists")
    if status == "optimal" and objective < exists - CLOSE:
        verdict.fault("false optimal", f"{objective} is stated, {exists} exists")
    if status == "optimal" and bound - objective > CLOSE + 1e-4 * abs(objective):
        verdict.fault("status", f"optimal at {objective} with a bound of {bound}")
    if status not in ("optimal", "gap"):
        verdict.notes.append(f"status {status}")


def _judge_check(folder: Path, verdict: Verdict, *, bound: bool) -> None:
    plan = str(folder / "plan.json")
    for kind, arguments in (
        ("check", ["check", plan]),
        ("check with files", ["check", plan, "--config", str(folder / "config.json"),
                              "--requests", str(folder / "requests.jsonl")]),
        ("check --bound", ["check", plan, "--bound"]),
    ):  # fmt: skip
        if kind == "check --bound" and not bound:
            continue
        run = gswarm(arguments)
        if run.code:
            verdict.fault(kind, f"exit {run.code}: {run.error.strip()[-800:]}")


def _judge_heuristics(
    problem: Problem, case: Case, folder: Path, plan: dict[str, Any], verdict: Verdict
) -> None:
    certificate = plan["certificate"]
    for method in HEURISTICS:
        run, other = _solve(case, folder, method=method)
        if method == "partition" and run.code == 1 and "traceback" not in run.error.lower():
            # Two parts may not fit where the whole does.
            continue
        if other is None:
            verdict.fault(f"heuristic {method}", f"exit {run.code}: {run.error.strip()[-800:]}")
            continue
        _judge_plan(problem, other, verdict)
        if gswarm(["check", str(folder / "plan.json")]).code:
            verdict.fault(f"heuristic {method}", "check refuses its plan")
        worth = locality_of(problem, placement_of(problem, other), certificate["load_cap"])
        if worth > certificate["best_bound"] + CLOSE:
            verdict.fault("bound below", f"{method}: {worth} of {certificate['best_bound']}")
        if worth > certificate["objective"] + CLOSE:
            verdict.fault("below a heuristic", f"{method}: {worth} of {certificate['objective']}")


def _judge_units(case: Case, folder: Path, plan: dict[str, Any], verdict: Verdict) -> None:
    """Another unit of time: the same objective, bound and replicas."""
    for unit in OTHER_UNITS:
        if unit == case.unit or not case.allows(unit):
            continue
        same = case.in_unit(unit)
        at = folder / f"unit-{unit:g}"
        same.write(at)
        run, other = _solve(same, at)
        if other is None:
            verdict.fault("unit of time", f"unit {unit:g}: exit {run.code}: {run.error[-800:]}")
            continue
        if not plan["certificate"]["status"] == other["certificate"]["status"] == "optimal":
            verdict.notes.append("units not compared: not proven optimal in both")
            continue
        # A bound may lie anywhere within the gap that was asked for.
        bound = () if "gap" not in case.options else ("best_bound",)
        for figure in ("objective", "load_cap", *bound):
            one, two = (p["certificate"][figure] for p in (plan, other))
            if not math.isclose(one, two, rel_tol=NEAR):
                verdict.fault("unit of time", f"unit {unit:g}: {figure} {two} in place of {one}")
        mine, theirs = (placement_of_any(p) for p in (plan, other))
        # A clock that ended the evening of loads says so; it may end it elsewhere next time.
        whole = plan["certificate"]["deterministic"] and other["certificate"]["deterministic"]
        if whole and mine != theirs:
            verdict.fault("unit of time, replicas", f"unit {unit:g}: {theirs} in place of {mine}")


def placement_of_any(plan: dict[str, Any]) -> list[tuple[str, int, tuple[int, ...]]]:
    """Who sits where."""
    return sorted((r["model"], r["server"], tuple(r["gpus"])) for r in plan["replicas"])
