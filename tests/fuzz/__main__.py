"""A fuzzer of every command, resumable.

    python -m tests.fuzz [--cases N] [--jobs J] [--seed S] [--out FOLDER] [--processes SHARE]
    python -m tests.fuzz --case NUMBER [--seed S]

The first runs the cases 0 to N - 1 of a seed and goes on where an earlier call with the same seed
and folder ended; inputs that show a fault lie in FOLDER, by command and kind, with the commands
that show it. The second runs one case and shows what each step said. Exits with 1 where a case
showed a fault.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from placement.files.atomic import write_atomically
from tests.fuzz.cases import make_case
from tests.fuzz.judge import Stage
from tests.fuzz.pool import Pool, Tally, judge_case, load

EVERY_S = 10.0


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--case", type=int, help="run this one case and show it")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    parser.add_argument("--seconds", type=float, help="stop after so long; a later call goes on")
    parser.add_argument(
        "--processes", type=float, default=0.001, help="share of cases that run as processes"
    )
    options = parser.parse_args()
    if options.case is not None:
        sys.exit(show(options.seed, options.case))
    sys.exit(run(options))


def show(seed: int, number: int) -> int:
    """Run one case and print what its steps said."""
    case = make_case(seed, number)
    with tempfile.TemporaryDirectory() as folder:
        outcomes = judge_case(case, Stage(), Path(folder) / "case")
    for step, outcome in zip(case.steps, outcomes, strict=False):
        print("$ gswarm-place", *step.args)
        print(f"exit {outcome.code}, {outcome.cpu_s:.2f} s: {outcome.faults or outcome.name}")
        print(outcome.text[:5000])
    return int(any(o.faults for o in outcomes))


def run(options: argparse.Namespace) -> int:
    """Run many cases, and keep the counts as they grow."""
    state = options.out / f"seed-{options.seed}.json"
    options.out.mkdir(parents=True, exist_ok=True)
    before = load(state) or {"next": 0, "missing": [], "tally": Tally().as_json()}
    tally = Tally.from_json(before["tally"])
    pending = set(before["missing"])
    begin, spent = time.monotonic(), tally.seconds
    at = before["next"]
    until = begin + (options.seconds or float("inf"))

    def numbers() -> Iterator[int]:
        nonlocal at
        yield from sorted(pending)
        while at < options.cases and time.monotonic() < until:
            pending.add(at)
            at += 1
            yield at - 1

    def save() -> None:
        tally.seconds = spent + time.monotonic() - begin
        data = {"next": at, "missing": sorted(pending), "tally": tally.as_json()}
        write_atomically(state, json.dumps(data, indent=1))

    keep = options.out / f"seed-{options.seed}"
    pool = Pool(options.seed, options.jobs, keep, processes=options.processes)
    last, done = begin, tally.cases
    try:
        for result in pool.results(numbers()):
            tally.take(result)
            pending.discard(result.number)
            if (now := time.monotonic()) - last > EVERY_S:
                last = now
                save()
                rate = (tally.cases - done) / (now - begin)
                faults = sum(tally.faults.values())
                print(f"{tally.cases:,} cases, {rate:.0f}/s, {faults:,} faults", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; call again to go on", file=sys.stderr)
    finally:
        pool.close()
        save()
    report(tally)
    return int(bool(tally.faults))


def report(tally: Tally) -> None:
    """Print the counts."""
    rate = tally.cases / tally.seconds if tally.seconds else 0.0
    print(f"{tally.cases:,} cases in {tally.seconds:,.0f} s, {rate:.0f} a second")
    for name, count in sorted(tally.steps.items()):
        print(f"{count:>10,}  {name}")
    shown = itertools.islice(tally.faults.most_common(), 100)
    for name, count in shown:
        print(f"{count:>10,}  FAULT {name}")


if __name__ == "__main__":
    main()
