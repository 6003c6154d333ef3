"""Adapters as a config states them: what they take, and what is no adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from placement.files.config_file import read_config
from placement.files.unread_fields import InputWarning
from placement.problem.workload import Workload
from placement.support.faults import InputError

PLAIN = {"name": "m", "gpus_required": 1, "load_time_seconds": 1, "inference_time_mean": 1}


def read(tmp_path: Path, **adapter: Any) -> Workload:
    models = {"base": {**PLAIN, "memory_gb": 16}, "legal": {**PLAIN, **adapter}}
    flows = {"w": {"nodes": [{"id": "x", "model": "legal"}]}}
    (tmp_path / "c.json").write_text(json.dumps({"models": models, "workflows": flows}))
    return read_config(tmp_path / "c.json")


def test_an_adapter_takes_what_it_says_beside_its_base(tmp_path: Path) -> None:
    """Stated; stated twice, in agreement; and taken for one, with a warning."""
    for more in ({}, {"memory_gb": 16.5}):
        legal = read(tmp_path, base_model="base", adapter_gb=0.5, **more).models[1]
        assert (legal.base, legal.memory_gb) == ("base", 0.5)
    with pytest.warns(InputWarning, match="state adapter_gb: 0.5"):
        legal = read(tmp_path, base_model="base", memory_gb=16.5).models[1]
    assert (legal.base, legal.memory_gb) == ("base", 0.5)


@pytest.mark.parametrize("gb", [16, 8, 40])
def test_a_model_of_its_own_weights_is_none(tmp_path: Path, gb: float) -> None:
    """A fine-tuned copy, a quantized one, and a larger one bring their own."""
    assert read(tmp_path, base_model="base", memory_gb=gb).models[1].base is None


@pytest.mark.parametrize(
    ("adapter", "wrong"),
    [
        ({"adapter_gb": 1}, "stands without base_model"),
        ({"adapter_gb": 1, "base_model": "bas"}, "did you mean 'base'"),
        ({"adapter_gb": 1, "base_model": "legal"}, "is an adapter itself"),
        ({"adapter_gb": 1, "base_model": "base", "gpus_required": 2}, "its base takes 1 GPUs"),
        ({"adapter_gb": 1, "base_model": "base", "memory_gb": 20}, "make 17 GB"),
        ({}, "memory_gb"),
    ],
)
def test_what_is_wrong_with_an_adapter_is_said(
    tmp_path: Path, adapter: dict[str, Any], wrong: str
) -> None:
    """With its place and what to do."""
    with pytest.raises(InputError, match=wrong):
        read(tmp_path, **adapter)
