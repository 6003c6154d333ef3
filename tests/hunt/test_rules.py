"""Random rules on random instances: what is promised of a plan holds under them too.

`python -m tests.hunt --rules` judges thousands.
"""

from collections import Counter
from pathlib import Path

import pytest

from tests.hunt.cases import Case, draw_case
from tests.hunt.judge import judge
from tests.hunt.rules import with_rules

MOST_GPUS = 6

QUICK = range(24)
THOROUGH = range(200, 204)
BATCHES = 6

EVERY_KIND = {
    "excluded GPUs", "min_replicas", "max_replicas", "spread", "allowed", "forbidden", "pinned",
    "domains", "apart_from", "together_with", "adapter", "speed",
    "exclusive", "shared", "several types", "compact", "patterns",
}  # fmt: skip


def ruled(seed: int) -> Case:
    return with_rules(draw_case(seed, most_gpus=MOST_GPUS))


@pytest.mark.parametrize("first", range(BATCHES))
def test_promises_hold_under_rules(first: int, tmp_path: Path) -> None:
    for seed in QUICK[first::BATCHES]:
        verdict = judge(ruled(seed), tmp_path, heuristics=False, units=False)
        assert not verdict.faults, f"seed {seed}: {verdict.faults}"


@pytest.mark.parametrize("seed", THOROUGH)
def test_heuristics_keep_rules(seed: int, tmp_path: Path) -> None:
    verdict = judge(ruled(seed), tmp_path, units=False)
    assert not verdict.faults, f"seed {seed}: {verdict.faults}"


def test_the_seeds_are_of_every_kind() -> None:
    counts = Counter(kind for seed in QUICK for kind in ruled(seed).kinds)
    assert not {kind for kind in EVERY_KIND if counts[kind] < 3}, counts
