"""Runs the steps of a case as a user gets them, and says what is wrong with what came of them."""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO, TextIOWrapper
from pathlib import Path
from typing import Any

from tests.fuzz.cases import Case
from tests.fuzz.lines import Step, commands

SLOW_CPU_S = 10.0
"""Processor time of one step beyond which it counts as slow: inputs are tiny, limits below 2 s."""
MOST_GROWTH_MB = 700
OUTCOMES = {0: "done", 1: "failed in words", 2: "refused in words"}
OUTPUTS = (
    "-o",
    "--output",
    "--history",
    "--log",
    "--event-log",
    "--endpoints",
    "--trace",
    "--csv",
    "--config-out",
    "--requests-out",
)
PROJECT = ("placement", "runtime", "cli")
NOISE = re.compile(
    r"Traceback|internal error|panicked|codec can't|has no attribute|Warning:|NoneType|<class|"
    r"Errno|invalid literal for|could not convert|math domain|encountered in|Exceeds the limit|"
    r"out of memory|pydantic|not iterable|not subscriptable|embedded null|RUST_BACKTRACE"
)
CLICK = ("--", "'-", "''", "PLAN", "ommand", "Got unexpected", "Missing argument",
         "is not one of", "solver", "rror: '", "missing: ",
         "the plan has no ")  # fmt: skip
"""How click names what is wrong with a command line."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u2028\u2029\u202e]")


@dataclass
class Outcome:
    """What one step came to.

    Parameters
    ----------
    command, code
    faults : list of (kind, detail)
        What is wrong with it; nothing where all is as it should be.
    """

    command: str
    code: int | None
    faults: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""
    cpu_s: float = 0.0

    @property
    def name(self) -> str:
        """How the step is counted."""
        if self.faults:
            return "FAULT"
        return OUTCOMES.get(self.code if self.code is not None else -1, "?")


@dataclass
class Said:
    """Exit code and output of one call."""

    code: int | None
    out: str
    err: str
    error: BaseException | None = None
    cpu_s: float = 0.0
    grown_mb: float = 0.0


class Stage:
    """Calls the command in this process, with stdout and stderr of the process kept in memory."""

    def __init__(self) -> None:
        self._files = [os.memfd_create(name) for name in ("out", "err")]
        self._errors: list[BaseException] = []
        self._libc = ctypes.CDLL(None)
        module = sys.modules.get("cli.main") or __import__("cli.main", fromlist=["main"])
        self._main = module.main
        explain = module._explain

        def noted(error: BaseException) -> int:
            self._errors.append(error)
            return int(explain(error))

        module._explain = noted

    def call(self, args: tuple[str, ...]) -> Said:
        """Run one command line to its end."""
        self._errors.clear()
        code: int | None = 0
        escaped: BaseException | None = None
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with self._turned(), warnings.catch_warnings():
            warnings.simplefilter("always")
            for category in (DeprecationWarning, PendingDeprecationWarning, ResourceWarning):
                warnings.simplefilter("ignore", category)
            begin = time.process_time()
            try:
                self._main(list(args), prog_name="gswarm-place")
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else 1
            except BaseException as error:  # panics of libraries are no Exceptions
                code, escaped = None, error
            cpu_s = time.process_time() - begin
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
        error = escaped or (self._errors[-1] if self._errors else None)
        out, err = (self._text(file) for file in self._files)
        if escaped is not None:
            err += "".join(traceback.format_exception(escaped))
        return Said(code, out, err, error, cpu_s, grown)

    @contextmanager
    def _turned(self) -> Iterator[None]:
        kept = [os.dup(1), os.dup(2)]
        streams = sys.stdout, sys.stderr
        for file, descriptor in zip(self._files, (1, 2), strict=True):
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.dup2(file, descriptor)
        sys.stdout = TextIOWrapper(
            FileIO(1, "w", closefd=False), encoding="utf-8", write_through=True
        )
        sys.stderr = TextIOWrapper(
            FileIO(2, "w", closefd=False),
            encoding="utf-8",
            errors="backslashreplace",
            write_through=True,
        )
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            self._libc.fflush(None)
            sys.stdout, sys.stderr = streams
            for descriptor, target in zip(kept, (1, 2), strict=True):
                os.dup2(descriptor, target)
                os.close(descriptor)

    @staticmethod
    def _text(file: int) -> str:
        size = os.fstat(file).st_size
        return os.pread(file, min(size, 20_000_000), 0).decode("utf-8", "backslashreplace")


def call_process(args: tuple[str, ...], limit_s: float = 120.0) -> Said:
    """Run one command line in a process of its own."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "cli", *args], capture_output=True, timeout=limit_s, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        return Said(None, "", f"did not end within {limit_s:g} s", error)
    texts = (part.decode("utf-8", "backslashreplace") for part in (done.stdout, done.stderr))
    return Said(done.returncode, *texts)


def judge_case(case: Case, stage: Stage | None, folder: Path) -> list[Outcome]:
    """Run a case in `folder`, which must be empty; without a stage in processes of their own."""
    case.write(folder)
    aside = folder.with_name(folder.name + ".tmp")
    aside.mkdir(exist_ok=True)
    tempfile.tempdir = os.environ["TMPDIR"] = str(aside)
    before = Path.cwd()
    os.chdir(folder)
    found: list[Outcome] = []
    try:
        for step in case.steps:
            if step.after and (not found or found[-1].code != 0):
                break
            kept = names_here()
            said = call_process(step.args) if stage is None else stage.call(step.args)
            outcome = judge_step(case, step, said, kept)
            if left := [p.name for p in aside.iterdir()]:
                outcome.faults.append(("left behind", f"{left} in the folder of temporary files"))
            found.append(outcome)
    finally:
        os.chdir(before)
    return found


def names_here() -> set[str]:
    """Names of all files of the current folder."""
    return {p.name for p in Path().iterdir()}


def judge_step(case: Case, step: Step, said: Said, before: set[str]) -> Outcome:
    """What is wrong with what one step said, and with what it left in the current folder."""
    outcome = Outcome(step.command, said.code, text=said.err or said.out, cpu_s=said.cpu_s)
    add = outcome.faults.append
    where = _origin(said.error)
    if said.code not in (0, 1, 2):
        add(("crash", f"{_kind(said.error)} {where}"))
        return outcome
    if found := NOISE.search(said.err):
        add(("noise", f"{found[0]} {_kind(said.error)} {where}"))
    elif (
        isinstance(said.error, ValueError | OSError)
        and type(said.error) in (ValueError, UnicodeEncodeError, UnicodeDecodeError, OverflowError)
        and not _ours(said.error)
    ):
        add(("unmeant", f"{_kind(said.error)} {where}"))
    if said.code not in step.allowed:
        add(("contradiction", f"exit {said.code}: {_words(said.err or said.out)}"))
    if said.code == 2 and not outcome.faults:
        outcome.faults += _sentence(case, step, said.err)
    if said.code == 1 and not (said.err.strip() or (said.out.strip() and "--json" in step.args)):
        add(("silent", "exit 1 without a word"))
    outcome.faults += _output(step, said)
    if step.command == "analyze" and said.code == 0 and "--json" in step.args and case.requests:
        found = json.loads(said.out).get("requests")
        if found != case.requests:
            add(("lost", "requests of the trace are not in the analysis"))
    outcome.faults += _files(case, step, said, before)
    if said.cpu_s > SLOW_CPU_S:
        add(("slow", f"{step.command}"))
    if said.grown_mb > MOST_GROWTH_MB:
        add(("memory", f"{step.command}: a case of a few kilobytes takes {said.grown_mb:.0f} MB"))
    return outcome


def _sentence(case: Case, step: Step, err: str) -> list[tuple[str, str]]:
    """A refusal names a file or an option, and says what to do."""
    lines = [line for line in err.splitlines() if line.lower().startswith("error: ")]
    if not lines:
        return [("no sentence", _words(err))]
    # Names are shown escaped: what is left of them unescaped is looked for.
    parts = [p for a in step.args[1:] if a for p in (a, *re.findall(r"[\w.-]{2,}", a))]
    if not any(n in lines[0] for n in (*case.files, *parts, *CLICK)):
        return [("names no file", _words(lines[0]))]
    return []


def _output(step: Step, said: Said) -> list[tuple[str, str]]:
    found = []
    text = step.command in ("export", "schema", "completion", "none")
    if control := CONTROL.search(said.err if text else said.err + said.out):
        found.append(("control character", f"{control[0]!r} from {step.command}"))
    to_stdout = any("/dev/" in a for a in step.args)
    shown = "--help" in step.args or "-h" in step.args or "--version" in step.args or to_stdout
    if _asks_json(step) and not shown:
        if said.out.strip():
            try:
                value = json.loads(said.out, parse_constant=_refuse)
                if not isinstance(value, dict):
                    found.append(("json", f"{step.command} prints no object"))
            except ValueError as error:
                found.append(("json", f"{step.command}: {_words(str(error))}"))
        elif said.code == 0:
            found.append(("json", f"{step.command} prints nothing"))
    elif {"-q", "--quiet"} & set(step.args) and said.out and not text and not shown:
        found.append(("not quiet", step.command))
    return found


def _asks_json(step: Step) -> bool:
    """Whether --json is an option here, and not what another option takes."""
    if "--json" not in step.args or step.command == "none":
        return False
    valued = [p for p in commands()[step.command].params if not getattr(p, "is_flag", False)]
    return step.args[step.args.index("--json") - 1] not in {o for p in valued for o in p.opts}


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _files(case: Case, step: Step, said: Said, before: set[str]) -> list[tuple[str, str]]:
    """New files are what was asked for, where the work was done; inputs stay as they are."""
    found = []
    asked = {b for a, b in zip(step.args, step.args[1:], strict=False) if a in OUTPUTS}
    asked |= {a.partition("=")[2] for a in step.args if a.partition("=")[0] in OUTPUTS}
    asked |= {a[2:] for a in step.args if a.startswith("-o")}
    asked |= {"plan.yaml", "report.html"}  # defaults
    for name in names_here() - before:
        if name.startswith(".") and name not in asked:
            found.append(("left behind", re.sub(r"\d+", "N", name)))
        elif name not in asked and f"./{name}" not in asked and "__pycache__" not in name:
            found.append(("left behind", f"{name} was not asked for"))
        elif said.code and step.command not in ("compare", "none"):
            found.append(("left behind", f"{step.command} writes {name} and ends with {said.code}"))
    for name, content in case.files.items():
        path = Path(name)
        overwritten = name in asked and step.args.count(name) == 1  # an input of other steps
        if not overwritten and (not path.is_file() or path.read_bytes() != content):
            found.append(("input lost", name))
    return found


def _kind(error: BaseException | None) -> str:
    if error is None:
        return ""
    return f"{type(error).__name__}: {_words(str(error))}"


def _words(text: str) -> str:
    """The beginning of a text without what differs from case to case."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", text.strip())
    return re.sub(r"[-\d.]+", "N", text)[:90].split("\n")[0]


def _frames(error: BaseException | None) -> list[tuple[str, int, str]]:
    if error is None:
        return []
    return [
        (f.filename, f.lineno or 0, f.name)
        for f in traceback.extract_tb(error.__traceback__)
        if "tests/fuzz" not in f.filename
    ]


def _inside(name: str) -> bool:
    root = str(Path(__file__).parents[2])
    return name.startswith(root) and any(name.startswith(f"{root}/{part}/") for part in PROJECT)


def _ours(error: BaseException) -> bool:
    """Whether our own code raised it, in words meant for the user."""
    frames = _frames(error)
    return bool(frames) and (
        _inside(frames[-1][0]) and not isinstance(error, OverflowError | UnicodeError)
    )


def _origin(error: BaseException | None) -> str:
    """The last place of our own code that the error went through."""
    for name, _, function in reversed(_frames(error)):
        if _inside(name):
            return f"{Path(name).relative_to(Path(__file__).parents[2])} {function}"
    return ""
