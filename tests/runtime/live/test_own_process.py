"""Engines in processes of their own: what is asked and said, faults, and the end of either side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from runtime.live.inference import Engine
from runtime.live.inference.own_process import OwnProcess
from runtime.live.kinds import Kind
from runtime.live.replies import Asked
from tests.runtime.live.servers import dies

ROOT = Path(__file__).parents[3]


class Echo:
    """Says in which process it is, and the text back."""

    kind: Kind = "completions"
    body: dict[str, Any] = {"max_tokens": 3}  # noqa: RUF012
    output = "choices.0.text"

    def answer(self, asked: Asked) -> Any:
        if asked.text == "fault":
            raise ValueError("this text is at fault")
        if asked.text == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid(), asked.text


def no_engine(sentence: str) -> Engine:
    raise ValueError(sentence)


def ask(text: str) -> Asked:
    return Asked("completions", {"prompt": text}, "r", "n")


def test_what_is_asked_is_answered_in_another_process() -> None:
    """As often as asked; what it says of itself is what the engine says."""
    engine = OwnProcess(Echo)
    pid, text = engine.answer(ask("hello"))
    assert pid != os.getpid()
    assert text == "hello"
    assert engine.answer(ask("again")) == (pid, "again")
    assert (engine.kind, engine.body, engine.output) == (Echo.kind, Echo.body, Echo.output)


def test_a_faulty_call_is_said_and_the_next_is_answered() -> None:
    """A fault of the caller ends nothing."""
    engine = OwnProcess(Echo)
    with pytest.raises(ValueError, match="this text is at fault"):
        engine.answer(ask("fault"))
    assert engine.answer(ask("hello"))[1] == "hello"


def test_what_cannot_be_loaded_is_said() -> None:
    """With the sentence of whoever loads it, or that there is nothing."""
    with pytest.raises(ValueError, match="pip install something"):
        OwnProcess(partial(no_engine, "pip install something")).wait()
    with pytest.raises(ValueError, match="nothing that infers"):
        OwnProcess(nothing).wait()


def nothing() -> None:
    return None


def test_a_process_that_died_is_said_at_every_call() -> None:
    """The server answers 500, and the caller tries another replica."""
    engine = OwnProcess(Echo)
    for text in ("die", "hello"):
        with pytest.raises(RuntimeError, match="ended"):
            engine.answer(ask(text))


def test_a_process_that_died_while_it_loaded_is_said_to_whoever_waits() -> None:
    """However often they ask."""
    engine = OwnProcess(dies)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="ended \\(code -9\\)"):
            engine.wait()
    with pytest.raises(RuntimeError, match="ended"):
        engine.answer(ask("hello"))


def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """Nobody is left to hold the GPU's memory."""
    program = (
        "import os, signal\n"
        "from tests.runtime.live.test_own_process import Echo, OwnProcess, ask\n"
        "if __name__ == '__main__':\n"
        "    print(OwnProcess(Echo).answer(ask('hello'))[0], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(program)
    ran = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        timeout=60,
        text=True,
    )
    child = int(ran.stdout)
    for _ in range(200):
        if not _lives(child):
            return
        time.sleep(0.05)
    pytest.fail("the child lives on")


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
