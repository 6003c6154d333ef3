"""Thousands of random instances against the oracle, from the command line.

    python -m tests.hunt --seeds 0:5000 --jobs 2 [--failures FOLDER] [--most-gpus 12] [--quick]
        [--rules] [--cards]

Prints counts by kind, and writes every instance that fails to a folder of its own: its files, the
command in cmd.txt, and in fault.txt what does not hold. Exits with 1 where any fails.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tests.hunt.seeds import judge_seed, tally

FRESH_AFTER = 200


def main() -> None:
    """Judge the seeds asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.hunt", description=__doc__)
    parser.add_argument("--seeds", default="0:1000", help="first:behind the last")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--failures", type=Path, default=Path("out/hunt"))
    parser.add_argument("--most-gpus", type=int, default=12)
    parser.add_argument("--quick", action="store_true", help="no heuristics, no other units")
    parser.add_argument("--rules", action="store_true", help="with random rules")
    parser.add_argument("--cards", action="store_true", help="with GPUs that differ in a server")
    options = parser.parse_args()
    seeds = range(*map(int, options.seeds.split(":")))
    one = partial(
        judge_seed,
        failures=options.failures,
        most_gpus=options.most_gpus,
        thorough=not options.quick,
        rules=options.rules,
        cards=options.cards,
    )
    counts: Counter[str] = Counter()
    # Fresh processes now and then: a thousand solves leave half a gigabyte behind. The pool of
    # concurrent.futures hangs where its processes are replaced (CPython issue 115634).
    with get_context("spawn").Pool(options.jobs, maxtasksperchild=FRESH_AFTER) as pool:
        for done, verdict in enumerate(pool.imap(one, seeds), 1):
            for kind, sentence in verdict.faults:
                print(f"seed {verdict.seed}: {kind}: {sentence.splitlines()[-1]}", flush=True)
            counts.update(tally(verdict))
            if done % 100 == 0:
                print(f"{done} of {len(seeds)}: {counts['with faults']} with faults", flush=True)
    print_counts(counts)
    sys.exit(counts["with faults"] > 0)


def print_counts(counts: Counter[str]) -> None:
    """Print the counts, a line each."""
    for name in ("instances", "with faults"):
        print(f"{counts.pop(name, 0):8,}  {name}")
    for name, count in sorted(counts.items()):
        print(f"{count:8,}  {name}")


if __name__ == "__main__":
    main()
