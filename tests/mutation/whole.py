"""Whether any test of the project notices what the nearest tests did not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.mutation.mutants import Mutant
from tests.mutation.selection import ROOT, files, is_test
from tests.mutation.trial import failing, made

Failing = Callable[[Path, Sequence[str]], list[str]]
"""Of a folder and tests (files or single ones), those that fail there."""


def parts_of_suite() -> dict[str, list[str]]:
    """Files of all tests but those of this package, by the folder that holds them."""
    parts: dict[str, list[str]] = {}
    for name, path in files().items():
        if is_test(name) and not name.startswith("tests.mutation."):
            test = path.relative_to(ROOT)
            parts.setdefault(str(test.parent), []).append(str(test))
    return parts


def fail_together(
    folder: Path, mutants: Sequence[Mutant], tests: Sequence[str], failing: Failing = failing
) -> list[str]:
    """Tests that fail with all changes made at once, and pass without any.

    So one run of the suite is enough for any number of changes. A test that passes with all of
    them is taken to pass with each: where one change hides another, that counts as not noticed,
    so a share is never stated too high.

    Parameters
    ----------
    folder : Path
        Copy of the project.
    mutants : Sequence[Mutant]
        Of changes of one place only the first is made.
    tests : Sequence[str]
        Files of tests, or single ones.
    failing : Failing
        Runs tests.
    """
    with made(folder, apart(mutants)):
        failed = failing(folder, tests)
    anyway = set(failing(folder, failed)) if failed else set()
    return [test for test in failed if test not in anyway]


def apart(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Leave out what changes a place that one before it changes."""
    taken: list[Mutant] = []
    for mutant in mutants:
        if all(
            mutant.path != other.path or mutant.end <= other.start or other.end <= mutant.start
            for other in taken
        ):
            taken.append(mutant)
    return taken


def noticed_alone(
    folder: Path, mutant: Mutant, tests: Sequence[str], failing: Failing = failing
) -> bool:
    """Whether one of some tests, which pass without any change, fails with this one alone.

    Parameters
    ----------
    folder : Path
        Copy of the project.
    mutant : Mutant
    tests : Sequence[str]
        Single tests.
    failing : Failing
        Runs tests.
    """
    with made(folder, [mutant]):
        return bool(tests) and bool(failing(folder, tests))
