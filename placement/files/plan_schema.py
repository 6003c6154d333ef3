"""The shape of a plan file as pydantic models: what `read_plan` checks, and what is published."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from placement.files.base_entry import (
    MAX_GPUS_PER_SERVER,
    MAX_SERVERS,
    Entry,
    GpuMemory,
    GpuSpeed,
    ModelRulesEntry,
)
from placement.files.input_schema import (
    DEFAULT_EFFICIENCY,
    SharingEfficiency,
)
from placement.problem.names import Mode, Objective, SharingMode, Spares

Bandwidth = Annotated[float, Field(gt=0)]
Pairs = list[Any]
"""Lists that are checked one by one when the plan is read, so that each fault gets its place."""


class PlanServerType(Entry):
    """A server type of the cluster; servers and GPUs are numbered through in this order."""

    name: str = Field(description="name of the type")
    count: int = Field(ge=0, le=MAX_SERVERS, description="servers of the type")
    gpus: int = Field(ge=1, le=MAX_GPUS_PER_SERVER, description="GPUs of one server")
    gpu_memory_gb: GpuMemory = Field(
        description="memory of one GPU in GB, or a list of that of each"
    )
    speed: GpuSpeed = Field(
        description="an execution of t seconds takes t / speed here; or a list of that of each GPU"
    )
    excluded_gpus: list[int] = Field(
        default=[], description="numbers in the server of GPUs on which no replica may stand"
    )
    closed_gpus: dict[str, list[int]] = Field(
        default={}, description="by model: GPUs in the server on which none of its replicas stands"
    )
    pinned: dict[str, list[int]] = Field(
        default={}, description="by model: first GPUs in the server of replicas that stand there"
    )
    domains: list[list[int]] = Field(
        default=[], description="groups of GPUs in the server within which a block must stay"
    )
    model_speeds: dict[str, GpuSpeed] = Field(
        default={},
        description="by model: its own speed here, in place of the type's; or that on each GPU",
    )
    family: str | None = Field(
        default=None, description="type of the cluster file, where rules tell its servers apart"
    )


class PlanNetwork(Entry):
    """Time to move data over an edge: latency + payload / bandwidth; null is no limit."""

    intra_latency_s: float = Field(ge=0, description="latency inside a server in seconds")
    intra_bandwidth_gb_per_s: Bandwidth | None = Field(description="bandwidth inside a server")
    inter_latency_s: float = Field(ge=0, description="latency between servers in seconds")
    inter_bandwidth_gb_per_s: Bandwidth | None = Field(description="bandwidth between servers")


class PlanCluster(Entry):
    """The cluster that the plan is for."""

    server_types: list[PlanServerType] = Field(min_length=1, description="server types in order")
    network: PlanNetwork = Field(description="time to move data")
    gpu_sharing: SharingMode | None = Field(
        default=None,
        description="how a GPU serves several replicas; time-sliced where it is left out",
    )
    sharing_efficiency: SharingEfficiency = Field(
        default=DEFAULT_EFFICIENCY,
        description="what replicas that share a GPU get of it together: a number, or a list for "
        "2, 3, ... of them",
    )


class PlanRules(Entry):
    """What the solve was asked for."""

    objective: Objective = Field(description="what counts as local")
    mode: Mode = Field(description="requests at their times, or all at 0")
    alpha: float = Field(ge=0, le=1, description="weight of whole workflows against edges")
    load_cap: float = Field(ge=0, description="most that a GPU may be loaded, a fraction of 1")
    max_utilization: float | None = Field(
        default=None,
        ge=0,
        description="target load: the cap where it can be kept online, else the cap is "
        "(1 + headroom_slack) x bottleneck_upper",
    )
    gap: float | None = Field(
        default=None, ge=0, description="relative gap to the bound at which the solve could stop"
    )
    exclusive: bool = Field(description="whether a GPU holds at most one replica")
    max_models_per_gpu: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        description="most replicas on one GPU; null: memory"
    )
    models: dict[str, ModelRulesEntry] = Field(
        default={}, description="rules on models, as a file of rules states them"
    )
    spares: Spares = Field(
        default="few", description="replicas beyond those that cap and locality need"
    )
    pack: bool = Field(default=False, description="whether the fewest GPUs were asked for")


class PlanModel(Entry):
    """A model as the plan counts it."""

    id: str = Field(description="key of the model in the config")
    gpus_required: int = Field(ge=0, le=MAX_GPUS_PER_SERVER, description="GPUs of one replica")
    memory_per_gpu_gb: float = Field(ge=0, description="memory of a replica on each of its GPUs")
    gpu_fraction: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="part of a call's time, alone, in which it occupies the GPU",
    )
    base: str | None = Field(
        default=None, description="id of the model whose weights it shares on its GPUs"
    )


class PlanNode(Entry):
    """A node of a workflow, with the work that one call is."""

    id: str = Field(description="id of the node in the config")
    model: str = Field(description="id of the model it calls")
    work_s: float = Field(
        ge=0, description="mean seconds of one call at speed 1, less what batching saves"
    )


class PlanWorkflow(Entry):
    """A workflow with the demand that the trace makes."""

    id: str = Field(description="key of the workflow in the config")
    rate: float = Field(ge=0, description="requests a second")
    nodes: list[PlanNode] = Field(description="its steps that need a GPU")
    links: Pairs = Field(description="pairs of node ids that count as links")
    link_seconds: list[Annotated[float, Field(ge=0)]] | None = Field(
        default=None, description="of each link, the seconds that crossing servers costs it"
    )


class PlanReplica(Entry):
    """A replica: one block of consecutive GPUs of one server."""

    id: int = Field(
        description="number of the replica; in a file that solve wrote, its place in this list"
    )
    model: str = Field(description="id of the model")
    server: int = Field(description="number of the server")
    gpus: list[int] = Field(min_length=1, description="GPUs, numbered through the whole cluster")
    load: float = Field(description="expected busy share of the replica, a fraction of 1")


class PlanRouting(Entry):
    """Where the requests of one workflow go; shares are fractions of all its requests."""

    home: Pairs = Field(description="pairs [server, share]: requests that run whole on the server")
    spill: dict[str, Pairs] = Field(
        description="for each node, pairs [server, share]: where the rest of its calls go"
    )


class PlanDocument(Entry):
    """A plan file (YAML or JSON), as `solve` writes it and `check` verifies it."""

    format: Literal["gswarm-place plan"] = Field(description="says what the file is")
    version: Literal[1] = Field(description="version of the format")
    cluster: PlanCluster = Field(description="servers and network")
    rules: PlanRules = Field(description="what the solve was asked for")
    models: list[PlanModel] = Field(min_length=1, description="models of the config")
    workflows: list[PlanWorkflow] = Field(
        min_length=1, description="workflows of the config, with their demand"
    )
    replicas: list[PlanReplica] = Field(description="what sits where")
    routing: dict[str, PlanRouting] = Field(description="by workflow, where its requests go")
    dropped: list[str] = Field(description="workflows not served (--allow-partial)")
    search_params: dict[str, dict[str, Any]] = Field(
        default={},
        description="search parameters that were not the defaults, by section and field; left out "
        "where all were",
    )
    expected: dict[str, float | None] = Field(
        description="metrics at the trace's mean rates: server_efficiency, edge_locality, csc_rate "
        "(crossings a request), max_utilization, headroom (null: nothing is ever busy), "
        "headroom_simulated where it was found, load_after_loss (of the busiest GPU, routed anew "
        "after the worst loss of a server) where that was asked for"
    )
    certificate: dict[str, Any] = Field(
        description="objective, best_bound, gap, why the bound is valid, and what proves it anew"
    )
    inputs: dict[str, str] = Field(description="SHA-256 of the files that the plan was made for")
    digest: str = Field(
        description="SHA-256 of all the fields above as sorted JSON: whether the file was changed"
    )
