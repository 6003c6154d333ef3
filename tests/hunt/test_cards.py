"""Random cards in the servers of random instances: what is promised of a plan holds on them too.

`python -m tests.hunt --cards` judges thousands.
"""

from collections import Counter
from pathlib import Path

import pytest

from tests.hunt.cards import with_cards
from tests.hunt.cases import Case, draw_case
from tests.hunt.judge import judge
from tests.hunt.rules import with_rules

MOST_GPUS = 6

QUICK = range(24)
THOROUGH = range(200, 203)
BATCHES = 6

EVERY_KIND = {
    "cards", "cards of less memory", "equal cards", "own speeds",
    "exclusive", "shared", "compact", "patterns",
}  # fmt: skip


def mixed(seed: int) -> Case:
    """Every third with rules as well."""
    case = draw_case(seed, most_gpus=MOST_GPUS)
    return with_cards(with_rules(case) if seed % 3 == 2 else case)


@pytest.mark.parametrize("first", range(BATCHES))
def test_promises_hold_on_mixed_cards(first: int, tmp_path: Path) -> None:
    for seed in QUICK[first::BATCHES]:
        verdict = judge(mixed(seed), tmp_path / str(seed), heuristics=False, units=False)
        assert not verdict.faults, f"seed {seed}: {verdict.faults}"


@pytest.mark.parametrize("seed", THOROUGH)
def test_heuristics_know_the_cards(seed: int, tmp_path: Path) -> None:
    verdict = judge(mixed(seed), tmp_path, units=False)
    assert not verdict.faults, f"seed {seed}: {verdict.faults}"


def test_the_seeds_are_of_every_kind() -> None:
    counts = Counter(kind for seed in QUICK for kind in mixed(seed).kinds)
    assert not {kind for kind in EVERY_KIND if counts[kind] < 3}, counts
