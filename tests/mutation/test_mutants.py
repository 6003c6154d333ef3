"""The changes that are tried, and the tests that are chosen for a module."""

import ast
from pathlib import Path

from tests.mutation.__main__ import affordable, draw
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.selection import ROOT, is_test, nearest_tests

SOURCE = b'''"""A text."""
class WidthParams:
    most: int = 7
def f(x: int = 3) -> int:
    if x < 2 and not x:
        raise ValueError(f"{x + 1}")
    for y in range(x):
        x -= y
    return max(x, -y)
'''


def test_every_small_change_is_listed() -> None:
    """Operators, constants, calls, statements; no texts, errors, annotations or parameters."""
    found = mutants_of(Path("f.py"), SOURCE)
    assert [(m.line, m.what) for m in found] == [
        (4, "4 for 3"),
        (5, "<= for <"),
        (5, "condition turned"),
        (5, "or for and"),
        (5, "3 for 2"),
        (5, "not is lost"),
        (8, "lost: x -= y"),
        (9, "min for max"),
        (9, "returns None"),
        (9, "minus is lost"),
    ]


def test_a_change_is_one_place_of_a_module_that_still_parses() -> None:
    """Over all modules of a drawn sample; the same seed draws the same."""
    drawn = draw(["placement/verify", "runtime/live"], 150, seed=3)
    assert drawn == draw(["placement/verify", "runtime/live"], 150, seed=3)
    assert len({m.path for m in drawn}) > 20
    for mutant in drawn:
        source = (ROOT / mutant.path).read_bytes()
        changed = mutant.applied(source)
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source)), mutant


def test_the_nearest_tests_begin_with_the_mirror() -> None:
    """Then come those that import the module, or what imports it; helpers are no tests."""
    found = nearest_tests("placement.patterns.pricing.content_list")
    assert "tests.placement.patterns.pricing.test_contents" in found
    assert all(is_test(name) for name in found)
    assert nearest_tests("runtime.log")[0] == "tests.runtime.test_log"
    mutant = Mutant(Path("runtime/log.py"), 1, "", 0, 0, "")
    seconds = {"tests.runtime.test_log": 90.0, "slow": 50.0, "quick": 20.0, "never": 70.0}
    assert affordable(mutant, list(seconds), seconds, 10.0) == ["tests.runtime.test_log"]
    found = affordable(mutant, list(seconds), seconds, 75.0)
    assert found == ["tests.runtime.test_log", "quick", "slow"]
