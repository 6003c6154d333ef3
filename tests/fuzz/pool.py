"""Runs cases in processes that are watched, killed where they hang, and begun anew."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from shlex import quote
from typing import Any

from tests.fuzz.cases import PLANNED, Case, make_case, planned
from tests.fuzz.judge import Outcome, Stage, judge_case

HANG_CPU_S = 30.0
HANG_WALL_S = 600.0
MOST_RSS_MB = 1500
ADDRESS_SPACE = 12 * 2**30
KEPT = 3
"""Inputs that are kept of each kind of fault."""

Signature = tuple[str, str, str]
"""Command, kind of fault, detail."""


@dataclass(frozen=True)
class Result:
    """What a case came to: (command, outcome) of each step, and what was wrong."""

    number: int
    steps: tuple[tuple[str, str], ...]
    faults: tuple[Signature, ...]


@dataclass
class Tally:
    """Counts of a run, as they are kept between two calls."""

    cases: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def take(self, result: Result) -> None:
        """Count one case."""
        self.cases += 1
        self.steps.update(f"{command}: {name}" for command, name in result.steps)
        self.faults.update(": ".join(f) for f in result.faults)

    def as_json(self) -> dict[str, Any]:
        """Plain data, sorted."""
        return {
            "cases": self.cases,
            "seconds": self.seconds,
            "steps": dict(sorted(self.steps.items())),
            "faults": dict(self.faults.most_common()),
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Tally:
        """As `as_json` wrote it."""
        return Tally(
            data["cases"], Counter(data["steps"]), Counter(data["faults"]), data["seconds"]
        )


def run_one(seed: int, number: int, stage: Stage | None, folder: Path, keep: Path | None) -> Result:
    """Run a case; where something is wrong, keep it with as few changes as show the same."""
    case = make_case(seed, number)
    outcomes = _judged(case, stage, folder)
    faults = signatures(outcomes)
    if faults and keep is not None:
        for fault in faults:
            place = keep / fault[0] / f"{fault[1].replace(' ', '-')}-{_short(fault)}"
            if place.is_dir() and len(list(place.iterdir())) >= KEPT:
                continue
            if stage is not None:
                case, outcomes = _fewer(seed, case, outcomes, fault, stage, folder)
            keep_case(place / str(number), case, seed, outcomes)
    return Result(number, tuple((o.command, o.name) for o in outcomes), tuple(faults))


def signatures(outcomes: list[Outcome]) -> list[Signature]:
    """The faults of a case, each once."""
    return list(
        dict.fromkeys((o.command, kind, detail) for o in outcomes for kind, detail in o.faults)
    )


def _judged(case: Case, stage: Stage | None, folder: Path) -> list[Outcome]:
    for place in (folder, folder.with_name(folder.name + ".tmp")):
        for left in place.iterdir() if place.is_dir() else ():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()
    return judge_case(case, stage, folder)


def _fewer(
    seed: int, case: Case, outcomes: list[Outcome], fault: Signature, stage: Stage, folder: Path
) -> tuple[Case, list[Outcome]]:
    skipped: frozenset[int] = frozenset()
    for change in range(case.edits):
        without = make_case(seed, case.number, skipped | {change})
        found = _judged(without, stage, folder)
        if fault in signatures(found):
            skipped |= {change}
            case, outcomes = without, found
    return case, outcomes


def keep_case(place: Path, case: Case, seed: int, outcomes: list[Outcome]) -> None:
    """Write a case's files with its commands and what is wrong."""
    case.write(place)
    lines = [" ".join(quote(a) for a in ("gswarm-place", *step.args)) for step in case.steps]
    (place / "cmd.txt").write_bytes("\n".join([*lines, ""]).encode("utf-8", "surrogateescape"))
    said = [
        f"seed {seed}, case {case.number}: {case.target} changed",
        *(f"{o.command}: exit {o.code}: {o.faults}\n{o.text[:3000]}" for o in outcomes),
    ]
    (place / "why.txt").write_text("\n".join(said) + "\n", errors="backslashreplace")


def _short(fault: Signature) -> str:
    return hashlib.sha256(": ".join(fault).encode("utf-8", "replace")).hexdigest()[:8]


def worker(seed: int, pipe: Connection, keep: Path | None, processes: float, folder: Path) -> None:
    """Run the cases whose numbers come through the pipe, in a folder, until None comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    stage = Stage()
    number = None
    try:
        _warm(seed, stage, folder / "case")
        pipe.send("ready")
        every = round(1 / processes) if processes else 0
        while (number := pipe.recv()) is not None:
            apart = bool(every) and number % every == every - 1
            try:
                result = run_one(seed, number, None if apart else stage, folder / "case", keep)
            except Exception:  # of the fuzzer itself: a million cases go on without this one
                fault = ("fuzzer", "broken", traceback.format_exc(limit=-3))
                result = Result(number, (("fuzzer", "FAULT"),), (fault,))
            pipe.send(result)
    except (EOFError, BrokenPipeError):
        pass  # who gave the numbers has gone
    except Exception:
        pipe.send(f"{number}: {traceback.format_exc()}")


def _warm(seed: int, stage: Stage, folder: Path) -> None:
    """Load and compile beforehand: what happens once on a machine counts for no case."""
    for number in range(PLANNED):
        problem = planned(seed, number)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config", "requests", "cluster", "plan"):
        (folder / f"{name}.json").write_text(json.dumps(getattr(problem, name)))
    for line in WARMING:
        stage.call(tuple(str(folder / a) if a.endswith(".json") else a for a in line.split()))


INPUTS = "--config config.json --requests requests.json"
WARMING = (
    f"simulate --plan plan.json {INPUTS} --repeat 2",
    f"simulate --plan plan.json {INPUTS} --mode offline --routing plan",
    f"simulate --scheduler baseline --cluster cluster.json {INPUTS} --repeat 2",
    f"simulate --scheduler offline --cluster cluster.json {INPUTS}",
    f"solve --cluster cluster.json {INPUTS} --method local-search --refine p99 -o made.json",
    f"solve --cluster cluster.json {INPUTS} --windows 2 --time-limit 1 -o made.json",
    f"compare --cluster cluster.json {INPUTS} --methods all --time-limit 1",
    "export --plan plan.json --format csv",
)


@dataclass
class Watched:
    """A worker and the case that it is at."""

    process: Any
    pipe: Connection
    folder: Path
    number: int | None = None
    since: float = 0.0
    cpu_s: float = 0.0
    ready: bool = False
    gone: bool = False


class Pool:
    """Workers that are begun anew where they hang, die or grow."""

    def __init__(
        self,
        seed: int,
        jobs: int,
        keep: Path | None,
        *,
        processes: float = 0.0,
        hang_cpu_s: float = HANG_CPU_S,
        work: Callable[[int, Connection, Path | None, float, Path], None] | None = None,
    ) -> None:
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._folder = Path(tempfile.mkdtemp(prefix="gswarm-fuzz-", dir=memory))
        self._begun = 0
        self._seed, self._keep, self._processes = seed, keep, processes
        self._hang_cpu_s, self._work = hang_cpu_s, work or worker
        self._context = multiprocessing.get_context("spawn")
        self._workers = [self._begin() for _ in range(jobs)]

    def _begin(self) -> Watched:
        ours, theirs = self._context.Pipe()
        # In a folder of the pool's own: a worker that is killed removes nothing.
        self._begun += 1
        folder = self._folder / str(self._begun)
        folder.mkdir()
        process = self._context.Process(
            target=self._work,
            args=(self._seed, theirs, self._keep, self._processes, folder),
            daemon=True,
        )
        process.start()
        theirs.close()
        return Watched(process, ours, folder, since=time.monotonic())

    def results(self, numbers: Iterator[int]) -> Iterator[Result]:
        """Run the cases; results come in the order in which they end."""
        waiting: list[int] = []
        while True:
            for at, one in enumerate(self._workers):
                if one.ready and one.number is None:
                    number = waiting.pop() if waiting else next(numbers, None)
                    if number is None:
                        continue
                    one.number, one.since, one.cpu_s = (
                        number,
                        time.monotonic(),
                        _cpu_s(one.process.pid),
                    )
                    one.pipe.send(number)
                elif (lost := self._lost(one)) is not None:
                    if one.number is None:
                        raise RuntimeError(f"a worker {lost} before its first case")
                    self._end(one)
                    self._workers[at] = self._begin()
                    yield self._fallen(one.number, lost)
            busy = [one for one in self._workers if one.number is not None or not one.ready]
            if not any(one.number is not None for one in self._workers) and all(
                one.ready for one in self._workers
            ):
                return
            for pipe in wait([one.pipe for one in busy], timeout=0.5):
                at = next(i for i, one in enumerate(self._workers) if one.pipe is pipe)
                one = self._workers[at]
                try:
                    said = one.pipe.recv()
                except (EOFError, OSError):
                    one.gone = True
                    continue
                if said == "ready":
                    one.ready = True
                    continue
                if isinstance(said, str):
                    raise RuntimeError(f"the fuzzer itself failed at case {said}")
                one.number = None
                yield said
                if _rss_mb(one.process.pid) > MOST_RSS_MB:
                    self._end(one)
                    self._workers[at] = self._begin()

    def _lost(self, one: Watched) -> str | None:
        """Say how a worker was lost, if it was."""
        if one.gone:
            one.process.join()
            return f"died with {one.process.exitcode}"
        if one.number is None:
            return None
        if _cpu_s(one.process.pid) - one.cpu_s > self._hang_cpu_s:
            return f"did not end within {self._hang_cpu_s:g} s of processor time"
        if time.monotonic() - one.since > HANG_WALL_S:
            return f"did not end within {HANG_WALL_S:g} s"
        return None

    def _fallen(self, number: int, how: str) -> Result:
        case = make_case(self._seed, number)
        fault = (case.steps[0].command, "hang" if "not end" in how else "death", how)
        if self._keep is not None:
            outcome = Outcome(fault[0], None, [fault[1:]], how)
            place = self._keep / fault[0] / f"{fault[1]}-{_short(fault)}" / str(number)
            keep_case(place, case, self._seed, [outcome])
        return Result(number, ((fault[0], "FAULT"),), (fault,))

    def _end(self, one: Watched) -> None:
        if one.process.is_alive():
            one.process.kill()
        one.process.join()
        one.pipe.close()
        shutil.rmtree(one.folder, ignore_errors=True)

    def close(self) -> None:
        """End the workers."""
        for one in self._workers:
            try:
                one.pipe.send(None)
                one.process.join(5)
            except OSError:
                pass
            self._end(one)
        shutil.rmtree(self._folder, ignore_errors=True)


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20
    except OSError:
        return 0.0


def load(path: Path) -> dict[str, Any] | None:
    """What an earlier call left, if there was one."""
    return json.loads(path.read_text()) if path.is_file() else None


if sys.platform != "linux":
    raise RuntimeError("the fuzzer reads /proc: run it on Linux")
