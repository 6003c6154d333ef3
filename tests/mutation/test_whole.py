"""All survivors at once against every test, and which of them a test notices."""

import runpy
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.selection import ROOT
from tests.mutation.trial import FAILED, made
from tests.mutation.whole import apart, fail_together, noticed_alone, parts_of_suite

SOURCE = b"""def sign(x):
    return x < 0

def twice(x):
    return 2 * x + 0
"""
TRUE = {
    "sign at 0": lambda module: not module["sign"](0),
    "twice": lambda module: module["twice"](4) == 8,
    "fails anyway": lambda module: False,
    "never fails": lambda module: True,
}


def failing(folder: Path, tests: Sequence[str]) -> list[str]:
    """Tests that are functions, in the place of pytest."""
    module = runpy.run_path(str(folder / "m.py"))
    return [test for test in tests if not TRUE[test](module)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of one module."""
    (tmp_path / "m.py").write_bytes(SOURCE)
    return tmp_path


@pytest.fixture
def mutants() -> dict[str, Mutant]:
    """Its changes by what they are."""
    return {m.what: m for m in mutants_of(Path("m.py"), SOURCE)}


def test_each_change_is_held_to_the_tests_that_fail_with_all(
    folder: Path, mutants: dict[str, Mutant]
) -> None:
    """What fails without a change tells nothing; afterwards the module is as before."""
    chosen = [mutants["<= for <"], mutants["3 for 2"]]
    failed = fail_together(folder, chosen, list(TRUE), failing)
    assert failed == ["sign at 0", "twice"]
    alone = [noticed_alone(folder, m, failed, failing) for m in [*chosen, mutants["- for +"]]]
    assert alone == [True, True, False]
    assert not noticed_alone(folder, chosen[0], [], failing)
    assert (folder / "m.py").read_bytes() == SOURCE


def test_changes_of_one_file_are_made_together(folder: Path, mutants: dict[str, Mutant]) -> None:
    """In whatever order they are given; of two that overlap the first is left."""
    few = [mutants["3 for 2"], mutants["<= for <"]]
    for chosen in (few, few[::-1]):
        with made(folder, chosen):
            changed = SOURCE.replace(b"x < 0", b"(x <= 0)").replace(b"2 * x", b"(3) * x")
            assert (folder / "m.py").read_bytes() == changed
    assert apart([mutants["- for +"], *few]) == [mutants["- for +"], mutants["<= for <"]]


def test_the_suite_is_whole() -> None:
    """Every test of the project stands in one part, but for those of the changes themselves."""
    tests = [test for part in parts_of_suite().values() for test in part]
    there = {str(p.relative_to(ROOT)) for p in (ROOT / "tests").rglob("test_*.py")}
    assert sorted(tests) == sorted(t for t in there if not t.startswith("tests/mutation/"))


def test_failures_are_read_from_what_pytest_says() -> None:
    """Tests with parameters, with and without a reason, and modules that cannot be collected."""
    said = (
        "FAILED tests/a/test_b.py::test_c[1-x y] - assert 1 == 2\n"
        "FAILED tests/test_d.py::test_e\n"
        "ERROR tests/test_f.py - ImportError: no\n1 failed in 3 s\n"
    )
    assert FAILED.findall(said) == [
        "tests/a/test_b.py::test_c[1-x y]", "tests/test_d.py::test_e", "tests/test_f.py",
    ]  # fmt: skip
