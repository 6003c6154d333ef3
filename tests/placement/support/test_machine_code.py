"""Machine code that is kept: used again where it is right, made anew where it is not."""

from __future__ import annotations

import importlib.util
import os
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import pytest
from numba.core import event

SOURCE = """
import callee
from placement.support.machine_code import compiled

@compiled(calls=(callee.__file__,))
def twice(x):
    return callee.once(x) + callee.once(x)
"""
CALLEE = """
from placement.support.machine_code import compiled

@compiled()
def once(x):
    return x{change}
"""


class Compilations(event.Listener):
    """How many functions were compiled, not loaded."""

    count = 0

    def on_start(self, event: object) -> None:
        self.count += 1

    def on_end(self, event: object) -> None:
        """Only beginnings count."""


@pytest.fixture(autouse=True)
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machine code is kept beside its source."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "caller.py").write_text(SOURCE)
    (tmp_path / "callee.py").write_text(CALLEE.format(change=""))


def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, int]:
    """What the function says, as a new process would load it, and how much was compiled."""
    found: dict[str, ModuleType] = {}
    for name in ("callee", "caller"):
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        found[name] = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, found[name])
        spec.loader.exec_module(found[name])
    listener = Compilations()
    with event.install_listener("numba:compile", listener):
        said = found["caller"].twice(3)
    return said, listener.count


def test_what_was_kept_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second process compiles nothing."""
    said, count = run(tmp_path, monkeypatch)
    assert said == 6
    assert count > 0
    assert run(tmp_path, monkeypatch) == (6, 0)


@pytest.mark.parametrize(
    "kept", [b"cno_such_module\nName\n.", b"cplacement\nno_such_name\n.", b"", b"half"]
)
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_what_cannot_be_read_was_not_kept(
    kept: bytes, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version moved a class that is named there, or the disk was full: compile anew."""
    run(tmp_path, monkeypatch)
    files = list(tmp_path.rglob(f"*.{ending}"))
    assert files
    for file in files:
        head = pickle.dumps(numba.__version__) if ending == "nbi" else b""
        file.write_bytes(head + kept)
    said, count = run(tmp_path, monkeypatch)
    assert said == 6
    assert count > 0


def test_a_change_of_what_is_called_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code of a callee is part of the caller's, in whatever file it stands."""
    assert run(tmp_path, monkeypatch)[0] == 6
    (tmp_path / "callee.py").write_text(CALLEE.format(change=" + 1"))
    os.utime(tmp_path / "callee.py", (1e9, 1e9))
    assert run(tmp_path, monkeypatch)[0] == 8
