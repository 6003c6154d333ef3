"""`import placement, runtime` is the front door: names that load when used, and documented."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import placement
import runtime

ROOT = Path(__file__).parent.parent
PACKAGES = (placement, runtime)
NAMES = [(package, name) for package in PACKAGES for name in package.__all__]


def typed_names(package: ModuleType) -> dict[str, str]:
    """Names that a type checker sees in a package, with the module of each."""
    assert package.__file__ is not None
    found = {}
    for node in ast.walk(ast.parse(Path(package.__file__).read_text())):
        if isinstance(node, ast.If):
            for line in node.body:
                assert isinstance(line, ast.ImportFrom)
                found.update({alias.asname or "": line.module or "" for alias in line.names})
    return found


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.__name__)
def test_type_checkers_and_python_see_the_same_names(package: ModuleType) -> None:
    """What is listed for mypy is what is offered, from the same module."""
    assert package.__all__ == sorted(typed_names(package))
    assert len(package.__all__) >= 7
    for name, module in typed_names(package).items():
        assert getattr(package, name) is getattr(importlib.import_module(module), name)
        assert name in dir(package)
    with pytest.raises(AttributeError, match="has no attribute 'solved'"):
        _ = package.solved


@pytest.mark.parametrize("first", ["placement.solve", "placement.check", "runtime.simulate"])
def test_a_function_keeps_its_name_from_its_module(first: str) -> None:
    """Whether the module of the same name was loaded before or not, and importable it stays."""
    package, name = first.split(".")
    for before in ("", f"import {first}; from {first} import {name};"):
        script = (
            f"import sys; {before} import {package}; assert callable({first}); "
            f"from {first} import {name}; assert {name} is {first}; "
            f"assert type(sys.modules['{first}']).__name__ == 'module'"
        )
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True)
        assert done.returncode == 0, done.stderr


def front_doors() -> list[ModuleType]:
    """The modules that whoever uses the packages may import from."""
    root = [f"placement.{p.stem}" for p in (ROOT / "placement").glob("[a-z]*.py")]
    names = ("compare", "log", "metrics", "run", "scoring", "simulate", "timeline")
    return [importlib.import_module(n) for n in (*root, *(f"runtime.{name}" for name in names))]


def functions() -> list[tuple[str, object]]:
    """Public functions, classes, and the public functions of these, by dotted name."""
    named = [(f"{p.__name__}.{name}", getattr(p, name)) for p, name in NAMES]
    for module in front_doors():
        own = [
            (n, t)
            for n, t in vars(module).items()
            if getattr(t, "__module__", "") == module.__name__
        ]
        named += [
            (f"{module.__name__}.{n}", t) for n, t in own if not n.startswith("_") and callable(t)
        ]
    found: list[tuple[str, object]] = []
    for dotted, thing in named:
        found.append((dotted, thing))
        if inspect.isclass(thing):
            for method, function in vars(thing).items():
                function = getattr(function, "__func__", function)
                if inspect.isfunction(function) and not method.startswith("_"):
                    found.append((f"{dotted}.{method}", function))
    return found


def parameters(thing: object) -> list[str]:
    """What a function takes, or what a class is made of by whoever makes one."""
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return []
    names = list(inspect.signature(thing).parameters)  # type: ignore[arg-type]
    return [n for n in names if n not in ("self", "cls", "args", "kwargs", "kwds")]


def documented(thing: object) -> set[str]:
    """Names in the numpydoc section on the parameters, of a class's bases too."""
    classes = inspect.getmro(thing) if inspect.isclass(thing) else (thing,)
    found: set[str] = set()
    for one in classes:
        text = inspect.cleandoc(one.__doc__ or "")
        part = re.search(r"Parameters\n-+\n(.*?)(?=\n\n?\w+\n-+\n|\Z)", text, re.DOTALL)
        for line in (part[1] if part else "").splitlines():
            named = re.match(r"\*{0,2}((?:\w+)(?:, \w+)*)(?: : .*)?$", line)
            if named and not line.startswith(" "):
                found.update(named[1].split(", "))
    return found


def test_every_public_name_says_what_it_takes() -> None:
    """What has three parameters or more documents each of them; everything has a sentence."""
    looked_at, missing = 0, []
    for name, thing in functions():
        if not inspect.getdoc(thing):
            missing.append(name)
        taken = parameters(thing)
        looked_at += len(taken) >= 3
        if len(taken) >= 3 and not set(taken) <= documented(thing):
            missing.append(f"{name}: {', '.join(sorted(set(taken) - documented(thing)))}")
    assert missing == []
    assert looked_at > 40
