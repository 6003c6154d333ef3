"""What counts as local and how GPUs may be shared, stated once and without contradiction."""

from __future__ import annotations

from typing import Any

import pytest

from placement.problem.names import OBJECTIVES
from placement.problem.rules import IMPLIED_ALPHA, Rules


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_objective_fixes_its_weight_unless_it_is_mixed(objective: Any) -> None:
    """A weight that repeats what the objective says is accepted, another is refused."""
    if objective == "mixed":
        assert Rules().workflow_weight == 0.5
        assert Rules(alpha=0.3).workflow_weight == 0.3
        return
    weight = IMPLIED_ALPHA[objective]
    assert Rules(objective).workflow_weight == Rules(objective, weight).workflow_weight == weight
    with pytest.raises(ValueError, match=f"alpha is 0.3, and objective '{objective}' fixes it at"):
        Rules(objective, 0.3)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"objective": "edge"}, "Rules: objective is 'edge'; did you mean 'edges'"),
        ({"alpha": 1.5}, "Rules: alpha is 1.5; give it a number of at least 0 and at most 1"),
        ({"alpha": float("nan")}, "Rules: alpha is nan; give it a number"),
        ({"max_models_per_gpu": 0}, "Rules: max_models_per_gpu is 0; give it a whole number of"),
        ({"max_models_per_gpu": 1.5}, "Rules: max_models_per_gpu is 1.5; give it a whole number"),
    ],
)
def test_a_wrong_rule_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    """It says which field, what it is and what it may be."""
    with pytest.raises(ValueError, match=sentence):
        Rules(**fields)
