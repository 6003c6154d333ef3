"""One change applied to a copy of the project, and the nearest tests run over it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

from tests.mutation.mutants import Mutant
from tests.mutation.selection import ROOT, dotted, files

COMPILED = ("numba", "machine_code", "engines.kernel")
"""Words of modules of which machine code is made; it is made anew for each of their mutants."""


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


def seconds_of(folder: Path, tests: list[str], jobs: int) -> dict[str, float]:
    """Seconds of each test module on the unchanged copy; those that fail there are left out."""
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
    return {name: s for name, s in seconds.items() if s < float("inf")}


def noticed(folder: Path, mutant: Mutant, tests: list[str], limit_s: float) -> bool:
    """Whether a test fails, or hangs, where one change was made."""
    path = folder / mutant.path
    source, stat = path.read_bytes(), path.stat()
    env = dict(os.environ)
    with tempfile.TemporaryDirectory() as code:
        if any(word in source.decode() + dotted(ROOT / mutant.path) for word in COMPILED):
            env["NUMBA_CACHE_DIR"] = code
            limit_s += 180
        try:
            path.write_bytes(mutant.applied(source))
            paths = [str(files()[t].relative_to(ROOT)) for t in tests]
            return _pytest(folder, ["-x", "-n", "0", *paths], limit_s, env) != 0
        finally:
            path.write_bytes(source)
            # Machine code is kept under the time of its source.
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _pytest(
    folder: Path, options: list[str], limit_s: float | None, env: dict[str, str] | None = None
) -> int:
    """Exit code of pytest in a folder; 1 where it takes longer than it may."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder, env={**(env or os.environ), "PYTHONPATH": str(folder)},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    end = None if limit_s is None else time.monotonic() + limit_s
    try:
        code = process.wait(None if end is None else limit_s)
    except subprocess.TimeoutExpired:
        return 1
    finally:
        _end_group(process)
    if code not in (0, 1, 2, 4):  # 2 and 4: a module that cannot be imported
        raise SystemExit(f"pytest ended with {code}: no test was run, or it broke")
    return code


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
