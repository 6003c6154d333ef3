"""Launch lists: the command that starts each replica on the GPUs the plan gives it."""

from __future__ import annotations

import shlex
from itertools import groupby
from string import Formatter

from cli.formats.slots import Slot, list_slots
from placement.files.syntax.yaml_writer import block
from placement.problem.plan import Plan

FIELDS = ("model", "gpus", "port", "memory", "server", "replica")

DEFAULT_COMMAND = (
    "vllm serve {model} --tensor-parallel-size {gpus} --port {port} "
    "--gpu-memory-utilization {memory}"
)


class LaunchCommand:
    """A command with the fields of `FIELDS` in braces, filled in for each replica.

    Raises
    ------
    ValueError
        A field is unknown, or quotes and braces do not match.
    """

    def __init__(self, template: str, first_port: int) -> None:
        try:
            self._words = shlex.split(template)
            fields = [f for word in self._words for _, f, _, _ in Formatter().parse(word)]
        except ValueError as error:
            raise ValueError(f"--command: {error}; quotes and braces come in pairs") from error
        for field in fields:
            if field is not None and field not in FIELDS:
                known = ", ".join(f"{{{name}}}" for name in FIELDS)
                raise ValueError(f"--command: {{{field}}} is no field; there are {known}")
        if not self._words:
            raise ValueError("--command: is empty; say what starts a replica")
        self._first_port = first_port

    def words(self, slot: Slot) -> list[str]:
        """Command of one replica, word by word; ports count up on each server."""
        words = self._filled(slot)
        for template, word in zip(self._words, words, strict=True):
            if word.startswith("-") and not template.startswith("-"):
                raise ValueError(
                    f"the command of replica {slot.replica} has {word!r} where a name belongs, and "
                    "would take it for an option; rename the model"
                )
            if "\0" in word:
                raise ValueError(
                    f"the command of replica {slot.replica} has {word!r}, and no command line can "
                    "hold the character 0; rename the model"
                )
        return words

    def _filled(self, slot: Slot) -> list[str]:
        values = {
            "model": slot.model,
            "gpus": str(len(slot.gpus)),
            "port": str(self._first_port + slot.position),
            "memory": f"{slot.memory_share:.4f}",
            "server": str(slot.server),
            "replica": str(slot.replica),
        }
        return [word.format(**values) for word in self._words]


def launch_script(plan: Plan, command: LaunchCommand) -> str:
    """Write a shell script that starts the replicas of the server it is called with."""
    lines = [
        "#!/bin/sh",
        "# Starts the replicas of one server and waits for them:  sh launch.sh SERVER",
        "set -eu",
        "# The GPU numbers of the plan are those of the bus, as nvidia-smi shows them.",
        "export CUDA_DEVICE_ORDER=PCI_BUS_ID",
        'case "${1:?say the number of the server}" in',
    ]
    for server, slots in groupby(list_slots(plan), lambda s: s.server):
        lines.append(f"{server})")
        for slot in slots:
            devices = ",".join(str(g) for g in slot.local_gpus)
            lines.append(f"  CUDA_VISIBLE_DEVICES={devices} {shlex.join(command.words(slot))} &")
        lines.append("  ;;")
    lines += ["*)", '  echo "the plan puts nothing on server $1" >&2', "  exit 2", "  ;;", "esac"]
    return "\n".join([*lines, "wait", ""])


def compose_file(plan: Plan, command: LaunchCommand, image: str) -> str:
    """Write a Docker Compose file: a service a replica, a profile a server, GPUs by their id.

    Parameters
    ----------
    plan : Plan
        Its replicas become services.
    command : LaunchCommand
        Words that start a replica.
    image : str
        Container image of all services.

    Returns
    -------
    str
        YAML; the same plan gives the same text.
    """
    services = {
        f"replica-{slot.replica}": {
            "image": image,
            "profiles": [f"server-{slot.server}"],
            # Compose reads $ as the start of a variable.
            "entrypoint": [word.replace("$", "$$") for word in command.words(slot)],
            "network_mode": "host",
            "ipc": "host",
            "deploy": {
                "resources": {
                    "reservations": {
                        "devices": [
                            {
                                "driver": "nvidia",
                                "device_ids": [str(g) for g in slot.local_gpus],
                                "capabilities": ["gpu"],
                            }
                        ]
                    }
                }
            },
        }
        for slot in list_slots(plan)
    }
    head = "# On server S: docker compose --profile server-S up\n"
    return head + block({"services": services})
