"""Commands run and measured from outside: wall clock, processor time, beside busy processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

BUSY = "while True: pass"


@dataclass(frozen=True)
class Run:
    """What a command took, and what it printed."""

    wall_s: float
    cpu_s: float
    code: int
    stdout: str
    stderr: str


def run(
    arguments: Sequence[str], *, timeout_s: float, environment: Mapping[str, str] | None = None
) -> Run:
    """Run `gswarm-place` in a process of its own; exit code -9 where it had to be killed."""
    begin, before = time.monotonic(), os.times()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
    wall, after = time.monotonic() - begin, os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    return Run(wall, cpu, process.returncode, stdout, stderr)


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep so many processors busy with something else."""
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(processes)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()
