"""One change applied to a copy of the project, and the nearest tests run over it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from tests.mutation.mutants import Mutant
from tests.mutation.selection import ROOT, files

Outcome = Literal["noticed", "hung", "SURVIVED"]
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


def seconds_of(folder: Path, tests: list[str], jobs: int) -> dict[str, float]:
    """Seconds of each test module on the unchanged copy; endless for those that fail there."""
    if not tests:
        return {}
    report = folder / "times.xml"
    paths = [str(files()[t].relative_to(ROOT)) for t in tests]
    _pytest(folder, ["-n", str(jobs), f"--junitxml={report}", *paths], None)
    seconds = dict.fromkeys(tests, 0.0)
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("classname", "")
        name = name if name in seconds else name.rpartition(".")[0]
        if case.find("failure") is not None or case.find("error") is not None:
            print(f"fails without any change, not used: {name}", file=sys.stderr)
            seconds[name] = float("inf")
        elif name in seconds:
            seconds[name] += float(case.get("time", 0))
    return seconds


def outcome_of(folder: Path, mutant: Mutant, tests: list[str], limit_s: float) -> Outcome:
    """Make one change, run tests over it, and take it back: whether one fails, or hangs."""
    path = folder / mutant.path
    source, stat = path.read_bytes(), path.stat()
    if is_compiled(path):
        limit_s += 300
    with _code_kept(folder):
        try:
            path.write_bytes(mutant.applied(source))
            paths = [str(files()[t].relative_to(ROOT)) for t in tests]
            code = _pytest(folder, ["-x", "-n", "0", *paths], limit_s)
            return "hung" if code is None else "SURVIVED" if code in (0, 5) else "noticed"
        finally:
            path.write_bytes(source)
            # Machine code is kept under the time of its source.
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@contextlib.contextmanager
def _code_kept(folder: Path) -> Iterator[None]:
    """Put the machine code back that a changed module has written its own over."""
    kept = {p: p.read_bytes() for p in folder.glob("[pr]*/**/__pycache__/*.nbi")}
    yield
    for path, index in kept.items():
        path.write_bytes(index)


def _pytest(folder: Path, options: list[str], limit_s: float | None) -> int | None:
    """Exit code of pytest in a folder; None where it takes longer than it may."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        code = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end_group(process)
    # 2 and 4: a module that cannot be imported; 5: all tests ask for what is not installed.
    if code not in (0, 1, 2, 4, 5):
        raise SystemExit(f"pytest ended with {code}: it broke")
    return code


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
