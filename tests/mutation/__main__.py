"""How many small changes of the code the tests notice, from the command line.

    python -m tests.mutation --sample 60 --seed 7 --minutes 9 --kept outcomes.json

Draws changes at random, makes each in a copy of the project, and runs the tests that stand nearest
to the changed module: its mirror, then some of those that import it. With `--whole`, all that
survived are then made at once and every test runs, for one of them may notice from afar. Prints
each outcome, then the noticed and the survivors of each room, and every survivor. The project
itself is not touched. What is kept in a file is not tried again, so that a long run can be done in
parts.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.selection import ROOT, dotted, files, mirrors, nearest_tests
from tests.mutation.trial import copy_project, is_compiled, lacks, passes, trial_of
from tests.mutation.whole import fail_together, noticed_alone, parts_of_suite

FAR = "noticed afar"
"""Outcome of a change that survived the nearest tests and not the whole suite."""


def main() -> None:
    """Draw, try and count."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--sample", type=int, default=60, help="changes to draw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--paths", nargs="+", default=["placement", "runtime"])
    parser.add_argument("--beside", type=int, default=2, help="test modules beside the mirror")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for a test module")
    parser.add_argument("--minutes", type=float, default=1e9, help="after which none is begun")
    parser.add_argument("--kept", type=Path, help="JSON with the outcomes, read and written")
    parser.add_argument("--compiled", action="store_true", help="also code by numba: slow")
    parser.add_argument("--whole", action="store_true", help="then every test, for the survivors")
    options = parser.parse_args()
    drawn = draw(options.paths, options.sample, options.seed, compiled=options.compiled)
    end = time.monotonic() + 60 * options.minutes
    kept: dict[str, str] = {}
    if options.kept and options.kept.exists():
        kept = json.loads(options.kept.read_text())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_project(folder)
        for i, mutant in enumerate(drawn, 1):
            if shown(mutant) not in kept:
                if time.monotonic() > end:
                    break
                kept[shown(mutant)] = tried(folder, mutant, options.beside, options.limit)
                if options.kept:
                    write(options.kept, kept)
            print(f"{i:4} {kept[shown(mutant)]:8} {shown(mutant)}", flush=True)
        if options.whole:
            left = [m for m in drawn if kept.get(shown(m)) == "SURVIVED"]
            for mutant in noticed_afar(folder, left, end, options.kept):
                kept[shown(mutant)] = FAR
            if options.kept:
                write(options.kept, kept)
    print(report({m: kept[shown(m)] for m in drawn if shown(m) in kept}))


def write(path: Path, content: object) -> None:
    """Keep what is found."""
    path.write_text(json.dumps(content, indent=1) + "\n")


def noticed_afar(
    folder: Path, mutants: Sequence[Mutant], end: float, kept: Path | None
) -> list[Mutant]:
    """Of changes that the nearest tests did not notice, those that any test notices.

    Parameters
    ----------
    folder : Path
        Copy of the project.
    mutants : Sequence[Mutant]
    end : float
        By the monotonic clock: no folder of tests is begun after it.
    kept : Path | None
        Beside it, with the suffix ``.whole.json``, stand the tests that fail by their folder, so
        that those are not run again.
    """
    state = kept.with_suffix(".whole.json") if kept else None
    found: dict[str, list[str]] = {}
    if state and state.exists():
        found = json.loads(state.read_text())
    for part, tests in parts_of_suite().items():
        if part not in found and mutants and time.monotonic() < end:
            found[part] = fail_together(folder, mutants, tests)
            print(f"     {part}: {len(found[part])} tests fail", flush=True)
            if state:
                write(state, found)
    failed = [test for tests in found.values() for test in tests]
    return [mutant for mutant in mutants if noticed_alone(folder, mutant, failed)]


def draw(paths: list[str], sample: int, seed: int, *, compiled: bool = False) -> list[Mutant]:
    """Draw changes of all modules under some paths, each equally likely, in the order drawn.

    So the first of them are a sample, too. Compiled code is left out unless asked for: it takes
    minutes for each change, and the tests hold it to the last bit against code that is not
    compiled. So are modules whose tests need what is not installed, such as Ray.
    """
    modules = sorted({p for path in paths for p in [ROOT / path, *(ROOT / path).rglob("*.py")]})
    every = [
        mutant
        for path in modules
        if path.suffix == ".py"
        if (compiled or not is_compiled(path)) and judged(path)
        for mutant in mutants_of(path.relative_to(ROOT), path.read_bytes())
    ]
    return random.Random(seed).sample(every, min(sample, len(every)))


def judged(path: Path) -> bool:
    """Whether tests of a module can run here."""
    mirror = mirrors(dotted(path))
    return not mirror or not all(lacks(files()[test]) for test in mirror)


def chosen_tests(mutant: Mutant, beside: int) -> list[str]:
    """All that mirror the module, then some of the others, nearest first."""
    name = dotted(ROOT / mutant.path)
    mirror = mirrors(name)
    return [*mirror, *[t for t in nearest_tests(name) if t not in mirror][:beside]]


def tried(folder: Path, mutant: Mutant, beside: int, limit_s: float) -> str:
    """Outcome of the tests over a change: that of the first that notices.

    A test that fails without any change would notice everything: the run ends there.
    """
    for test in chosen_tests(mutant, beside):
        outcome, failed = trial_of(folder, mutant, test, limit_s)
        if failed and not passes(folder, failed):
            sys.exit(f"{failed} fails without any change: mend it first")
        if outcome != "SURVIVED":
            return outcome
    return "SURVIVED"


def shown(mutant: Mutant) -> str:
    """Place and change in a line."""
    return f"{mutant.path}:{mutant.line}:{mutant.column}: {mutant.what}"


def room_of(path: Path) -> str:
    """Folder of a module two levels deep; front doors are in a room of their own."""
    return "/".join(path.parent.parts[:2]) + "/"


def report(outcomes: Mapping[Mutant, str]) -> str:
    """Noticed (near and by any test) and survived, by room and in all, and what survived.

    What hung is not counted as noticed, for nobody waited for it.
    """
    made, near, far = (
        Counter(room_of(m.path) for m, found in outcomes.items() if found in kinds)
        for kinds in (set(outcomes.values()), {"noticed"}, {FAR})
    )
    lines = ["", "| room | noticed | afar | not |", "|---|--:|--:|--:|"]
    for room in sorted(made):
        left = made[room] - near[room] - far[room]
        lines.append(f"| `{room}` | {near[room]} | {far[room]} | {left} |")
    noticed = near.total() + far.total()
    lines.append(f"| in all | {near.total()} | {far.total()} | {made.total() - noticed} |")
    share = 100 * noticed / made.total() if made else 0.0
    lines += ["", f"{share:.0f} of 100 changes noticed. The others:", ""]
    others = sorted((f, shown(m)) for m, f in outcomes.items() if f not in ("noticed", FAR))
    return "\n".join([*lines, *(f"- {found} `{place}`" for found, place in others)])


if __name__ == "__main__":
    main()
