"""A few hundred random instances, solved as a user would: nothing that is promised may break.

`python -m tests.hunt` judges thousands, and larger ones.
"""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.hunt.cases import draw_case
from tests.hunt.judge import judge

MOST_GPUS = 6

QUICK = range(180)
THOROUGH = range(200, 216)
"""Heuristics under the same cap and other units of time as well: a dozen solves an instance."""

BATCHES = 20

EVERY_KIND = {
    "identical", "uneven", "several types", "exclusive", "shared", "max_models_per_gpu",
    "online", "offline", "mixed", "workflow", "edges", "cooccurrence", "no slack",
    "auto", "compact", "patterns", "HiGHS", "CBC", "batching", "default times",
    "memory small", "memory half", "memory parts", "memory large",
    "times plain", "times wide", "times zeros", "times all zero", "one instant",
    "rare workflow", "unused workflow", "unit 1e-06", "unit 1", "unit 86400",
}  # fmt: skip


@pytest.mark.parametrize("first", range(BATCHES))
def test_promises_hold(first: int, tmp_path: Path) -> None:
    for seed in QUICK[first::BATCHES]:
        verdict = judge(
            draw_case(seed, most_gpus=MOST_GPUS), tmp_path, heuristics=False, units=False
        )
        assert not verdict.faults, f"seed {seed}: {verdict.faults}"


@pytest.mark.parametrize("seed", THOROUGH)
def test_heuristics_and_units_of_time(seed: int, tmp_path: Path) -> None:
    verdict = judge(draw_case(seed, most_gpus=MOST_GPUS), tmp_path)
    assert not verdict.faults, f"seed {seed}: {verdict.faults}"


def test_a_process_of_its_own_writes_the_same_plan(tmp_path: Path) -> None:
    """The judge runs the commands in its own process; that may change nothing."""
    case = draw_case(3, most_gpus=MOST_GPUS)
    verdict = judge(case, tmp_path, heuristics=False, units=False, bound=False)
    command = case.arguments(tmp_path, time_limit=20, threads=1, output=tmp_path / "again.json")
    entry = [sys.executable, "-c", "from cli.main import main; main()"]
    subprocess.run([*entry, *command], check=True, capture_output=True)
    assert verdict.status == "optimal"
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "plan.json").read_bytes()


def test_the_seeds_are_of_every_kind() -> None:
    counts = Counter(kind for seed in QUICK for kind in draw_case(seed, most_gpus=MOST_GPUS).kinds)
    assert not {kind for kind in EVERY_KIND if counts[kind] < 3}, counts
