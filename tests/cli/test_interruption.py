"""Ctrl-C, SIGTERM and SIGHUP at chosen moments: the exit code, a line, and no half of anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.inputs import solve_plan, write_inputs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")

PRELUDE = """
import os, signal, sys, threading, time

for number in (signal.SIGTERM, signal.SIGHUP):  # whoever runs the tests may ignore them (nohup)
    signal.signal(number, signal.SIG_DFL)

def strike(name="SIGINT"):
    os.kill(os.getpid(), getattr(signal, name))

def hang(*_, **__):
    # As a library that swallows whatever is raised in it; it ends with the process alone.
    while True:
        try:
            threading.Event().wait(60)
        except BaseException:
            pass

def strike_and_hang(*_, **__):
    strike(SIGNAL)
    hang()

SIGNAL = "SIGINT"
"""
RUN = "\nfrom cli.entry import main\nmain()\n"


def run(moment: str, *arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """One command in a process of its own, which `moment` prepares to strike itself."""
    code = PRELUDE + moment + RUN
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False, env=env, **options,  # type: ignore[call-overload]
    )  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    config, requests = write_inputs(tmp_path_factory.mktemp("inputs"))
    return ["--config", str(config), "--requests", str(requests)]


@pytest.fixture(scope="module")
def plan(inputs: list[str]) -> str:
    return str(solve_plan(Path(inputs[1]).parent, Path(inputs[1]), Path(inputs[3])))


IMPORT = """
class Striker:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            strike_and_hang()
sys.meta_path.insert(0, Striker())
"""


# placement.files.atomic imports hashlib: it is there by half.
@pytest.mark.parametrize("name", ["cli.interruption", "click", "hashlib", "highspy"])
def test_while_modules_are_imported(name: str, inputs: list[str], tmp_path: Path) -> None:
    """From the first import on, and in every later one."""
    moment = IMPORT.format(name=name)
    done = run(moment, "solve", *inputs, "--gpus", "8", "-o", tmp_path / "plan.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_before_signals_are_heard() -> None:
    """What Python itself raises in the first import of `python -m cli` is said in one line, too."""
    code = """
import runpy, sys
class Striker:
    def find_spec(self, name, path=None, target=None):
        if name == "cli.entry":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Striker())
runpy.run_module("cli", run_name="__main__")
"""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


COMMANDS = {
    "analyze": ("placement.analysis", "analyze", []),
    "check": ("placement.verify", "check_bound", ["--bound"]),
    "simulate": ("runtime.simulate", "run_reference", ["--log", "log.json", "--repeat", "3"]),
    "report": ("cli.views.page", "report_page", ["-o", "r.html"]),
    "export": ("cli.formats.plan_tables", "replica_table", ["--format", "csv", "-o", "r.csv"]),
    "generate": ("placement.generate.trace_writer", "_write_lines", ["--requests-out", "r.jsonl"]),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_in_the_middle_of_a_command(
    command: str, inputs: list[str], plan: str, tmp_path: Path
) -> None:
    """Whatever the main thread does, even where it swallows what is raised; no file stays."""
    module, function, arguments = COMMANDS[command]
    if command == "check":
        arguments = [plan, *arguments]
    elif command == "export":
        arguments = ["--plan", plan, *arguments]
    elif command == "generate":
        arguments = ["--config-out", "c.yaml", *arguments]
    else:
        arguments = [*inputs, *([] if command == "analyze" else ["--plan", plan]), *arguments]
    moment = "from importlib import import_module\n"
    moment += f"import_module({module!r}).{function} = strike_and_hang\n"
    done = run(moment, command, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")
    assert list(tmp_path.iterdir()) == []


STRUCK = """
from importlib import import_module
door = import_module("placement.solve")
solve = door.solve_instance

def struck(*arguments, **options):
    strike()
    while not options["budget"].interrupted: pass
    return solve(*arguments, **options)

door.solve_instance = struck
"""


def solve_arguments(inputs: list[str], folder: Path) -> list[str]:
    outputs = ["-o", str(folder / "plan.json"), "--history", str(folder / "history.json")]
    return ["solve", *inputs, "--gpus", "8", "--method", "greedy", *outputs]


def test_a_solve_ends_with_the_best_plan_so_far(inputs: list[str], tmp_path: Path) -> None:
    """The first Ctrl-C of a running solve is no failure: its plan and history are written."""
    done = run(STRUCK, *solve_arguments(inputs, tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "stopping with the best plan so far; once more to quit\n"
    assert {p.name for p in tmp_path.iterdir()} == {"plan.json", "history.json"}


def test_a_solve_that_was_interrupted_refines_no_more(inputs: list[str], tmp_path: Path) -> None:
    """One Ctrl-C ends all that is still to come."""
    arguments = [*solve_arguments(inputs, tmp_path), "--refine", "p99", "--json"]
    done = run(STRUCK, *arguments)
    assert done.returncode == 0, done.stderr
    assert "refined" not in json.loads(done.stdout)


@pytest.mark.parametrize("more", ["strike()", "cli.interruption.GRACE_S = 0.0"])
def test_a_second_one_or_no_end_in_time_quits(more: str, inputs: list[str], tmp_path: Path) -> None:
    """A solve that does not come to its end is ended, and leaves nothing."""
    moment = STRUCK.replace("return solve", "strike() if SECOND else None; hang")
    moment = moment.replace("SECOND", str(more == "strike()"))
    if more != "strike()":
        moment += f"import cli.interruption\n{more}\n"
    done = run(moment, *solve_arguments(inputs, tmp_path))
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.splitlines()[-1] == "interrupted"
    assert list(tmp_path.iterdir()) == []


WRITING = """
fsync, calls = os.fsync, []
def struck(descriptor):
    calls.append(descriptor)
    if len(calls) == NUMBER:
        strike_and_hang()
    fsync(descriptor)
os.fsync = struck
"""


@pytest.mark.parametrize(
    ("name", "code", "file"), [("SIGTERM", 143, 1), ("SIGHUP", 129, 2), ("SIGINT", 130, 2)]
)
def test_while_files_are_written(
    name: str, code: int, file: int, inputs: list[str], plan: str, tmp_path: Path
) -> None:
    """Neither a hidden file stays, nor the first of two files that belong together."""
    moment = f"SIGNAL = {name!r}" + WRITING.replace("NUMBER", str(file))
    outputs = ["--log", tmp_path / "log.json", "--trace", tmp_path / "trace.json"]
    done = run(moment, "simulate", *inputs, "--plan", plan, *outputs)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


PLACING = """
from pathlib import Path
replace = Path.replace
def struck(self, target):
    strike()
    time.sleep(0)
    return replace(self, target)
Path.replace = struck
"""


def test_while_files_take_their_places(inputs: list[str], plan: str, tmp_path: Path) -> None:
    """Once the first of two files is in its place, the second gets there too."""
    outputs = ["--log", tmp_path / "log.json", "--trace", tmp_path / "trace.json"]
    done = run(PLACING, "simulate", *inputs, "--plan", plan, *outputs)
    assert done.returncode == 130
    assert {p.name for p in tmp_path.iterdir()} in (set(), {"log.json", "trace.json"})


def test_compare_shows_what_it_has_and_says_what_is_missing(
    inputs: list[str], tmp_path: Path
) -> None:
    """One Ctrl-C in the second method ends the command, not that method alone."""
    moment = """
import placement.contest
solve = placement.contest.solve_instance
def struck(instance, options, **rest):
    if options.method == "random":
        strike_and_hang()
    return solve(instance, options, **rest)
placement.contest.solve_instance = struck
"""
    arguments = ["compare", *inputs, "--gpus", "8", "--methods", "greedy,random", "--routings",
                 "plan,earliest", "--csv", tmp_path / "rows.csv"]  # fmt: skip
    done = run(moment, *arguments)
    assert done.returncode == 130
    rows = [line for line in done.stdout.splitlines() if line.startswith(" greedy ")]
    assert len(rows) == 3  # two rows and its plan
    assert done.stderr.splitlines() == [
        "interrupted",
        "missing, 3 of 5 rows: random under plan, random under earliest, baseline; "
        f"{tmp_path / 'rows.csv'} is not written",
    ]
    assert list(tmp_path.iterdir()) == []
    as_json = json.loads(run(moment, *arguments, "--json").stdout)
    assert [r["routing"] for r in as_json["rows"]] != []
    assert as_json["missing"] == ["random under plan", "random under earliest", "baseline"]


def test_where_a_library_is_silenced(inputs: list[str]) -> None:
    """The last word is heard though standard error leads nowhere at that moment."""
    moment = """
import placement.analysis
from placement.support.quiet import silenced
def struck(*arguments):
    with silenced(1), silenced(2):
        strike_and_hang()
placement.analysis.analyze = struck
"""
    done = run(moment, "analyze", *inputs)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_what_the_caller_ignores_stays_ignored(inputs: list[str]) -> None:
    """Under nohup a lost terminal ends nothing."""
    moment = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
import placement.analysis
analyze = placement.analysis.analyze
def struck(*arguments):
    strike("SIGHUP")
    return analyze(*arguments)
placement.analysis.analyze = struck
"""
    done = run(moment, "analyze", *inputs, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["requests"] == 60


def test_solvers_of_their_own_process_end_too(inputs: list[str], tmp_path: Path) -> None:
    """A solver that PuLP started does not outlive the command, nor do its files."""
    moment = """
import cli.interruption, pulp
cli.interruption.GRACE_S = 0.0
def solve(self, problem):
    import subprocess
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(child.pid, self.tmpDir, flush=True)
    strike_and_hang()
pulp.PULP_CBC_CMD.actualSolve = solve
"""
    outputs = ["-o", tmp_path / "plan.json"]
    done = run(moment, "solve", *inputs, "--gpus", "8", "--solver", "CBC", *outputs)
    # The first Ctrl-C asks, and no plan comes.
    assert done.returncode == 130, done.stderr
    pid, folder = done.stdout.split()
    assert not Path(folder).exists()
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()
    assert list(tmp_path.iterdir()) == []
