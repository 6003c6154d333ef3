"""systemd: a unit a replica, in a folder a server, and a target that starts them all."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cli.launching.addresses import reached_at
from cli.launching.served import ServedReplica
from placement.support.escaping import visible

TARGET = "gswarm-place.target"
_PLAIN = re.compile(r"[A-Za-z0-9_./:=,@+-]+")

_TARGET_TEXT = """\
# Copy this folder's files to /etc/systemd/system of the server, then:
#   systemctl daemon-reload && systemctl enable --now gswarm-place.target
[Unit]
Description=Replicas that gswarm-place put on server {server}
Wants={units}

[Install]
WantedBy=multi-user.target
"""

_UNIT = """\
[Unit]
Description=Replica {replica}, {model}, on GPUs {gpus}
Wants=network-online.target
After=network-online.target{after}
PartOf={target}

[Service]
Type=exec
# What must not stand here (HF_TOKEN=..., PATH=... where the servers are installed) stands there.
EnvironmentFile=-/etc/default/gswarm-place
Environment=CUDA_DEVICE_ORDER=PCI_BUS_ID
Environment=CUDA_VISIBLE_DEVICES={gpus}
ExecStart=/usr/bin/env {command}
# Started means healthy, so that a replica that shares a GPU waits for the one before it.
ExecStartPost=/bin/sh -c 'while kill -0 "$$MAINPID"; do curl -fsS -o /dev/null {url} && exit 0; \
sleep 2; done; exit 1'
TimeoutStartSec=1800
Restart=on-failure
RestartSec=10
"""


def systemd_units(served: Sequence[ServedReplica], listen: str) -> dict[str, str]:
    """Write the units.

    Returns
    -------
    dict of str to str
        Text by path: ``server-S/gswarm-replica-R.service``, and a target for each server.
    """
    units: dict[str, str] = {}
    of_server: dict[int, list[str]] = {}
    host = reached_at(listen)
    for s in served:
        server = s.slot.server
        of_server.setdefault(server, []).append(_name(s.slot.replica))
        units[f"server-{server}/{_name(s.slot.replica)}"] = _UNIT.format(
            replica=s.slot.replica,
            model=visible(s.slot.model).replace("%", "%%"),
            gpus=s.gpu_list,
            after="".join(f" {_name(r)}" for r in s.after),
            target=TARGET,
            command=" ".join(quoted(word) for word in s.words),
            url=f"http://{host}:{s.port}{s.health}",
        )
    for server, names in of_server.items():
        units[f"server-{server}/{TARGET}"] = _TARGET_TEXT.format(
            server=server, units=" ".join(names)
        )
    return units


def _name(replica: int) -> str:
    return f"gswarm-replica-{replica}.service"


def quoted(word: str) -> str:
    """Write a word of a command line so that systemd gives back what it was.

    It expands ``%`` and ``$`` even in quotes, and reads the escapes of C.
    """
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda c: f"\\x{ord(c[0]):02x}", escaped) + '"'
