"""Frozen data compare and hash by content, whatever they hold."""

import importlib
import pkgutil
import re
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

import cli
import placement
import runtime
from placement.problem.cluster import Cluster
from placement.problem.instance import Instance, WorkflowDemand

NEEDS_EXTRAS = "runtime.live.inference."
"""Modules that import what only an extra brings."""


def frozen_classes() -> list[type]:
    """Every frozen dataclass of the three packages."""
    found: dict[type, None] = {}
    for package in (placement, runtime, cli):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if module.name.endswith("__main__"):
                continue
            try:
                names = vars(importlib.import_module(module.name))
            except ModuleNotFoundError:
                assert module.name.startswith(NEEDS_EXTRAS), module.name
                continue
            for value in names.values():
                if isinstance(value, type) and is_dataclass(value):
                    frozen = value.__dataclass_params__.frozen  # type: ignore[attr-defined]
                    if frozen and value.__module__.split(".")[0] in ("placement", "runtime", "cli"):
                        found[value] = None
    return list(found)


def filled(cls: type, *, last: float) -> Any:
    """An object whose fields hold what their annotations name, without running `__init__`."""
    made = object.__new__(cls)
    own = fields(cls)
    for i, field in enumerate(own):
        content = np.array([1.0, np.nan, last if i == len(own) - 1 else 2.0])
        annotation, value = str(field.type), content[2]
        if re.search(r"Array|ndarray", annotation):
            value = content
        elif re.search(r"dict|Mapping", annotation):
            value = {"key": [content]}
        elif "tuple" in annotation:
            value = (content, content[2])
        object.__setattr__(made, field.name, value)
    return made


def holds_arrays(cls: type) -> bool:
    """Whether the comparison that Python generates would not do."""
    return any(re.search(r"Array|ndarray|dict|list|Mapping", str(f.type)) for f in fields(cls))


@pytest.mark.parametrize(
    "cls",
    [c for c in frozen_classes() if holds_arrays(c)],
    ids=lambda c: f"{c.__module__}.{c.__name__}",
)
def test_frozen_data_compare_by_content(cls: type) -> None:
    """Equal content is equal with equal hashes; one other figure, or another class, is not."""
    one, same, other = filled(cls, last=2.0), filled(cls, last=2.0), filled(cls, last=3.0)
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != "another class"


def test_instances_compare_to_the_depth() -> None:
    """A service time of one node is enough to tell two instances apart; a copy is the same."""

    def instance(seconds: float) -> Instance:
        node, work = np.array([0, 1]), np.array([1.0, seconds])
        flow = WorkflowDemand("w", 1.0, node, work, np.array([[0, 1]]))
        return Instance(
            ("a", "b"), np.ones(2, int), np.array([9.0, 9.0]), (flow,), Cluster.homogeneous(2, 1)
        )

    assert instance(2.0) == instance(2.0)
    assert len({instance(2.0), instance(2.0), instance(3.0)}) == 2
    assert instance(2.0) != instance(3.0)
    assert instance(2.0) != replace(instance(2.0), load_cap=0.7)
    shorter = replace(instance(2.0), gpus_required=np.ones(1, int))
    assert instance(2.0) != shorter
