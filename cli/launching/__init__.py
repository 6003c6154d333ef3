"""Files that start the servers of a plan, each in the form that its target reads."""

from __future__ import annotations

from typing import Literal, get_args

EngineName = Literal["vllm", "sglang"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)

LaunchForm = Literal[
    "launch", "compose", "systemd", "kubernetes", "ray-serve", "litellm", "endpoints"
]
LAUNCH_FORMS: tuple[LaunchForm, ...] = get_args(LaunchForm)
"""What `launch_files` writes; the last two start nothing, but say where the servers are."""
