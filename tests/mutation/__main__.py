"""How many small changes of the code the tests notice, from the command line.

    python -m tests.mutation --sample 150 --seed 0 [--paths placement runtime] [--page FILE]

Draws changes at random, makes each in a copy of the project, and runs the tests that stand nearest
to the changed module: its mirror, and those that import it. Prints the noticed and the survivors of
each module, and every survivor. The project itself is not touched.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.selection import ROOT, dotted, mirrors, nearest_tests
from tests.mutation.trial import copy_project, is_compiled, outcome_of, seconds_of


def main() -> None:
    """Draw, try and count."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--sample", type=int, default=150, help="changes to draw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--paths", nargs="+", default=["placement", "runtime"])
    parser.add_argument("--seconds", type=float, default=60.0, help="of tests beside the mirror")
    parser.add_argument("--jobs", type=int, default=1, help="for timing the unchanged tests")
    parser.add_argument("--times", type=Path, help="keeps how long the unchanged tests take")
    parser.add_argument("--compiled", action="store_true", help="also code by numba: slow")
    options = parser.parse_args()
    drawn = draw(options.paths, options.sample, options.seed, compiled=options.compiled)
    tests = {m.path: nearest_tests(dotted(ROOT / m.path)) for m in drawn}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_project(folder)
        every = sorted({test for chosen in tests.values() for test in chosen})
        seconds = timed(folder, every, options.jobs, options.times)
        print(f"{len(drawn)} changes; {len(every)} test modules", flush=True)
        survivors = []
        for i, mutant in enumerate(drawn, 1):
            chosen = affordable(mutant, tests[mutant.path], seconds, options.seconds)
            limit_s = 120 + 10 * sum(seconds[t] for t in chosen)
            found = outcome_of(folder, mutant, chosen, limit_s) if chosen else "SURVIVED"
            survivors += [mutant] if found == "SURVIVED" else []
            print(f"{i:4} {found:8} {shown(mutant)}", flush=True)
    print_counts(drawn, survivors)
    sys.exit(0)


def timed(folder: Path, tests: list[str], jobs: int, kept: Path | None) -> dict[str, float]:
    """Seconds of the tests that pass without a change; what is kept is not measured again."""
    seconds: dict[str, float] = json.loads(kept.read_text()) if kept and kept.exists() else {}
    seconds |= seconds_of(folder, [t for t in tests if t not in seconds], jobs)
    if kept:
        kept.write_text(json.dumps(seconds, indent=1))
    return {t: seconds[t] for t in tests if seconds[t] < float("inf")}


def draw(paths: list[str], sample: int, seed: int, *, compiled: bool = False) -> list[Mutant]:
    """Draw changes of all modules under some paths, each equally likely.

    Compiled code is left out unless asked for: it takes minutes for each change, and the tests hold
    it to the last bit against code that is not compiled.
    """
    modules = sorted({p for path in paths for p in [ROOT / path, *(ROOT / path).rglob("*.py")]})
    every = [
        mutant
        for path in modules
        if path.suffix == ".py" and (compiled or not is_compiled(path))
        for mutant in mutants_of(path.relative_to(ROOT), path.read_bytes())
    ]
    drawn = random.Random(seed).sample(every, min(sample, len(every)))
    return sorted(drawn, key=lambda m: (m.path, m.start, m.what))


def affordable(
    mutant: Mutant, tests: list[str], seconds: dict[str, float], most_s: float
) -> list[str]:
    """All that mirror the module, and the quickest of the others while the time lasts."""
    mirror = mirrors(dotted(ROOT / mutant.path))
    known = sorted((t for t in tests if t in seconds), key=seconds.__getitem__)
    chosen, left = [t for t in known if t in mirror], most_s
    for test in known:
        if test not in chosen and seconds[test] <= left:
            chosen.append(test)
            left -= seconds[test]
    return chosen


def shown(mutant: Mutant) -> str:
    """Place and change in a line."""
    return f"{mutant.path}:{mutant.line}: {mutant.what}"


def print_counts(drawn: list[Mutant], survivors: list[Mutant]) -> None:
    """Print a row for each module, the sum, and every survivor."""
    made, left = Counter(m.path for m in drawn), Counter(m.path for m in survivors)
    print(f"\n| {'module':52} | noticed | survived |\n|{'-' * 54}|--------:|---------:|")
    for path in sorted(made):
        print(f"| {path!s:52} | {made[path] - left[path]:7} | {left[path]:8} |")
    share = 100 * (1 - len(survivors) / len(drawn)) if drawn else 0.0
    print(f"| {'in all':52} | {len(drawn) - len(survivors):7} | {len(survivors):8} |")
    print(f"\n{share:.0f} of 100 changes noticed. Survivors:\n")
    for mutant in survivors:
        print(f"- `{mutant.path}:{mutant.line}` {mutant.what}")


if __name__ == "__main__":
    main()
