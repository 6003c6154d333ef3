"""Launch scripts, run by real shells with servers that stand in for vLLM."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.formats.slots import Slot
from cli.launching.commands import LaunchOptions
from cli.launching.gpu_memory import MemoryPart
from cli.launching.served import ServedReplica, serve_replicas
from cli.launching.shell import launch_script
from tests.cli.inputs import gswarm
from tests.cli.launching.plans import HOSTILE, read_case, write_case

MODELS = {
    "big": {"memory_gb": 60, "gpus_required": 2, "max_concurrency": 4},
    "small": {"memory_gb": 10, "gpus_required": 1, "serve": {"hf_id": "org/Small-7B"}},
    HOSTILE: {"memory_gb": 5, "gpus_required": 1},
}
LOOKS = 500
"""At most, a hundredth of a second apart, until what was killed has ended."""
SHELLS = [name for name in ("dash", "bash") if shutil.which(name)]


def free_ports(count: int) -> int:
    """Give the first of some consecutive ports of which none is taken."""
    for first in range(21_000 + os.getpid() % 5000, 60_000, 50):
        sockets = [socket.socket() for _ in range(count)]
        try:
            for i, found in enumerate(sockets):
                found.bind(("127.0.0.1", first + i))
            return first
        except OSError:
            continue
        finally:
            for found in sockets:
                found.close()
    raise AssertionError("no free ports")


class Launch:
    """A launch script under way."""

    def __init__(self, folder: Path, case: dict[str, str], shell: str, dies: str = "") -> None:
        self.folder, self.case = folder, case
        self.plan, workload = read_case(case)
        self.port = free_ports(self.plan.placement.n_replicas)
        self.served = serve_replicas(self.plan, workload, LaunchOptions(first_port=self.port))
        script = folder / "launch.sh"
        done = gswarm(
            "export", "--plan", case["plan"], "--config", case["config"], "--format", "launch",
            "--first-port", str(self.port), "-o", script,
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        binary = folder / "bin" / "vllm"
        binary.parent.mkdir(exist_ok=True)
        stub = Path(__file__).with_name("stub_vllm.py")
        binary.write_text(f'#!/bin/sh\nexec {sys.executable} -S {stub} "$@"\n')
        binary.chmod(0o755)
        self.log = folder / "stub.jsonl"
        offset = {s.slot.replica: s.port for s in self.served}
        if dies:
            when, model = dies.split(":")
            victim = next(s for s in self.served if s.slot.model == model)
            dies = f"{when}:{offset[victim.slot.replica]}"
        env = {
            **os.environ,
            "PATH": f"{binary.parent}:{os.environ['PATH']}",
            "STUB_LOG": str(self.log),
            "STUB_DIES": dies,
            "POLL_S": "0.05",
        }
        self.process = subprocess.Popen(
            [shell, str(script), "0"],
            cwd=folder, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def until(self, words: str) -> None:
        """Read on until the script says so."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if words in line:
                return
        raise AssertionError(f"the script never says {words!r}")

    def end(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said

    def events(self) -> list[list[str]]:
        text = self.log.read_text() if self.log.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def left(self) -> list[int]:
        """Processes of servers, and of what they started, that still run.

        Who is killed ends a moment after the signal was sent, so that a few looks are taken.
        """
        pids = [pid for event in self.events() if event[0] == "started" for pid in event[3:5]]
        for _ in range(LOOKS):
            if not (running := [int(pid) for pid in pids if _runs(int(pid))]):
                break
            time.sleep(0.01)
        return running


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_case(tmp_path_factory.mktemp("case"), MODELS, gpus=2)


@pytest.mark.parametrize("shell", SHELLS)
def test_servers_start_in_order_serve_and_leave_nothing_behind(
    shell: str, case: dict[str, str], tmp_path: Path
) -> None:
    """From the plan to answers of every workflow, and to the end by TERM."""
    launch = Launch(tmp_path, case, shell)
    try:
        launch.until("all replicas of server 0 are healthy")
        endpoints = tmp_path / "endpoints.yaml"
        files = ("--plan", case["plan"], "--config", case["config"])
        form = ("--format", "endpoints", "--first-port", str(launch.port), "-o", endpoints)
        assert gswarm("export", *files, *form, "-q").exit_code == 0
        trace = ("--requests", case["requests"], "--endpoints", endpoints)
        done = gswarm("execute", *files, *trace, "--mode", "offline", "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["summary"]["completed_requests"] == 6
        assert launch.process.poll() is None
    finally:
        launch.process.send_signal(signal.SIGTERM)
        code, _ = launch.end()
    assert code == 143
    assert launch.left() == []
    events = launch.events()
    order = {(what, port): i for i, (what, port, *_) in enumerate(events)}
    port_of = {s.slot.replica: str(s.port) for s in launch.served}
    shared = 0
    for s in launch.served:
        for before in s.after:
            shared += 1
            assert order["healthy", port_of[before]] < order["started", str(s.port)]
    assert shared >= 2
    gpus = {port: (devices, words) for what, port, devices, _, _, *words in _starts(events)}
    for s in launch.served:
        assert gpus[str(s.port)] == (s.gpu_list, list(s.words[1:]))


def _starts(events: list[list[str]]) -> Iterator[list[str]]:
    return (event for event in events if event[0] == "started")


@pytest.mark.parametrize("dies", ["start:small", "later:big"])
def test_a_replica_that_dies_fails_the_script(
    dies: str, case: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, which one it was, and the others end with it, whether they hear TERM or not."""
    if dies.startswith("later"):
        monkeypatch.setenv("STUB_IGNORES", "TERM")
        monkeypatch.setenv("STOP_WITHIN_S", "0")
    launch = Launch(tmp_path, case, "sh", dies)
    code, said = launch.end()
    assert {event[0] for event in launch.events()} >= {"started", "healthy"}
    victim = next(s for s in launch.served if s.slot.model == dies.partition(":")[2])
    assert code == 1
    assert f"replica {victim.slot.replica} has ended with code 7" in said
    assert launch.left() == []


def test_a_replica_that_never_serves_fails_the_script(
    case: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEALTHY_WITHIN_S", "0")
    launch = Launch(tmp_path, case, "sh")
    code, said = launch.end()
    assert code == 1
    assert "not healthy within 0 s" in said
    assert launch.left() == []


def test_usage_and_other_servers(case: dict[str, str], tmp_path: Path) -> None:
    """Exit code 2 for a server that is none, or no server at all."""
    script = tmp_path / "launch.sh"
    assert gswarm("export", "--plan", case["plan"], "--format", "launch", "-o", script)
    for arguments, said in ((["99"], "nothing on server 99"), ([], "number of the server")):
        done = subprocess.run(["sh", script, *arguments], capture_output=True, text=True)
        assert done.returncode == 2
        assert said in done.stderr


def test_shellcheck_finds_nothing(case: dict[str, str], tmp_path: Path) -> None:
    """In a script with hostile names, as POSIX sh."""
    script = tmp_path / "launch.sh"
    gswarm("export", "--plan", case["plan"], "--format", "launch", "-o", script, "-q")
    check = Path(sys.executable).with_name("shellcheck")
    # What looks like a variable in single quotes is a name here.
    line = [check, "--exclude=SC2016", script]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(words, words), min_size=1, max_size=20))
def test_no_word_is_read_by_the_shell(pairs: list[tuple[str, str]]) -> None:
    """Whatever a command's words hold: bash parses the script, and shlex finds the words again."""
    served = [
        ServedReplica(
            slot=Slot(r, "m", 0, "t", r, (r,), (r,), 1.0, 0.1, 0.1),
            words=("program", *pair), engine=None, source="m", kind="chat", port=8000 + r,
            health="/health", image=None, memory=MemoryPart(0.9, 0.8, False), after=(), wave=0,
            sequences=1, args=(),
        )
        for r, pair in enumerate(pairs)
    ]  # fmt: skip
    script = launch_script(served, "127.0.0.1")
    done = subprocess.run(["bash", "-n"], input=script.encode(), capture_output=True)
    assert done.returncode == 0, done.stderr
    tokens = shlex.split(script[script.index("\n0)\n") :])
    found = defaultdict(list)
    for i, token in enumerate(tokens):
        if token == "program":
            found[tokens[i - 3]] = tokens[i + 1 : i + 3]
    assert dict(found) == {str(r): list(pair) for r, pair in enumerate(pairs)}
