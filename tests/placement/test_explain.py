"""Why a plan is as it is: figures in the sentences against programs and flows computed here."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import placement
from placement.explain import explain_model, explain_server, explain_workflow, reasons_here
from placement.problem.plan import Plan
from placement.problem.solution import Placement, evaluate
from placement.programs.routing import best_routing
from placement.solver.milp import SolverSettings
from tests.placement import running

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Greedy, so that workflows are spread and replicas differ in worth."""
    workload = placement.read_config(CONFIGS / "small.yaml")
    trace = placement.read_requests(CONFIGS / "small_requests.yaml", workload)
    options = placement.SolveOptions(method="greedy", max_utilization=0.8)
    rules = placement.Rules(exclusive=True)
    return placement.solve(workload, trace, placement.Cluster.homogeneous(8), options, rules=rules)


def without(plan: Plan, model: str, server: int) -> Placement:
    p = plan.placement
    left = ~((p.model == plan.model_ids.index(model)) & (p.server == server))
    return p.only(left)


def test_what_is_lost_without_a_replica(plan: Plan) -> None:
    """Each sentence says what the routing program says of the placement without it."""
    kinds = set()
    for one in (plan, running.plan(3), running.plan(4, exclusive=False)):
        kinds |= losses_said(one)
    assert kinds == {"nobody", "cap", "nothing", "server efficiency", "edges kept", "only one"}


def losses_said(plan: Plan) -> set[str]:
    """Hold every sentence of every server against the program; which kinds there were."""
    before = evaluate(plan.instance, plan.solution())
    kinds = set()
    for server in range(plan.cluster.n_servers):
        for remark in explain_server(plan, server)[2:]:
            model = remark.text.split(" is on server ")[0]
            left = without(plan, model, server)
            m = plan.model_ids.index(model)
            if m not in left.model:
                assert "nobody serves the model" in remark.text
                kinds.add("nobody")
                continue
            routed = best_routing(plan.instance, left, SolverSettings())
            if routed is None:
                assert "above the cap" in remark.text
                kinds.add("cap")
                continue
            lost = before.server_efficiency - evaluate(plan.instance, routed).server_efficiency
            after = evaluate(plan.instance, routed)
            edges = before.edge_locality - after.edge_locality
            dearer = after.objective < before.objective - 5e-7
            assert ("nothing would be lost" in remark.text) == (not dearer)
            kinds |= set() if dearer else {"nothing"}
            kinds |= {"only one"} if dearer and min(lost, edges) < 5e-7 else set()
            for what, gone in (("server efficiency", lost), ("edges kept", edges)):
                points = re.search(rf"([\d.]+) points of {what}", remark.text)
                assert (points is not None) == (dearer and gone > 5e-7)
                if points is not None:
                    assert float(points[1]) == pytest.approx(100 * gone, abs=0.006)
                    kinds.add(what)
    return kinds


def test_reasons_are_those_of_the_server(plan: Plan) -> None:
    """Each block says what its server's remark says; without losses, what it serves, or nothing."""
    servers = range(plan.cluster.n_servers)
    full, short = reasons_here(plan, servers), reasons_here(plan, servers, losses=False)
    placement = plan.placement
    stand = set(zip(placement.model.tolist(), placement.server.tolist(), strict=True))
    assert full.keys() == short.keys() == stand
    for server in servers:
        for remark in explain_server(plan, server)[2:]:
            name = remark.text.split(" is on server ")[0]
            m = plan.model_ids.index(name)
            assert remark.text.endswith(full[m, server].split("; ")[-1])
            load = plan.load[(placement.model == m) & (placement.server == server)].sum()
            served = re.findall(r"[\d.]+% of \w+", short[m, server])
            assert all(part in remark.text and part in full[m, server] for part in served)
            assert served or (short[m, server] == "a spare") == (load < 1e-6)


def test_a_model_is_found_where_it_stands(plan: Plan) -> None:
    """Every server with a replica is named, alone or as one like another."""
    for model in plan.model_ids:
        rows = plan.placement.model == plan.model_ids.index(model)
        head, *places = explain_model(plan, model)
        assert f"{model} has {rows.sum()} replica" in head.text
        alike = [re.search(r"and (\d+) servers? like it", r.text) for r in places]
        named = len(places) + sum(int(a[1]) for a in alike if a)
        assert named == len(np.unique(plan.placement.server[rows]))


def test_a_workflow_says_what_is_kept_and_what_is_missing(plan: Plan) -> None:
    """The share kept whole is that of its homes; where no server has all models, which lack."""
    for w, name in enumerate(plan.workflow_ids):
        routing = plan.routing[w]
        assert routing is not None
        said = explain_workflow(plan, name)
        share = float(re.search(r"^([\d.]+)% of", said[0].text)[1])  # type: ignore[index]
        assert share == pytest.approx(100 * routing.home.share.sum(), abs=0.06)
    name = plan.workflow_ids[0]
    m = int(plan.instance.workflows[0].node_model[0])
    p = plan.placement
    hidden = replace(
        plan, placement=Placement(np.where(p.model == m, -1, p.model), p.server, p.start)
    )
    text = " ".join(r.text for r in explain_workflow(spread(hidden), name))
    assert "no server holds all of its models" in text
    assert plan.model_ids[m] in text


def test_models_at_the_cap_where_all_stand_are_named(plan: Plan) -> None:
    """At any cap: those whose every replica on a server that holds all has a GPU at the cap."""
    half = spread(plan)
    loads, p = evaluate(half.instance, half.solution()).gpu_load, plan.placement
    numbers = set()
    for w, name in enumerate(plan.workflow_ids):
        needed = set(plan.instance.workflows[w].node_model.tolist())
        at = [set(p.model[p.server == s].tolist()) for s in range(plan.cluster.n_servers)]
        whole = [s for s, held in enumerate(at) if needed <= held]
        if not whole:
            continue
        peak = dict.fromkeys(needed, np.inf)
        for r, (m, s, _) in enumerate(p.replicas()):
            if m in needed and s in whole:
                first, k = int(plan.first_gpu[r]), int(plan.instance.gpus_required[m])
                peak[m] = min(peak[m], float(loads[first : first + k].max()))
        for cap in (*sorted(set(peak.values())), 1.0):
            capped = replace(half, instance=replace(half.instance, load_cap=cap))
            text = explain_workflow(capped, name)[1].text
            busy = [plan.model_ids[m] for m in sorted(needed) if peak[m] >= cap - 1e-6]
            servers = "1 server holds" if len(whole) == 1 else f"{len(whole)} servers hold"
            why = (
                f"but {', '.join(busy)} is at the cap there"
                if busy
                else "and other workflows are kept there instead"
            )
            assert text == f"{servers} all of its models, {why}"
            numbers.add(min(2, len(busy)))
    assert numbers == {0, 1, 2}


def spread(plan: Plan) -> Plan:
    """The plan with half of every home taken away."""
    halves = tuple(
        r and replace(r, home=replace(r.home, share=r.home.share / 2)) for r in plan.routing
    )
    return replace(plan, routing=halves)


def test_what_is_not_there_is_named(plan: Plan) -> None:
    """The nearest name, or the numbers that there are."""
    with pytest.raises(ValueError, match="did you mean 'chat-8b'"):
        explain_model(plan, "chat-8c")
    with pytest.raises(ValueError, match="numbered 0 to 1"):
        explain_server(plan, 2)
    with pytest.raises(ValueError, match="no workflow 'x'"):
        explain_workflow(plan, "x")
