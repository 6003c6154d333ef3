"""Thousands of random instances against the oracle, from the command line.

    python -m tests.hunt --seeds 0:5000 --jobs 2 [--failures FOLDER] [--most-gpus 12] [--quick]

Prints counts by kind, and writes every instance that fails to a folder of its own: its files, the
command in cmd.txt, and in fault.txt what does not hold. Exits with 1 where any fails.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tests.hunt.cases import draw_case
from tests.hunt.judge import Verdict, judge

FRESH_AFTER = 200


def main() -> None:
    """Judge the seeds asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.hunt", description=__doc__)
    parser.add_argument("--seeds", default="0:1000", help="first:behind the last")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--failures", type=Path, default=Path("out/hunt"))
    parser.add_argument("--most-gpus", type=int, default=12)
    parser.add_argument("--quick", action="store_true", help="no heuristics, no other units")
    options = parser.parse_args()
    seeds = range(*map(int, options.seeds.split(":")))
    one = partial(
        judge_seed,
        failures=options.failures,
        most_gpus=options.most_gpus,
        thorough=not options.quick,
    )
    counts: Counter[str] = Counter()
    # Fresh processes now and then: a thousand solves leave half a gigabyte behind.
    spawn = get_context("spawn")
    with ProcessPoolExecutor(options.jobs, spawn, max_tasks_per_child=FRESH_AFTER) as pool:
        for done, verdict in enumerate(pool.map(one, seeds), 1):
            for kind, sentence in verdict.faults:
                print(f"seed {verdict.seed}: {kind}: {sentence.splitlines()[-1]}", flush=True)
            counts.update(tally(verdict))
            if done % 100 == 0:
                print(f"{done} of {len(seeds)}: {counts['with faults']} with faults", flush=True)
    print_counts(counts)
    sys.exit(counts["with faults"] > 0)


def judge_seed(seed: int, *, failures: Path, most_gpus: int, thorough: bool = True) -> Verdict:
    """Judge one seed; its files stay where it fails."""
    case = draw_case(seed, most_gpus=most_gpus)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / f"seed-{seed}"
        try:
            verdict = judge(case, folder, heuristics=thorough, units=thorough)
        except Exception:
            # The judge's own fault; the other seeds go on.
            verdict = Verdict(seed, case.kinds, faults=[("judge", traceback.format_exc())])
        if verdict.faults:
            told = "\n".join(f"{kind}: {sentence}" for kind, sentence in verdict.faults)
            (folder / "fault.txt").write_text(told + "\n")
            shutil.copytree(folder, failures / folder.name, dirs_exist_ok=True)
    return verdict


def tally(verdict: Verdict) -> Counter[str]:
    """What a verdict adds to the counts; a kind of fault counts once a seed."""
    counts = Counter({"instances": 1, "with faults": int(bool(verdict.faults))})
    counts.update(f"kind: {kind}" for kind in set(verdict.kinds))
    counts[f"status: {verdict.status or 'none'}"] += 1
    counts.update(f"note: {note}" for note in set(verdict.notes))
    counts.update(f"fault: {kind}" for kind in {kind for kind, _ in verdict.faults})
    return counts


def print_counts(counts: Counter[str]) -> None:
    """Print the counts, a line each."""
    for name in ("instances", "with faults"):
        print(f"{counts.pop(name, 0):8,}  {name}")
    for name, count in sorted(counts.items()):
        print(f"{count:8,}  {name}")


if __name__ == "__main__":
    main()
