"""The rooms of the code: what stands where, and that imports run down only."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

from cli.main import COMMANDS, module_of
from tests.mirror import HELD_BY, held_by, mirror_of

ROOT = Path(__file__).parent.parent
PACKAGES = ("placement", "runtime", "cli")

LAYERS = (
    ("placement.support",),
    ("placement.params",),
    ("placement.problem",),
    ("placement.files",),
    ("placement.generate", "placement.importing", "placement.solver"),
    ("placement.heuristics",),
    ("placement.programs",),
    ("placement.improve",),
    ("placement.patterns",),
    ("placement.portfolio",),
    ("placement",),
)
"""Rooms of `placement` from the ground up; ``placement`` itself stands for its front doors.

A room imports from those below it, never from those beside or above it.
"""

APART = {
    "placement.verify": ("placement.support", "placement.problem"),
    "runtime": ("placement.support", "placement.params", "placement.problem", "placement.files"),
    "cli": ("placement", "runtime"),
}
"""What may be imported by code that stands beside the layers: nothing else of the project."""

SAME_THING = {
    "check", "compare", "deploy", "execute", "generate", "refine", "simulate",  # a command
    "adaptive", "explain", "rebalance", "size", "solve", "whatif",  # likewise
    "comparison", "course", "flows", "latency", "map", "utilization",  # as a view, and as a picture
    "bottleneck",  # as a program, and proven anew
    "verdict",  # in words, and as the terminal shows it
}  # fmt: skip
"""Names of modules that stand in two places, for one thing each."""


COMPILED = r"@(compiled|called|inlined)\b"
"""Decorators of functions that numba compiles."""


@cache
def sources() -> dict[str, Path]:
    """File of every module by its dotted name; a package is its ``__init__``."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports() -> dict[str, frozenset[str]]:
    """Modules of the project that each module imports, wherever in it."""
    return {name: frozenset(_imported(path)) - {name} for name, path in sources().items()}


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name in sources())
        elif isinstance(node, ast.ImportFrom) and node.module in sources():
            for a in node.names:
                inner = f"{node.module}.{a.name}"
                yield inner if inner in sources() else node.module


def inside(module: str, room: str) -> bool:
    return module == room or module.startswith(room + ".")


def room_of(module: str) -> str:
    """The room that a module stands in: of those that hold it, the innermost."""
    rooms = [*APART, *(room for layer in LAYERS for room in layer)]
    return max((room for room in rooms if inside(module, room)), key=len)


def packages() -> list[str]:
    return [name for name, path in sources().items() if path.name == "__init__.py"]


def test_imports_run_down_only() -> None:
    """No room of `placement` knows what stands beside or above it."""
    floor = {room: i for i, layer in enumerate(LAYERS) for room in layer}
    layered = [name for name in sources() if room_of(name) in floor]
    assert len(layered) > 80
    wrong = []
    for name in layered:
        for other in imports()[name]:
            mine, its = room_of(name), room_of(other)
            if mine != its and (its not in floor or floor[its] >= floor[mine]):
                wrong.append(f"{name} -> {other}")
    assert not wrong


@pytest.mark.parametrize("room", APART)
def test_what_stands_apart_imports_only_what_it_may(room: str) -> None:
    """The verifier shares no code with the solvers, and the simulator knows none."""
    modules = [name for name in sources() if room_of(name) == room]
    allowed = (room, *APART[room])
    wrong = [
        f"{name} -> {other}"
        for name in modules
        for other in imports()[name]
        if not any(inside(other, a) for a in allowed)
    ]
    assert modules
    assert not wrong


def test_imports_make_no_circle() -> None:
    """Modules can be read in an order in which each rests on those before it."""
    graph = nx.DiGraph((a, b) for a, others in imports().items() for b in others)
    circles = [sorted(c) for c in nx.strongly_connected_components(graph) if len(c) > 1]
    assert graph.number_of_edges() > 500
    assert not circles


def test_no_command_imports_another() -> None:
    """What two commands share stands in a module of its own."""
    commands = {module_of(name) for name in COMMANDS}
    assert commands <= set(sources())
    assert not [f"{a} -> {b}" for a in sorted(commands) for b in imports()[a] if b in commands]


def test_no_test_imports_another() -> None:
    """What several tests share stands in a module that is no test."""
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in sorted((ROOT / "tests").rglob("*.py"))
    }
    wrong = [
        f"{name} -> {other}"
        for name, path in files.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom | ast.Import)
        for other in _named(node)
        if other.rpartition(".")[2].startswith("test_") and other in files
    ]
    assert len(files) > 150
    assert not wrong


def test_every_module_has_its_tests() -> None:
    """One of its name, or those that `tests.mirror` lists with a reason."""
    there = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "tests").rglob("*.py")
    }
    modules = {m for m in sources() if m not in packages() and not m.endswith("__main__")}
    alone = {m for m in modules if mirror_of(m) not in there}
    assert not [m for m in sorted(alone) if not held_by(m)]
    listed = {f"tests.{test}" for tests, _ in HELD_BY.values() for test in tests}
    assert listed <= there
    unused = [p for p in HELD_BY if not any(fnmatchcase(m, p) for m in alone)]
    assert not unused


def _named(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [a.name for a in node.names]
    return [f"{node.module}", *(f"{node.module}.{a.name}" for a in node.names)]


def test_no_module_name_stands_for_two_things() -> None:
    """A name leads to one place, or to places that are about the same thing."""
    places = defaultdict(list)
    for name in sources():
        places[name.rsplit(".", 1)[-1]].append(name)
    twice = {leaf: names for leaf, names in places.items() if len(names) > 1}
    twice.pop("__main__", None)
    assert set(twice) == SAME_THING, twice


@pytest.mark.parametrize("package", packages())
def test_every_room_says_its_purpose_in_one_line(package: str) -> None:
    """The page on the architecture says the same of it."""
    docstring = ast.get_docstring(ast.parse(sources()[package].read_text()))
    assert docstring is not None
    purpose = docstring.splitlines()[0]
    assert purpose.endswith(".")
    page = re.sub(r"\s+", " ", (ROOT / "docs" / "architecture.md").read_text())
    assert f"`{package.replace('.', '/')}/` | {purpose}" in page


WITHOUT_PARAMETERS = ("runtime.engines.kernel",)
"""Packages whose letters are stated once, in the docstring of the package."""

OF_CLICK = {"convert", "main", "command"}
"""Names by which the command-line library calls; the docstring of a command is its help."""


def test_parameters_are_said_where_there_are_three() -> None:
    """Public functions of three or more have a section on them, which is true of the code.

    Left out may be what its type says in full: a class of the project.
    """
    seen, wrong = 0, []
    for module, path in sources().items():
        if any(inside(module, package) for package in WITHOUT_PARAMETERS):
            continue
        for name, function in _public(ast.parse(path.read_text())):
            given = _given(function)
            if len(given) < 3 or (module.startswith("cli.") and function.name in OF_CLICK):
                continue
            seen += 1
            said = _said(ast.get_docstring(function) or "")
            lacking = [x for x, plain in given.items() if plain and x not in said]
            if not said or lacking or said != [x for x in given if x in said]:
                wrong.append(f"{module}.{name}: {', '.join(lacking or given)}")
    assert seen > 200
    assert not wrong


def _public(tree: ast.Module | ast.ClassDef) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not node.name.startswith("_"):
                yield node.name, node  # type: ignore[misc]
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from ((f"{node.name}.{name}", f) for name, f in _public(node))


def _given(function: ast.FunctionDef) -> dict[str, bool]:
    """Parameters in their order, and whether the type leaves anything to say."""
    a = function.args
    given = {x.arg: _plain(x) for x in (*a.posonlyargs, *a.args)}
    given |= {f"*{a.vararg.arg}": True} if a.vararg else {}
    given |= {x.arg: _plain(x) for x in a.kwonlyargs}
    given |= {f"**{a.kwarg.arg}": True} if a.kwarg else {}
    return {name: plain for name, plain in given.items() if name not in ("self", "cls")}


def _plain(argument: ast.arg) -> bool:
    if argument.annotation is None:
        return True
    named = ast.unparse(argument.annotation).removesuffix(" | None")
    return named not in _classes()


@cache
def _classes() -> frozenset[str]:
    """Names of the classes of the project."""
    return frozenset(
        node.name
        for path in sources().values()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    )


def _said(docstring: str) -> list[str]:
    """Names in the section on parameters, as numpydoc has it."""
    section = re.search(r"Parameters\n-{10}\n(.*?)(?=\n\n\S|\Z)", docstring, re.DOTALL)
    if section is None:
        return []
    lines = re.findall(r"(?m)^(\S.*?)(?: : .*)?$", section[1])
    return [name.strip() for line in lines for name in line.split(",")]


def numbers(value: ast.expr) -> object | None:
    """A number, or a tuple of numbers, that an expression is; None where it is anything else."""
    try:
        found = eval(compile(ast.Expression(value), "constant", "eval"), {"__builtins__": {}})
    except Exception:  # names, calls: no constant
        return None
    each = found if isinstance(found, tuple) else (found,)
    return found if each and all(type(v) in (int, float) for v in each) else None


def constants(tree: ast.Module) -> Iterator[tuple[str, object]]:
    """Numeric constants of a module."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            pairs = [(node.target, node.value)]
        elif isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            both = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            pairs = list(zip(target.elts, value.elts, strict=True)) if both else [(target, value)]
        else:
            continue
        for target, value in pairs:
            name = target.id if isinstance(target, ast.Name) else ""
            if name.isupper() and (found := numbers(value)) is not None:
                yield name, found


def test_no_constant_has_two_values() -> None:
    """A number has a name of its own; what steers a search is a field of `placement/params/`."""
    values = defaultdict(dict)
    for name, path in sources().items():
        if name.split(".")[0] in ("placement", "runtime"):
            for constant, value in constants(ast.parse(path.read_text())):
                values[constant][name] = value
    assert len(values) > 80
    assert {c: v for c, v in values.items() if len(set(map(str, v.values()))) > 1} == {}


def test_no_function_takes_nine_arguments() -> None:
    """What belongs together travels as one value; compiled kernels take arrays one by one."""
    longest = []
    measured = {f"benchmarks.{p.stem}": p for p in (ROOT / "benchmarks").glob("*.py")}
    for name, path in {**sources(), **measured}.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                taken = sum(a.arg not in ("self", "cls") for a in given)
                longest.append((taken, f"{name}.{node.name}", ast.unparse(node).split("def ")[0]))
    kernels = [n for taken, n, above in longest if taken >= 9 and re.search(COMPILED, above)]
    assert len(kernels) >= 3
    assert [n for taken, n, _ in longest if taken >= 9 and n not in kernels] == []


def test_code_cites_sections_that_exist() -> None:
    """What stands in quotes after a page of `docs/` is one of its headings."""
    cited = 0
    for folder in (*PACKAGES, "tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            text = re.sub(r"\s*\n\s*", " ", path.read_text())
            for page, heading in re.findall(r'(docs/\w+\.md), "([A-Z][^"]+)"', text):
                headings = re.findall(r"(?m)^#+ (.+)$", (ROOT / page).read_text())
                assert heading in headings, (path, page, heading)
                cited += 1
    assert cited > 10
