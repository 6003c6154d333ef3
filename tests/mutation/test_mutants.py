"""The changes that are tried, and the tests that are chosen for a module."""

import ast
from pathlib import Path

from tests.mirror import held_by
from tests.mutation.__main__ import chosen_tests, draw, judged, report
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.selection import ROOT, is_test, nearest_tests
from tests.mutation.trial import lacks

SOURCE = b'''"""A text."""
class WidthParams:
    most: int = 7
FEW, MOST_LINES = 3, 4
_MOST_ROWS = 20_000
LEAST = 2
def warm_up() -> None:
    f(1)
def f(x: int = 3) -> int:
    if x < 2 and not x:
        raise ValueError(f"{x + 1}")
    for y, _ in zip(range(x), range(x), strict=True):
        x -= y
    return max(x, -y)
'''


def test_every_small_change_is_listed() -> None:
    """Operators, constants, calls, statements; what no test could call wrong is left out."""
    found = mutants_of(Path("f.py"), SOURCE)
    assert [(m.line, m.what) for m in found] == [
        (4, "4 for 3"),
        (4, "5 for 4"),
        (6, "3 for 2"),
        (9, "4 for 3"),
        (10, "<= for <"),
        (10, "condition turned"),
        (10, "or for and"),
        (10, "3 for 2"),
        (10, "not is lost"),
        (13, "lost: x -= y"),
        (14, "min for max"),
        (14, "returns None"),
        (14, "minus is lost"),
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


def test_what_cannot_run_here_is_known(tmp_path: Path) -> None:
    """By the packages that a module imports, wherever in it."""
    module = tmp_path / "module.py"
    module.write_text("import json.decoder\ndef f():\n    from nobody_has.this import that\n")
    assert lacks(module) == "nobody_has"
    module.write_text("from json import decoder\nfrom . import x\n")
    assert lacks(module) is None
    assert judged(ROOT / "runtime" / "log.py")


def test_the_nearest_tests_begin_with_the_mirror() -> None:
    """Then come those that import the module, or what imports it; helpers are no tests."""
    found = nearest_tests("placement.patterns.pricing.content_list")
    assert "tests.placement.patterns.pricing.test_contents" in found
    assert all(is_test(name) for name in found)
    assert nearest_tests("runtime.log")[0] == "tests.runtime.test_log"


def test_the_mirror_is_run_whole_and_few_others() -> None:
    """However many tests hold a module in place of a mirror."""
    log = Mutant(Path("runtime/log.py"), 1, 0, "", 0, 0, "")
    assert chosen_tests(log, 0) == ["tests.runtime.test_log"]
    assert chosen_tests(log, 2)[0] == "tests.runtime.test_log"
    assert len(chosen_tests(log, 2)) == 3
    serial = Mutant(Path("runtime/engines/serial.py"), 1, 0, "", 0, 0, "")
    assert chosen_tests(serial, 0) == list(held_by("runtime.engines.serial"))


def test_the_report_counts_by_room() -> None:
    """What hung is not noticed; whatever is not noticed is listed."""

    def mutant(path: str, line: int) -> Mutant:
        return Mutant(Path(path), line, 4, "< for <=", 0, 0, "")

    deep, door = mutant("placement/files/syntax/a.py", 3), mutant("placement/check.py", 5)
    other, far = mutant("placement/files/b.py", 7), mutant("placement/files/b.py", 9)
    text = report({deep: "noticed", door: "hung", other: "SURVIVED", far: "noticed afar"})
    assert "| `placement/files/` | 1 | 1 | 1 |\n" in text
    assert "| `placement/` | 0 | 0 | 1 |\n" in text
    assert "| in all | 1 | 1 | 2 |\n\n50 of 100" in text
    assert text.endswith(
        "- SURVIVED `placement/files/b.py:7:4: < for <=`\n- hung `placement/check.py:5:4: < for <=`"
    )
