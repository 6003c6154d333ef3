"""Fields that nothing reads are named once each, wherever they stand and however often."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from placement.files.cluster_file import read_cluster
from placement.files.config_file import read_config
from placement.files.request_file import read_requests
from placement.files.unread_fields import SHOWN_FIELDS, InputWarning
from tests.cli.inputs import gswarm, write_inputs
from tests.placement.files import cases
from tests.placement.files.cases import CLUSTER


def said(read: Any, *arguments: Any) -> list[str]:
    """The warnings of a reader."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read(*arguments)
    assert all(w.category is InputWarning for w in caught)
    return [str(w.message) for w in caught]


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_fields_of_a_config_are_named_with_their_line(suffix: str, tmp_path: Path) -> None:
    """One warning for a field of many models, with the first line and the count."""

    def more(config: Any) -> None:
        for model in config["models"].values():
            model["owner_team"] = 2
        config["workflows"]["story"]["nodes"][1]["timeout"] = 3
        config["workflows"]["story"]["edges"][0]["payload"] = 3  # beside payload_mb

    path = cases.write_document(tmp_path / f"c{suffix}", cases.changed(cases.CONFIG, more))
    first = cases.line_of(path, "models.writer.owner_team")
    node = cases.line_of(path, "workflows.story.nodes[1].timeout")
    edge = cases.line_of(path, "workflows.story.edges[0].payload")
    assert said(read_config, path) == [
        f"{path}: models.writer.owner_team (line {first}): nothing reads this field "
        "(3 times in all); it has no effect",
        f"{path}: workflows.story.nodes[1].timeout (line {node}): nothing reads this field; "
        "it has no effect",
        f"{path}: workflows.story.edges[0].payload (line {edge}): nothing reads this field; "
        "the nearest known one is 'payload_mb'",
    ]


def test_fields_of_a_cluster_are_named(tmp_path: Path) -> None:
    """Of a server type and of the file itself."""
    more = {**CLUSTER, "zone": 1}
    path = cases.write_document(tmp_path / "cluster.yaml", more)
    assert [w.split(":")[1] for w in said(read_cluster, path)] == [
        f" zone (line {cases.line_of(path, 'zone')})"
    ]


@pytest.mark.parametrize("form", cases.FORMATS)
def test_fields_of_requests_are_named_once(form: str, tmp_path: Path) -> None:
    """Rows, lines and records; what is kept for other tools is no news."""
    requests = [{**r, "priority": "1", "metadata": None} for r in cases.REQUESTS]
    workload = cases.workload(tmp_path)
    path = cases.write_requests(tmp_path, form, requests)
    (text,) = said(read_requests, path, workload)
    assert "priority" in text
    assert "nothing reads this field" in text
    assert ("6 times" in text) == (form in ("json", "yaml", "jsonl"))


def test_a_file_of_other_fields_is_not_listed_whole(tmp_path: Path) -> None:
    """Ten names, and how many more there are."""
    config = cases.changed(
        cases.CONFIG, lambda c: c["models"]["writer"].update({f"x{i}y": i for i in range(5000)})
    )
    texts = said(read_config, cases.write_document(tmp_path / "c.json", config))
    assert len(texts) == SHOWN_FIELDS + 1
    assert f"and {5000 - SHOWN_FIELDS:,} more fields" in texts[-1]


def test_a_file_without_such_fields_says_nothing(tmp_path: Path) -> None:
    """Every documented field is known, and what is marked as a note is none."""
    notes = {"$schema": "config.schema.json", "x-common": 1, "_comment": "by hand"}
    path = cases.write_document(tmp_path / "c.json", {**notes, **cases.CONFIG})
    assert said(read_config, path) == []


def test_the_command_warns_on_stderr_only(tmp_path: Path) -> None:
    """One line each; the JSON on stdout stays as it was; --quiet hides them."""
    config, requests = write_inputs(tmp_path)
    inputs = ("--config", config, "--requests", requests, "--gpus-per-server", "8")
    plain = gswarm("analyze", *inputs, "--json")
    assert plain.stderr == ""
    config.write_text(
        config.read_text().replace('"name": "big",', '"name": "big", "owner_team": 1,')
    )
    warned = gswarm("analyze", *inputs, "--json")
    assert warned.stdout == plain.stdout
    assert warned.stderr == (
        f"warning: {config}: models.big.owner_team (line 1): nothing reads this field; "
        "it has no effect\n"
    )
    assert gswarm("analyze", *inputs, "--quiet").stderr == ""
