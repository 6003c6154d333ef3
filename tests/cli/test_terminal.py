"""What a terminal shows: quiet, colour, width, progress, the tab key."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from cli.main import COMMANDS, main
from cli.terminal import table
from tests.cli.inputs import gswarm, solve_plan, write_inputs
from tests.cli.live_runs import emulated
from tests.cli.terminals import run_in_terminal
from tests.placement.importing.samples import LITELLM

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ENDLESS = ("serve-local", "deploy")
"""Serves until it is ended; tests/cli/test_execute.py has its tests."""
LONG = "a-model-whose-name-is-rather-long-as-names-of-checkpoints-tend-to-be-v2.1-instruct-awq"


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """One short call of every command that works on files."""
    folder = tmp_path_factory.mktemp("calls")
    config, requests = write_inputs(folder)
    config.write_text(config.read_text().replace('"small"', f'"{LONG}"'))
    plan = solve_plan(folder, config, requests)
    inputs = ["--config", config, "--requests", requests]
    log = folder / "log.json"
    assert gswarm("simulate", *inputs, "--plan", plan, "--log", log, "--quiet").exit_code == 0
    made = {
        "analyze": inputs,
        "demo": [folder / "demo"],
        "solve": [*inputs, "--gpus", 8, "--method", "greedy", "-o", folder / "new.yaml"],
        "check": [plan, "--bound"],
        "size": [*inputs, "--curve", 0, "--time-limit", 5],
        "diff": [plan, plan, "--config", config],
        "explain": [plan, "--server", 0],
        "rebalance": ["--from", plan, *inputs, "--max-moves", 1, "--time-limit", 4],
        "whatif": [plan, *inputs, "--traffic", 1.5, "--no-solve"],
        "simulate": [*inputs, "--plan", plan],
        "compare": [*inputs, "--gpus", 8, "--methods", "greedy", "--routings", "plan,earliest"],
        "report": [*inputs, "--plan", plan, "-o", folder / "r.html"],
        "export": ["--plan", plan, "--format", "csv", "-o", folder / "r.csv"],
        "generate": ["--config", config, "--requests", 20, "--requests-out", folder / "n.jsonl"],
        "schema": ["plan", "-o", folder / "s.json"],
        "calibrate": [*inputs, "--plan", plan, "--log", log, "-o", folder / "fitted.yaml"],
        "execute": finished_run(folder, {"plan": plan, "config": config, "requests": requests}),
        "import": [folder / "proxy.json", "--config-out", folder / "imported.yaml"],
    }
    (folder / "proxy.json").write_text(json.dumps(LITELLM))
    return {name: [str(a) for a in arguments] for name, arguments in made.items()}


def finished_run(folder: Path, inputs: dict[str, Path]) -> list[object]:
    """An execution whose journal is complete, so that it needs no servers."""
    endpoints, journal = folder / "endpoints.yaml", folder / "journal.jsonl"
    files = [word for name, path in inputs.items() for word in (f"--{name}", path)]
    made = [*files, "--endpoints", endpoints, "--journal", journal, "--mode", "offline"]
    with emulated(inputs, endpoints):
        assert gswarm("execute", *made, "--quiet").exit_code == 0
    return made


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ("completion", *ENDLESS)])
def test_quiet_says_nothing(command: str, calls: dict[str, list[str]]) -> None:
    """--quiet leaves both streams empty where all is well."""
    done = gswarm(command, *calls[command], "--quiet")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ENDLESS])
def test_json_is_one_object_and_nothing_else(command: str, calls: dict[str, list[str]]) -> None:
    """--json prints one JSON object on stdout, and nothing on stderr where that is no terminal."""
    arguments = ["bash"] if command == "completion" else calls[command]
    if command == "schema":
        arguments = arguments[:1]
    done = gswarm(command, *arguments, "--json")
    assert done.exit_code == 0, done.output
    assert isinstance(json.loads(done.stdout), dict)
    assert done.stderr == ""


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if c not in ("completion", "schema", "demo", *ENDLESS)]
)
def test_tables_fit_into_80_columns_with_every_number_whole(
    command: str, calls: dict[str, list[str]]
) -> None:
    """A long name goes on below; no line is wider than the terminal and nothing is cut off."""
    shown = gswarm(command, *calls[command]).stdout
    paths = {a for a in calls[command] if "/" in a}
    lines = [line for line in shown.splitlines() if not any(p in line for p in paths)]
    assert max(map(len, lines), default=0) <= 80
    assert "…" not in shown


def test_colour_is_for_terminals_that_want_it(calls: dict[str, list[str]]) -> None:
    """The map is coloured in a terminal, plain under NO_COLOR, and the same text either way."""
    command = [sys.executable, "-m", "cli", "solve", *calls["solve"]]
    coloured, plain = run_in_terminal(command), run_in_terminal(command, NO_COLOR="1")
    assert re.search(r"\x1b\[[0-9;]*3[0-9]m", coloured)
    assert not re.search(r"\x1b\[[0-9;]*[34][0-9]m", plain)
    seconds = re.compile(r"[\d.]+ s by.*")
    text = [seconds.sub("", ESCAPE.sub("", t)) for t in (coloured, plain)]
    assert text[0].split() == text[1].split()


WAIT = """
import cli.waiting
from cli.waiting import RunProgress, SolveProgress, Waiting
from placement.problem.outcome import Progress
for patience, quiet in SETTINGS:
    cli.waiting.PATIENCE_S = patience
    print("patience", patience, quiet)
    for line, event in ((Waiting("reading", quiet=quiet), None),
                        (RunProgress(quiet=quiet), (5, 10)),
                        (SolveProgress(quiet=quiet), (Progress("patterns", 1.0, 0.5, 0.75),))):
        with line:
            if event is not None:
                line(*event)
            if line._live is not None:
                line._live.refresh()
"""


def test_work_that_takes_long_says_what_it_does() -> None:
    """Past the patience each kind of line appears; before it, or told to be quiet, none does."""
    code = WAIT.replace("SETTINGS", "((600, False), (0, True), (0, False))")
    text = run_in_terminal([sys.executable, "-c", code])
    _, early, quiet, late = text.split("patience ")
    for words in ("reading", "5 of 10 executions  50.0%", "of 0.7500, gap 50.00%"):
        assert words not in early
        assert words not in quiet
        assert words in late


def test_progress_leaves_no_trace_in_a_pipe() -> None:
    """Where stderr is no terminal, nothing is written to it however long it takes."""
    code = WAIT.replace("SETTINGS", "((0.1, False),)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stderr == b""
    assert b"\x1b" not in done.stdout


def file_options() -> Iterator[tuple[str, str, click.Parameter]]:
    context = click.Context(main)
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        for parameter in command.params:
            if parameter.metavar in ("FILE", "CSV", "PLAN"):
                yield name, parameter.name or "", parameter


def test_the_tab_key_completes_files() -> None:
    """Every option that takes a file says so to the shell."""
    found = list(file_options())
    assert len(found) > 20
    for name, option, parameter in found:
        assert isinstance(parameter.type, click.Path), f"{name} --{option}: add type=click.Path()"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_names_the_program(shell: str) -> None:
    """Each shell gets a script of its own that asks the program for what may follow."""
    script = gswarm("completion", shell).output
    assert f"{shell}_complete" in script
    assert "gswarm-place" in script


def complete(*words: str) -> set[str]:
    env = {
        "_GSWARM_PLACE_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["gswarm-place", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = CliRunner().invoke(main, env=env, prog_name="gswarm-place")
    return set(done.output.split())


def test_the_tab_key_knows_commands_options_and_choices() -> None:
    """What may follow is offered: commands, then options, then the values of a choice."""
    assert {f"plain,{c}" for c in COMMANDS} == complete("")
    assert "plain,--time-limit" in complete("solve", "--ti")
    assert complete("solve", "--method", "gre") == {
        "plain,greedy",
        "plain,greedy-servers",
        "plain,greedy-no-affinity",
    }
    assert complete("solve", "--config", "con") == {"file,con"}


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_a_command(tmp_path: Path) -> None:
    """In a real bash that has read the script, `gswarm-place sol<tab>` offers solve."""
    program = tmp_path / "gswarm-place"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cli "$@"\n')
    program.chmod(0o755)
    code = (
        f"PATH={tmp_path}:$PATH; source <(gswarm-place completion bash); "
        "COMP_WORDS=(gswarm-place sol); COMP_CWORD=1; "
        '_gswarm_place_completion gswarm-place; echo "${COMPREPLY[*]}"'
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["solve"], done.stderr


def test_the_first_screen_fits() -> None:
    """Alone, the command says what to do first within 24 lines of 80 columns."""
    lines = gswarm().output.splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80
    assert any("gswarm-place solve" in line for line in lines)


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_tables_break_no_word(columns: int) -> None:
    """Numbers and words stay whole; what has no room is named, from the right."""
    console = Console(file=io.StringIO(), width=columns, force_terminal=True, no_color=True)
    made = table("placement", "router", *(f"figure {i}" for i in range(6)), left=2)
    made.add_row("local-search", "least-loaded", *(str(12345 + i) for i in range(6)))
    console.print(made)
    text = ESCAPE.sub("", console.file.getvalue())  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= columns
    assert "local-search" in text
    assert "least-loaded" in text
    shown = [i for i in range(6) if str(12345 + i) in text]
    assert shown == list(range(len(shown)))
    missing = " ".join(text.partition("no room for:")[2].split())
    assert [i for i in range(6) if f"figure {i}" in missing] == list(range(len(shown), 6))
    assert bool(missing) == (columns < 100)


def test_a_long_name_costs_no_column() -> None:
    """Names that no terminal has room for are broken, and the figures beside them are shown."""
    console = Console(file=io.StringIO(), width=60, force_terminal=True, no_color=True)
    made = table("model", "calls", "share")
    made.add_row(LONG, "12345", "67.8%")
    console.print(made)
    text = ESCAPE.sub("", console.file.getvalue())  # type: ignore[attr-defined]
    assert "12345" in text
    assert "67.8%" in text


def test_sentences_are_broken_between_words(tmp_path: Path) -> None:
    """An error on a narrow terminal, whose command to paste stays in one piece."""
    command = [sys.executable, "-m", "cli", "solve", "--gpus", "4", "|| true"]
    text = run_in_terminal(["sh", "-c", f"{' '.join(command)}"], columns=50)
    sentence = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert max(map(len, sentence)) <= 50
    assert any(line.startswith("  gswarm-place ") for line in text.splitlines())
