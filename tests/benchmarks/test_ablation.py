"""The ablation: every part is switched off by values that there are, and judged by what is lost."""

import pytest

from benchmarks.ablation import PARTS, losses, page
from placement.params.search_params import DEFAULTS


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_switched_off_by_other_values_than_the_defaults(part: str) -> None:
    """A name that is gone, or a value that is the default by now, would switch off nothing."""
    changes = {section: dict(values) for section, values in PARTS[part].items()}
    assert DEFAULTS.changed(changes).differences() == {
        section: {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
        for section, values in changes.items()
    }


def test_a_loss_is_measured_against_the_same_case_and_seed() -> None:
    """A plan half as good is a loss of half; a bound above the other's is one as well."""

    def row(seed: int, part: str, objective: float, best_bound: float, seconds: float) -> dict:
        return {
            "kind": "hard", "case": "a", "seed": seed, "part": part, "objective": objective,
            "best_bound": best_bound, "seconds": seconds, "deterministic": True,
        }  # fmt: skip

    rows = [
        row(0, "", 0.8, 0.8, 4.0), row(0, "branching", 0.4, 1.0, 2.0),
        row(1, "", 0.5, 0.6, 1.0), row(1, "branching", 0.5, 0.6, 1.0),
    ]  # fmt: skip
    first, second = losses(rows)
    assert (first["plan"], first["bound"], first["time"]) == pytest.approx((0.5, 0.25, 0.5))
    assert (second["plan"], second["bound"], second["time"]) == pytest.approx((0.0, 0.0, 1.0))
    assert "| branching | 25.00, 12.50, 0.71 | 1, 0 of 2 |" in page(rows)
