"""Random instances for the tests of the heuristics."""

import numpy as np

from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from tests.placement.oracle import EVEN


def random_instance(
    seed: int,
    servers: int = 2,
    gpus: int = 4,
    models: int = 5,
    workflows: int = 3,
    load: float = 0.5,
    exclusive: bool = True,
    mixed_types: bool = False,
) -> Instance:
    """Chains of 2 to 4 calls, models of 1 or 2 GPUs, rates scaled to `load` of all GPUs.

    Sharing costs nothing: with time slices the least load alone takes a program long.
    """
    random = np.random.default_rng(seed)
    k = random.choice([1, 1, 1, 2], size=models).astype(np.int64)
    types = [ServerType("a", servers, gpus, 80.0)]
    if mixed_types:
        types.append(ServerType("b", 1, gpus, 40.0, speed=0.5))
    cluster = Cluster(tuple(types), sharing=EVEN)
    drafts = []
    for _ in range(workflows):
        nodes = random.integers(0, models, size=random.integers(2, 5))
        drafts.append((nodes, random.uniform(0.2, 2.0, len(nodes)), random.uniform(0.5, 2.0)))
    offered = sum(rate * (work * k[nodes]).sum() for nodes, work, rate in drafts)
    scale = load * cluster.n_gpus / offered
    return Instance(
        model_ids=tuple(f"m{i}" for i in range(models)),
        gpus_required=k,
        memory_per_gpu_gb=random.uniform(5.0, 35.0, size=models),
        workflows=tuple(
            WorkflowDemand(
                id=f"w{i}",
                rate=rate * scale,
                node_model=nodes,
                work_s=work,
                links=np.array([(v, v + 1) for v in range(len(nodes) - 1)]),
            )
            for i, (nodes, work, rate) in enumerate(drafts)
        ),
        cluster=cluster,
        exclusive=exclusive,
    )
