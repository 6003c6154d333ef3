"""Which tests stand nearest to a module: those that mirror it, and those that import it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.mirror import held_by, mirror_of

ROOT = Path(__file__).parents[2]
PACKAGES = ("placement", "runtime", "cli", "benchmarks", "tests")


def dotted(path: Path) -> str:
    """Name by which Python imports a file of the project."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def files() -> dict[str, Path]:
    """File of every module of the project and its tests, by dotted name."""
    return {dotted(p): p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py"))}


@cache
def importers() -> dict[str, frozenset[str]]:
    """Modules that import each module, wherever in them."""
    found: dict[str, set[str]] = {name: set() for name in files()}
    for name, path in files().items():
        for node in ast.walk(ast.parse(path.read_bytes())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
            for other in names:
                if other in found:
                    found[other].add(name)
    return {name: frozenset(others) for name, others in found.items()}


def is_test(name: str) -> bool:
    """Whether a module is collected by pytest."""
    return name.rsplit(".", 1)[-1].startswith("test_")


def mirrors(name: str) -> list[str]:
    """The test of a module's name, or those that are listed in its place."""
    own = mirror_of(name)
    return [own] if own in files() else [t for t in held_by(name) if t in files()]


def nearest_tests(name: str, *, enough: int = 3) -> list[str]:
    """Test modules of a module: its mirror, then by how many imports lie between.

    The mirror is the test of the module's name, or what `tests.mirror` lists in its place.

    Modules through which a test reaches this one are followed upwards until `enough` tests are
    found; all of one distance are taken, so that their order does not matter.
    """
    found = mirrors(name)
    seen, rim = {name}, [name]
    while rim and len(found) < enough:
        rim = sorted({above for one in rim for above in importers()[one]} - seen)
        seen.update(rim)
        found += [one for one in rim if is_test(one) and one not in found]
        rim = [one for one in rim if not is_test(one)]
    return found
