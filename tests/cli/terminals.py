"""Commands in a terminal of their own."""

from __future__ import annotations

import os
import pty
import select
import subprocess


def run_in_terminal(command: list[str], *, columns: int = 80, **env: str) -> str:
    """Everything that a command writes to a terminal of its own."""
    parent, child = pty.openpty()
    extra = {"COLUMNS": str(columns), "LINES": "24", "TERM": "xterm-256color", **env}
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        command, stdin=child, stdout=child, stderr=child, env={**clean, **extra}, close_fds=True
    )
    os.close(child)
    data = b""
    while True:
        ready, _, _ = select.select([parent], [], [], 60)
        assert ready, "the command hangs"
        try:
            part = os.read(parent, 65536)
        except OSError:  # how Linux says that the other end has closed
            break
        if not part:
            break
        data += part
    os.close(parent)
    assert process.wait(60) == 0, data.decode()
    return data.decode().replace("\r\n", "\n")
