"""A few hundred cases of the fuzzer, and the fuzzer itself: it sees faults, hangs and deaths."""

import os
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tests.fuzz.cases import KINDS, TARGETS, Case, make_case
from tests.fuzz.judge import Said, judge_step, names_here
from tests.fuzz.lines import Step, commands
from tests.fuzz.pool import Pool, Result, Tally

SEED = 20260
CASES = 400


def test_every_command_holds_whatever_it_is_given(tmp_path: Path) -> None:
    """A plan that `check` accepts, or exit 2 or 1 with a sentence: no traceback, hang or litter."""
    tally = Tally()
    pool = Pool(SEED, 1, tmp_path)
    try:
        for result in pool.results(iter(range(CASES))):
            tally.take(result)
    finally:
        pool.close()
    why = "\n".join(p.read_text(errors="replace") for p in tmp_path.rglob("why.txt"))
    assert not tally.faults, f"python -m tests.fuzz --seed {SEED} --case N shows one anew\n{why}"
    assert tally.cases == CASES
    assert tally.steps["check: done"] > 10
    assert tally.steps["solve: done"] > 10


def test_a_case_is_a_function_of_its_number() -> None:
    """Otherwise a number would not lead back to the input."""
    for number in range(30):
        assert make_case(SEED, number) == make_case(SEED, number)
    assert make_case(SEED, 1) != make_case(SEED + 1, 1)


def test_cases_are_of_every_kind() -> None:
    """Each command, each kind of document in each of its formats, and options alone."""
    made = [make_case(SEED, number) for number in range(2000)]
    assert {c.target for c in made} == set(TARGETS)
    assert {s.command for c in made for s in c.steps} >= set(commands())
    for kind, (forms, _) in KINDS.items():
        changed = {n for c in made if c.target == kind for n in c.files}
        assert changed >= {f"{kind}.{form}" for form in forms}


CASE = Case(0, "config", {"config.json": b"{}"}, (), 0)
CHECK = Step(("check", "plan.json", "--config", "config.json"))
SENTENCE = "error: config.json: models: is missing; add it"


@pytest.mark.parametrize(
    ("args", "said", "kind"),
    [
        ((), Said(2, "", SENTENCE), None),
        ((), Said(1, "", "does not hold: loads"), None),
        ((), Said(1, "", "error: internal error: KeyError: 'a'"), "noise"),
        ((), Said(1, "", "Traceback (most recent call last):"), "noise"),
        ((), Said(0, "", "x.py:3: RuntimeWarning: overflow encountered in exp"), "noise"),
        ((), Said(-11, "", ""), "crash"),
        ((), Said(None, "", "", SystemError("a panic")), "crash"),
        ((), Said(1, "", ""), "silent"),
        ((), Said(2, "", ""), "no sentence"),
        ((), Said(2, "", "error: is missing; add it"), "names no file"),
        ((), Said(0, "a \x1b[31m name", ""), "control character"),
        (("--json",), Said(0, '{"holds": true}', ""), None),
        (("--json",), Said(0, '{"load": NaN}', ""), "json"),
        (("--json",), Said(0, "{}\n{}", ""), "json"),
        (("--json",), Said(0, "", ""), "json"),
        (("-q",), Said(0, "a table", ""), "not quiet"),
        ((), Said(0, "", "", cpu_s=1000.0), "slow"),
        ((), Said(0, "", "", grown_mb=10_000.0), "memory"),
    ],
)
def test_the_judge_sees_what_is_wrong(
    args: tuple[str, ...],
    said: Said,
    kind: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each kind of fault in what a command says."""
    monkeypatch.chdir(tmp_path)
    CASE.write(tmp_path)
    outcome = judge_step(CASE, Step(CHECK.args + args), said, names_here())
    assert [k for k, _ in outcome.faults] == ([] if kind is None else [kind])


def test_the_judge_sees_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that nobody asked for, outputs of what failed, and inputs that are gone."""
    monkeypatch.chdir(tmp_path)
    CASE.write(tmp_path)
    solve = Step(("solve", "--config", "config.json", "-o", "made.json"))

    def kinds(code: int) -> list[str]:
        said = Said(code, "", SENTENCE)
        return [kind for kind, _ in judge_step(CASE, solve, said, {"config.json"}).faults]

    Path("made.json").write_text("{}")
    assert kinds(0) == []
    assert kinds(2) == ["left behind"]
    Path("made.json").rename(".made.json.17.tmp")
    assert kinds(0) == ["left behind"]
    Path(".made.json.17.tmp").unlink()
    Path("config.json").write_text("[]")
    assert kinds(0) == ["input lost"]
    assert judge_step(
        CASE, replace(solve, allowed=frozenset({0})), Said(1, "", SENTENCE), set()
    ).faults


def falling(seed: int, pipe: Connection, keep: Path | None, processes: float, folder: Path) -> None:
    """A worker for which every second case is the last."""
    pipe.send("ready")
    while (number := pipe.recv()) is not None:
        if number % 4 == 1:
            os._exit(3)
        while number % 4 == 3:
            pass
        pipe.send(Result(number, (("solve", "done"),), ()))


def test_hangs_and_deaths_are_counted_and_the_run_goes_on(tmp_path: Path) -> None:
    """A worker that dies or spins is begun anew, and its case is kept."""
    pool = Pool(SEED, 2, tmp_path, hang_cpu_s=0.3, work=falling)
    try:
        found = sorted(pool.results(iter(range(8))), key=lambda r: r.number)
    finally:
        pool.close()
    assert [r.number for r in found] == list(range(8))
    assert [[kind for _, kind, _ in r.faults] for r in found] == [[], ["death"], [], ["hang"]] * 2
    kept = {p.name for p in tmp_path.glob("*/*/*")}
    assert kept == {"1", "3", "5", "7"}
