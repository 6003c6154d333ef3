"""Models, and the workflows (DAGs of calls to models) that a team serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heapify, heappop, heappush

from placement.problem.model_rules import ModelRules
from placement.support.described import Described, Facts


@dataclass(frozen=True, slots=True)
class Serving:
    """What serves a model for real, as far as the config says it.

    Parameters
    ----------
    hf_id : str or None
        What the server loads; the model's id where it is None.
    command, args : tuple of str
        What starts a replica, with gaps such as ``{port}`` (empty: a known server with fitting
        options), and further words for it.
    image : str or None
        Container image.
    health : str
        Path that answers once the replica serves.
    """

    hf_id: str | None = None
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    image: str | None = None
    health: str = "/health"


@dataclass(frozen=True, slots=True)
class Model:
    """One model: what a replica of it occupies, and how long one call takes.

    Parameters
    ----------
    id, name : str
        Key in the config, and the name shown to people.
    memory_gb : float
        Memory of a whole replica, split evenly over its GPUs; where `weights_gb` is given, that
        and `kv_gb_per_sequence` for each of `max_concurrency` executions.
    gpus_required : int
        Tensor-parallel degree k: a replica holds k consecutive GPUs of one server. 0: a step that
        needs no GPU. It takes its time, waits for nobody, and is at no server.
    load_time_s : float
        Seconds to load a replica; only schedulers that switch models pay it.
    tokens_per_second, token_mean, token_std : float, optional
        Describe the service time of a generative model: ``token_mean / tokens_per_second``.
    inference_time_mean_s, inference_time_std_s : float, optional
        Describe the service time of any other model.
    max_concurrency : int
        Most executions one replica serves at once (continuous batching); 1 is a plain server.
    slowdown : tuple of float, shape (max_concurrency,)
        ``slowdown[n - 1]``: how many times longer an execution takes while n are in service.
        ``slowdown[0]`` is 1, and the tuple never decreases.
    prefill_time_s : float
        Part at the beginning of a call's service time in which the others of its replica stand
        still, and which no slowdown makes longer; a trace may state its own.
    chunked_prefill : bool
        The prefill is no such part: a call counts as one in service from its beginning.
    gpu_fraction : float
        Part of a call's time, alone, in which it occupies the GPU, above 0 and up to 1.
    base : str or None
        Id of the model whose weights an adapter shares on its GPUs; `memory_gb` is then what the
        adapter takes beside them.
    degrees : tuple of (int, float)
        Numbers of GPUs to choose from, and how many times as long a call takes on each as on the
        first; empty where there is no choice.
    time_factor : float
        That of the degree that was chosen, where `build_instance` is to reckon with it.
    weights_gb, kv_gb_per_sequence : float, optional
        What `memory_gb` is made of, where the config says so.
    serving : Serving
        What serves it for real.
    rules : ModelRules
        What the config demands of its replicas.
    """

    id: str
    name: str
    memory_gb: float
    gpus_required: int
    load_time_s: float
    tokens_per_second: float | None = None
    token_mean: float | None = None
    token_std: float | None = None
    inference_time_mean_s: float | None = None
    inference_time_std_s: float | None = None
    type: str | None = None
    base_model: str | None = None
    base: str | None = None
    degrees: tuple[tuple[int, float], ...] = ()
    time_factor: float = 1.0
    max_concurrency: int = 1
    slowdown: tuple[float, ...] = (1.0,)
    prefill_time_s: float = 0.0
    chunked_prefill: bool = False
    gpu_fraction: float = 1.0
    weights_gb: float | None = None
    kv_gb_per_sequence: float | None = None
    serving: Serving = Serving()
    rules: ModelRules = field(default_factory=ModelRules)

    @property
    def on_gpus(self) -> bool:
        """Whether its calls need a GPU."""
        return self.gpus_required > 0

    @property
    def memory_per_gpu_gb(self) -> float:
        """Memory a replica takes on each GPU of its block."""
        return self.memory_gb / max(1, self.gpus_required)

    @property
    def service_time_s(self) -> float | None:
        """Mean service time by the config alone, or None where the config has none."""
        if self.tokens_per_second is not None and self.token_mean is not None:
            return self.token_mean / self.tokens_per_second
        return self.inference_time_mean_s

    @property
    def busy_factor(self) -> float:
        """Share of a full replica's time that one second of service takes: slowdown[n-1] / n.

        n is `max_concurrency`, even where fewer at once would be faster: a replica whose queue is
        not empty fills all its places, so this is what its load saturates at.
        """
        return self.slowdown[-1] / self.max_concurrency


@dataclass(frozen=True, slots=True)
class Node:
    """One step of a workflow: a call to a model (`model` is an index into `Workload.models`)."""

    id: str
    model: int


@dataclass(frozen=True, slots=True)
class Edge:
    """Data passed between two nodes of a workflow, by their indices in `Workflow.nodes`.

    Without `carries` it says no more than what comes first: one end stood for a step that was not
    run. `shared_prefix` is the part of the target's prefill that it saves on the replica that ran
    the source: both call one model, and the context that it read is read again.
    """

    source: int
    target: int
    payload_mb: float = 0.0
    carries: bool = True
    shared_prefix: float = 0.0


@dataclass(frozen=True)
class Workflow:
    """A DAG of nodes; edges are unique and acyclic (the reader has checked).

    `base` is the id of the workflow of the config of which this is a variant (`variants`), else "".
    """

    id: str
    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    base: str = ""

    @property
    def asked_as(self) -> str:
        """Id of the workflow of the config that requests name."""
        return self.base or self.id

    @cached_property
    def topological_order(self) -> tuple[int, ...]:
        """Node indices, parents before children; ties by node index."""
        # Kahn's algorithm with a heap: some fifteen lines of networkx, which takes long to load.
        parents = [0] * len(self.nodes)
        children: list[list[int]] = [[] for _ in self.nodes]
        for e in self.edges:
            parents[e.target] += 1
            children[e.source].append(e.target)
        ready = [v for v, count in enumerate(parents) if not count]
        heapify(ready)
        order = []
        while ready:
            order.append(heappop(ready))
            for v in children[order[-1]]:
                parents[v] -= 1
                if not parents[v]:
                    heappush(ready, v)
        return tuple(order)


@dataclass(frozen=True, repr=False)
class Workload(Described):
    """Everything the config says; the position in a tuple is the index used everywhere else."""

    models: tuple[Model, ...]
    workflows: tuple[Workflow, ...]

    @property
    def headline(self) -> str:
        """How many models and workflows there are."""
        return f"{len(self.models)} models, {len(self.workflows)} workflows"

    def facts(self) -> Facts:
        """Each model with what it takes, each workflow with what it is made of."""
        models = [
            (f"model {m.id}", f"{m.memory_gb:g} GB on {m.gpus_required} GPUs") for m in self.models
        ]
        return models + [
            (f"workflow {w.id}", f"{len(w.nodes)} nodes, {len(w.edges)} edges")
            for w in self.workflows
        ]

    def on_gpus(self, w: int) -> tuple[int, ...]:
        """Nodes of a workflow whose calls need a GPU, ascending."""
        nodes = self.workflows[w].nodes
        return tuple(v for v, n in enumerate(nodes) if self.models[n.model].on_gpus)

    def crossing_edges(self, w: int) -> tuple[Edge, ...]:
        """Edges of a workflow that can cross servers: data passes, and both ends need a GPU."""
        there = set(self.on_gpus(w))
        return tuple(
            e
            for e in self.workflows[w].edges
            if e.carries and e.source in there and e.target in there
        )

    @cached_property
    def model_index(self) -> Mapping[str, int]:
        """Index of each model by its id."""
        return {m.id: i for i, m in enumerate(self.models)}

    @cached_property
    def workflow_index(self) -> Mapping[str, int]:
        """Index of each workflow by its id."""
        return {w.id: i for i, w in enumerate(self.workflows)}
