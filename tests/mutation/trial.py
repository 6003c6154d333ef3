"""One change applied to a copy of the project, and tests run over it."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from tests.mutation.mutants import Mutant
from tests.mutation.selection import ROOT, files

Outcome = Literal["noticed", "hung", "SURVIVED"]
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+\.py(?:::.*?)?)(?: - .*)?$", re.MULTILINE)
"""Where pytest names a test that failed, or a module that could not be collected."""
LONGEST_S = 1800.0
"""Any folder of tests takes a tenth of it."""
COMPILED = ("@compiled", "@called", "@inlined", "@loop", "def advance")
"""Words of modules of which machine code is made: a minute for each of their mutants."""


def copy_project(folder: Path) -> None:
    """Copy what is under version control, and the machine code kept beside it."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    kept = [p.relative_to(ROOT) for p in ROOT.glob("[pr]*/**/__pycache__/*.nb[ci]")]
    for name in [*map(Path, filter(None, listed)), *kept]:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def is_compiled(path: Path) -> bool:
    """Whether machine code is made of a module."""
    return any(word in path.read_text() for word in COMPILED)


def lacks(path: Path) -> str | None:
    """What a module imports, wherever in it, that is not installed here."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in (n.partition(".")[0] for n in names):
            if find_spec(name) is None:
                return name
    return None


def trial_of(folder: Path, mutant: Mutant, test: str, limit_s: float) -> tuple[Outcome, str | None]:
    """Make one change, run a test module over it, and take it back.

    Returns whether a test fails, or hangs, and which fails first: None where that has no name, as
    where the module cannot even be imported.
    """
    if is_compiled(folder / mutant.path):
        limit_s += 300
    with made(folder, [mutant]):
        file = str(files()[test].relative_to(ROOT))
        code, said = _pytest(folder, [file, "-x", "-n", "0"], limit_s)
    if code is None:
        return "hung", None
    failed = FAILED.search(said)
    return "SURVIVED" if code in (0, 5) else "noticed", failed and failed[1]


def passes(folder: Path, test: str) -> bool:
    """Whether a single test passes without any change."""
    return _pytest(folder, [test, "-n", "0"], None)[0] == 0


def failing(folder: Path, tests: Sequence[str]) -> list[str]:
    """Of tests (files or single ones), those that fail in a copy of the project."""
    asked = [*tests, "-n", "2", "--continue-on-collection-errors"]
    code, said = _pytest(folder, asked, LONGEST_S)
    if code is None:
        raise SystemExit(f"{tests[0]} and those beside it hang with all changes: try fewer at once")
    return FAILED.findall(said)


@contextlib.contextmanager
def made(folder: Path, mutants: Sequence[Mutant]) -> Iterator[None]:
    """Make changes of different places in a copy of the project, and take them back."""
    kept = {m.path: (folder / m.path).read_bytes() for m in mutants}
    stats = {path: (folder / path).stat() for path in kept}
    with _code_kept(folder):
        try:
            for mutant in sorted(mutants, key=lambda m: m.start, reverse=True):
                path = folder / mutant.path
                path.write_bytes(mutant.applied(path.read_bytes()))
            yield
        finally:
            for name, source in kept.items():
                (folder / name).write_bytes(source)
                # Machine code is kept under the time of its source.
                stat = stats[name]
                os.utime(folder / name, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@contextlib.contextmanager
def _code_kept(folder: Path) -> Iterator[None]:
    """Put the machine code back that a changed module has written its own over."""
    kept = {p: p.read_bytes() for p in folder.glob("[pr]*/**/__pycache__/*.nbi")}
    yield
    for path, index in kept.items():
        path.write_bytes(index)


def _pytest(
    folder: Path, arguments: Sequence[str], limit_s: float | None
) -> tuple[int | None, str]:
    """Exit code of pytest in a folder, None where it takes longer than it may, and what it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rfE", "--tb=no",
         *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "1000"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        _end_group(process)
    # 2 and 4: a module that cannot be imported; 5: all tests ask for what is not installed.
    if process.returncode not in (0, 1, 2, 4, 5):
        raise SystemExit(f"pytest ended with {process.returncode}: it broke")
    return process.returncode, said


def _end_group(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
