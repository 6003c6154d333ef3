"""Outputs that go nowhere, are full, or lack characters; and names that a terminal would obey."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.inputs import gswarm, solve_plan, write_inputs
from tests.cli.terminals import run_in_terminal

ESC = "\x1b]0;title\x07\x1b[41mred\nof two lines\u202e\x9b2J"


def rename(folder: Path, name: str) -> tuple[Path, Path]:
    """Inputs whose model `small` has another name."""
    config, requests = write_inputs(folder)
    data = json.loads(config.read_text())
    text = json.dumps(data).replace('"small"', json.dumps(name))
    config.write_text(text.replace('"chat"', json.dumps(f"chat {name}")))
    requests.write_text(requests.read_text().replace('"chat"', json.dumps(f"chat {name}")))
    return config, requests


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("named")


@pytest.fixture(scope="module")
def inputs(folder: Path) -> list[str]:
    config, requests = rename(folder, "é 模型")
    return ["--config", str(config), "--requests", str(requests)]


def in_shell(line: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    """A line of shell in which "$@" is the command."""
    root = {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "cli", *arguments]
    return subprocess.run(
        ["bash", "-c", line, "bash", *command],
        env={**os.environ, **root, **env}, capture_output=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_reader_that_leaves_ends_it_quietly(inputs: list[str], arguments: list[str]) -> None:
    """`| head -1` and `| true` are no faults: exit 0 and not a word."""
    for reader in ("head -1", "true"):
        line = f'"$@" | {reader} > /dev/null; exit ${{PIPESTATUS[0]}}'
        done = in_shell(line, "analyze", *inputs, *arguments)
        assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_of_a_file_that_is_a_pipe_may_leave() -> None:
    """So it is for an output that is named."""
    line = '"$@" | true; exit ${PIPESTATUS[0]}'
    done = in_shell(line, "schema", "plan", "-o", "/dev/stdout", "-q")
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_leaves_makes_no_bad_plan_good(folder: Path, inputs: list[str]) -> None:
    """Who stops reading does not change what a check finds."""
    plan = solve_plan(folder, Path(inputs[1]), Path(inputs[3]))
    data = json.loads(plan.read_text())
    data["certificate"]["objective"] += 0.01
    wrong = folder / "wrong.json"
    wrong.write_text(json.dumps(data))
    done = in_shell('"$@" | true; exit ${PIPESTATUS[0]}', "check", str(wrong), "--json")
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('"$@" >&-', b"it is closed"),
        pytest.param(
            '"$@" > /dev/full', b"No space left on device",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full"),
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_what_cannot_be_printed_is_said(
    inputs: list[str], line: str, why: bytes, arguments: list[str]
) -> None:
    """A closed or full standard output fails with one sentence."""
    done = in_shell(line, "analyze", *inputs, *arguments)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"error: standard output: " + why)


def test_a_closed_output_is_no_fault_where_nothing_is_printed(
    inputs: list[str], folder: Path
) -> None:
    """No file of ours takes the number of a closed stream, so none receives what is printed."""
    plan = folder / "closed.json"
    line = '"$@" <&- >&- 2>&-'
    arguments = ["solve", *inputs, "--gpus", "8", "--method", "greedy", "-q", "-o", str(plan)]
    assert in_shell(line, *arguments).returncode == 0
    assert gswarm("check", plan).exit_code == 0


def test_an_encoding_without_the_characters_shows_escapes(inputs: list[str]) -> None:
    """ASCII and Latin-1 terminals get what they can show, and JSON stays JSON."""
    ascii_only = in_shell('"$@"', "analyze", *inputs, PYTHONIOENCODING="ascii")
    assert ascii_only.returncode == 0, ascii_only.stderr
    assert "\\xe9 \\u6a21\\u578b" in ascii_only.stdout.decode("ascii")
    latin = in_shell('"$@"', "analyze", *inputs, PYTHONIOENCODING="latin-1")
    assert "é \\u6a21\\u578b" in latin.stdout.decode("latin-1")
    as_json = in_shell('"$@"', "analyze", *inputs, "--json", PYTHONIOENCODING="ascii")
    found = json.loads(as_json.stdout.decode("ascii"))
    assert "é 模型" in {m["id"] for m in found["models"]}
    wrong = in_shell('"$@"', "analyze", "--config", "é", PYTHONIOENCODING="ascii")
    assert wrong.returncode == 2
    wrong.stderr.decode("ascii")


def test_names_do_not_command_the_terminal(tmp_path: Path) -> None:
    """No command writes what a name holds of escape sequences and line breaks."""
    config, requests = rename(tmp_path, ESC)
    inputs = ["--config", str(config), "--requests", str(requests)]
    plan, odd = str(tmp_path / f"plan{ESC}.json"), str(tmp_path / f"none{ESC}")
    obeyed = re.compile("\x1b]0|\x07|\x1b\\[41m|\u202e|\x9b|\n *of two lines")
    in_data = re.compile(obeyed.pattern.rpartition("|")[0])  # where quotes hold a line break
    base = [sys.executable, "-m", "cli"]
    for arguments in (
        ["analyze", *inputs],
        ["analyze", *inputs, "--json"],
        ["solve", *inputs, "--gpus", "8", "--method", "greedy", "-o", plan],
        ["simulate", *inputs, "--plan", plan, "--log", plan.replace("plan", "log")],
        ["compare", *inputs, "--gpus", "8", "--methods", "greedy", "--routings", "plan"],
        ["report", *inputs, "--plan", plan, "-o", plan.replace("plan", "report")],
        ["export", "--plan", plan, "--format", "csv"],
        ["export", "--plan", plan, "--format", "launch"],
    ):
        shown = run_in_terminal([*base, *arguments])
        refused = in_data if arguments[0] == "export" else obeyed
        assert not refused.search(shown), (arguments, shown)
    for arguments in (
        ["analyze", "--config", odd, "--requests", odd],
        ["solve", *inputs, "--gpus", "1", "--method", "greedy", "-o", plan],
        ["solve", *inputs, "--gpus", "8", "-o", inputs[1]],
        ["export", "--plan", odd, "--format", "csv"],
        [odd],
        ["solve", f"--{ESC}"],
    ):
        said = gswarm(*arguments)
        assert said.exit_code in (1, 2)
        assert not obeyed.search(said.stderr), said.stderr


def test_a_full_disk_is_said_with_the_file(inputs: list[str], tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """The sentence names the file, the exit code is that of a failure, and nothing is left."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    plan = tmp_path / "plan.yaml"
    outputs = ["-o", plan, "--history", tmp_path / "history.json"]
    done = gswarm("solve", *inputs, "--gpus", "8", "--method", "greedy", *outputs)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: {plan}: No space left on device; free some space")
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_cannot_be(inputs: list[str], tmp_path: Path) -> None:
    """Too long a name, a folder, a missing one, an input by another name: said before the work."""
    (tmp_path / "link.json").hardlink_to(inputs[1])
    for output, words in (
        (tmp_path / ("x" * 300 + ".json"), "File name too long; choose a shorter name"),
        (tmp_path, "is a directory"),
        (tmp_path / "none" / "plan.json", "does not exist"),
        (inputs[1], "is an input"),
        (tmp_path / "link.json", "is an input"),
    ):
        done = gswarm("solve", *inputs, "--gpus", "8", "--method", "greedy", "-o", output)
        assert done.exit_code == 2, done.output
        assert words in done.stderr
        assert str(output) in done.stderr
