"""Kubernetes: a Deployment and a Service a replica, pinned to its server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cli.launching.served import ServedReplica, need_images
from placement.files.syntax.yaml_writer import block

LISTEN = "0.0.0.0"
"""Pods are called from others: a server that listens on its own loopback serves nobody."""

HEAD = """\
# kubectl apply -f FILE
#
# Each replica is a Deployment of one pod, pinned to its server by the node's name, with a Service
# of its own (http://replica-R:PORT). It never spans servers, so it needs no LeaderWorkerSet; and
# as its server is fixed, there is no topology for Kueue to choose.
#
# Which GPUs: where no GPU of a server is shared, each pod asks for a number of GPUs, and the
# device plugin gives it that many free ones, not those that the plan names. A block may so lie
# across what links GPUs in pairs. If the plan's GPUs matter, take the way of servers with shared
# GPUs:
#
# No device plugin gives two pods the same GPU and counts its memory. On a server where replicas
# share one, all pods therefore name their GPUs in NVIDIA_VISIBLE_DEVICES and ask for none. They
# get exactly the plan's GPUs, and Kubernetes does not know that these are taken: let nothing else
# that uses GPUs run on such a server (a taint does it). It takes the runtime class nvidia.
# Nothing but the servers' own limits divides the memory of a shared GPU.
"""

PART = {"app.kubernetes.io/part-of": "gswarm-place"}


def kubernetes_manifests(served: Sequence[ServedReplica], hosts: Sequence[str]) -> str:
    """Write the manifests, as YAML documents in one file.

    Parameters
    ----------
    hosts : sequence of str
        Names of the nodes, server by server.

    Raises
    ------
    ValueError
        Where nothing says which image a model runs in.
    """
    need_images(served)
    shared = {s.slot.server for s in served if s.after}
    port_of = {s.slot.replica: (s.port, s.health) for s in served}
    documents: list[dict[str, Any]] = []
    for s in served:
        labels = {**PART, "gswarm-place/replica": str(s.slot.replica)}
        about = {"labels": labels, "annotations": {"gswarm-place/model": s.slot.model}}
        pod = _pod(s, hosts[s.slot.server], s.slot.server in shared, port_of)
        selector = {"gswarm-place/replica": str(s.slot.replica)}
        documents.append(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": s.name, **about},
                "spec": {
                    "replicas": 1,
                    # A second pod would not find its GPUs free.
                    "strategy": {"type": "Recreate"},
                    "selector": {"matchLabels": selector},
                    "template": {"metadata": about, "spec": pod},
                },
            }
        )
        documents.append(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": s.name, **about},
                "spec": {
                    "selector": selector,
                    "ports": [{"name": "http", "port": s.port, "targetPort": s.port}],
                },
            }
        )
    return HEAD + "".join("---\n" + block(document) for document in documents)


def _pod(
    s: ServedReplica, host: str, shared: bool, port_of: dict[int, tuple[int, str]]
) -> dict[str, Any]:
    probe = {"httpGet": {"path": s.health, "port": s.port}, "timeoutSeconds": 5}
    container: dict[str, Any] = {
        "name": "server",
        "image": s.image,
        # Kubernetes reads $(NAME) as a variable; $$ is a dollar.
        "command": [word.replace("$", "$$") for word in s.words],
        "ports": [{"containerPort": s.port}],
        "startupProbe": {**probe, "periodSeconds": 10, "failureThreshold": 180},
        "readinessProbe": {**probe, "periodSeconds": 10},
        "livenessProbe": {**probe, "periodSeconds": 30},
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],
    }
    pod: dict[str, Any] = {
        "nodeSelector": {"kubernetes.io/hostname": host},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        # Variables of other replicas' Services would reach the server's own options.
        "enableServiceLinks": False,
        "containers": [container],
        "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory"}}],
    }
    env: list[dict[str, Any]] = []
    if s.engine:
        key = {"name": "hf-token", "key": "token", "optional": True}
        env.append({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": key}})
    if shared:
        pod["runtimeClassName"] = "nvidia"
        env.append({"name": "NVIDIA_VISIBLE_DEVICES", "value": s.gpu_list})
    else:
        container["resources"] = {"limits": {"nvidia.com/gpu": len(s.slot.gpus)}}
    if env:
        container["env"] = env
    if s.after:
        pod["initContainers"] = [_wait(r, *port_of[r]) for r in s.after]
    return pod


def _wait(replica: int, port: int, health: str) -> dict[str, Any]:
    """Hold a pod back until the replica before it on the GPU has taken its memory."""
    url = f"http://replica-{replica}:{port}{health}"
    loop = f"until wget -q -O /dev/null {url}; do sleep 2; done"
    return {
        "name": f"after-replica-{replica}",
        "image": "busybox:stable",
        "command": ["sh", "-c", loop],
    }
