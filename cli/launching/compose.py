"""Docker Compose: a service a replica, a profile a server, GPUs by their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cli.launching.addresses import reached_at
from cli.launching.served import ServedReplica, need_images
from placement.files.syntax.yaml_writer import block

HEAD = """\
# On server S: docker compose --profile server-S up
# A service that shares a GPU starts when the one before it is healthy. The health check asks with
# curl or python3, of which the image must have one.
"""


def compose_file(served: Sequence[ServedReplica], listen: str) -> str:
    """Write a Compose file.

    Raises
    ------
    ValueError
        Where nothing says which image a model runs in.
    """
    need_images(served)
    host = reached_at(listen)
    return HEAD + block({"services": {s.name: _service(s, host) for s in served}})


def _service(s: ServedReplica, host: str) -> dict[str, Any]:
    url = f"http://{host}:{s.port}{s.health}"
    ask = f"import urllib.request as u; u.urlopen('{url}', timeout=5)"
    service: dict[str, Any] = {
        "image": s.image,
        "profiles": [f"server-{s.slot.server}"],
        # Compose reads $ as the start of a variable.
        "entrypoint": [word.replace("$", "$$") for word in s.words],
        "network_mode": "host",
        "ipc": "host",
        "restart": "unless-stopped",
        "healthcheck": {
            "test": ["CMD-SHELL", f'curl -fsS -o /dev/null {url} || python3 -c "{ask}"'],
            "interval": "5s",
            "timeout": "10s",
            "retries": 3,
            "start_period": "30m",
        },
        "deploy": {
            "resources": {
                "reservations": {
                    "devices": [
                        {
                            "driver": "nvidia",
                            "device_ids": [str(g) for g in s.slot.local_gpus],
                            "capabilities": ["gpu"],
                        }
                    ]
                }
            }
        },
    }
    if s.after:
        service["depends_on"] = {f"replica-{r}": {"condition": "service_healthy"} for r in s.after}
    if s.engine:
        service["environment"] = ["HF_TOKEN"]
        service["volumes"] = ["${HOME}/.cache/huggingface:/root/.cache/huggingface"]
    return service
