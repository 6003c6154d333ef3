"""One seed judged, and what it adds to the counts."""

from __future__ import annotations

import shutil
import tempfile
import traceback
from collections import Counter
from pathlib import Path

from tests.hunt.cards import with_cards
from tests.hunt.cases import draw_case
from tests.hunt.judge import Verdict, judge
from tests.hunt.rules import with_rules


def judge_seed(
    seed: int,
    *,
    failures: Path,
    most_gpus: int,
    thorough: bool = True,
    rules: bool = False,
    cards: bool = False,
) -> Verdict:
    """Judge one seed, with rules and cards or without; its files stay where it fails."""
    case = draw_case(seed, most_gpus=most_gpus)
    if rules:
        case = with_rules(case)
    if cards:
        case = with_cards(case)
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
