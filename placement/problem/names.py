"""Names that users write, each stated once: for Python, the command line, schemas and pages."""

from __future__ import annotations

from typing import Literal, get_args

Method = Literal[
    "ilp",
    "local-search",
    "partition",
    "selective-replication",
    "greedy-servers",
    "greedy",
    "greedy-no-affinity",
    "random",
]
"""Placement methods, the strongest first."""

Form = Literal["auto", "compact", "patterns"]
"""Forms of the integer program; ``auto`` chooses by the size of the cluster."""

Mode = Literal["online", "offline"]
"""Requests at their timestamps, or all at time 0."""

Objective = Literal["mixed", "workflow", "edges", "cooccurrence", "traffic"]
"""What counts as local: whole workflows and edges, one of both, pairs of nodes, or seconds."""

Spares = Literal["none", "few", "fill"]
"""Spare replicas of a plan: not one, where they even the loads, or as many as fit."""

Criterion = Literal["worst", "average"]
"""What of the localities under several demands is maximised."""

Router = Literal["locality", "plan", "earliest", "least-loaded", "sticky"]
"""Built-in routing policies."""

SwitchingScheduler = Literal["baseline", "offline"]
"""Schedulers without a plan, which switch models."""

Scheduler = Literal["static", SwitchingScheduler]
"""Who decides where a call runs: a plan, or a scheduler that switches models."""

SharingMode = Literal["time-sliced", "serial"]
"""How a GPU serves several replicas: evenly at once, or one execution at a time."""

METHODS: tuple[Method, ...] = get_args(Method)
FORMS: tuple[Form, ...] = get_args(Form)
MODES: tuple[Mode, ...] = get_args(Mode)
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
SHARING_MODES: tuple[SharingMode, ...] = get_args(SharingMode)
ROUTERS: tuple[Router, ...] = get_args(Router)
SWITCHING: tuple[SwitchingScheduler, ...] = get_args(SwitchingScheduler)
SCHEDULERS: tuple[Scheduler, ...] = get_args(Scheduler)

SCORED: Method = "selective-replication"
"""The method that needs a simulator's score of placements."""

SIMULATED_HEADROOM = "headroom_simulated"
"""What plan and JSON call the headroom that the simulation bears out."""

LOAD_AFTER_LOSS = "load_after_loss"
"""The same of the load of the busiest GPU after the worst loss of a server, routed anew."""
