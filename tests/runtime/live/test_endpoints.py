"""The endpoints file: what it gives, and what is wrong with one, in sentences."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placement.files.unread_fields import InputWarning
from placement.problem.cluster import Cluster
from placement.problem.solution import Placement
from placement.problem.workload import Workload
from placement.support.faults import InputError
from runtime.arrays import Problem
from runtime.live.calls import CallMaker
from runtime.live.endpoints import read_endpoints
from runtime.live.inputs import RequestInput
from runtime.simulate import Dispatch, prepare_run
from tests.runtime.cases import chain, model, trace_of


def problem() -> Problem:
    """Two replicas of model m0 and one of m1, for a workflow that calls one after the other."""
    workload = Workload((model("m0"), model("m1")), (chain(2),))
    trace = trace_of(workload, np.zeros(1), np.zeros(1, dtype=int), np.ones(2))
    cluster = Cluster.homogeneous(3, 1, 80.0)
    placement = Placement.sorted(np.array([0, 0, 1]), np.array([0, 1, 2]), np.zeros(3, dtype=int))
    return prepare_run(workload, trace, cluster, placement, dispatch=Dispatch(policy="earliest"))[0]


def written(folder: Path, **content: Any) -> Path:
    whole: dict[str, Any] = {
        "replicas": [{"replica": p, "url": f"http://127.0.0.1:{8000 + p}"} for p in range(3)]
    }
    path = folder / "endpoints.json"
    path.write_text(json.dumps({**whole, **content}))
    return path


def test_entries_lie_over_those_of_their_models(tmp_path: Path) -> None:
    """What a replica says goes before what its model says, and that before the kind."""
    path = written(
        tmp_path,
        models={
            "m0": {"name": "org/m0", "timeout_s": 5, "body": {"max_tokens": 9}},
            "m1": {"kind": "embeddings"},
        },
        replicas=[
            {"replica": 0, "url": "http://127.0.0.1:1/v1"},
            {"replica": 1, "url": "https://host/deep", "name": "other", "body": {"seed": 1}},
            {"replica": 2, "url": "http://[::1]:3"},
        ],
        time_scale=0.5,
    )
    found = read_endpoints(path, problem(), 77.0)
    a, b, c = found.of_replica
    assert [e.url for e in (a, b, c)] == [
        "http://127.0.0.1:1/v1/chat/completions",
        "https://host/deep/v1/chat/completions",
        "http://[::1]:3/v1/embeddings",
    ]
    assert (a.model_name, b.model_name, c.model_name) == ("org/m0", "other", "m1")
    assert (a.timeout_s, c.timeout_s) == (5.0, 77.0)
    assert set(a.body) == {"model", "messages", "max_tokens"}
    assert set(b.body) == {"model", "messages", "seed"}
    assert found.time_scale == 0.5


def test_nodes_say_what_they_send(tmp_path: Path) -> None:
    """A node's body lies over its model's, with gaps from the request and its parents."""
    path = written(
        tmp_path,
        models={"m1": {"kind": "json", "path": "/run", "body": {"keep": True}, "output": "x"}},
        workflows={
            "chain": {"n1": {"body": {"q": "${parents.n0} / ${input.q}", "c": "${config.k}"}}}
        },
    )
    p = problem()
    inputs = [RequestInput({"q": "why"}, {"n1": {"k": 3}})]
    calls = CallMaker(p, read_endpoints(path, p), inputs, "run")
    call = calls.make(1, 0, 2, {0: "said"})
    assert call.body == {"keep": True, "q": "said / why", "c": 3}
    assert call.output == "x"
    first = calls.make(0, 0, 1, {})
    assert first.body["messages"] == [{"role": "user", "content": '{"q":"why"}'}]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"replicas": [{"replica": 0, "url": "http://h:1"}]}, ["replica 1 (m0), 2 (m1)"]),
        ({"replicas": [{"replica": 9, "url": "http://h:1"}]}, ["is 9; the plan has replicas 0"]),
        ({"replicas": [{"replica": 0, "url": "h:1"}] * 2}, ["there twice", "no address"]),
        ({"replicas": [{"replica": 0, "url": "http://me:pass@h"}]}, ["name or a password"]),
        ({"replicas": [{"replica": 0, "url": "http://h:99999"}]}, ["is no address"]),
        ({"replicas": [{"replica": 0, "url": "http://h?key=1"}]}, ["query"]),
        ({"models": {"m00": {}}}, ["is no model of the config", "did you mean 'm0'?"]),
        ({"workflows": {"chian": {}}}, ["did you mean 'chain'?"]),
        ({"workflows": {"chain": {"n9": {}}}}, ["is no node of workflow 'chain'"]),
        ({"models": {"m0": {"kind": "chatt"}}}, ["models.m0.kind"]),
        ({"models": {"m0": {"body": {"a": "${txt}"}}}}, ["${txt}", "did you mean 'text'?"]),
        (
            {"workflows": {"chain": {"n0": {"body": {"a": "${parents.n1}"}}}}},
            ["'n1' is no parent of the node"],
        ),
        ({"models": {"m0": {"key_env": "NOT_THERE"}}}, ["no variable NOT_THERE"]),
        ({"models": {"m0": {"key_env": "EMPTY_KEY"}}}, ["$EMPTY_KEY is empty"]),
        ({"models": {"m0": {"key_file": "nowhere.key"}}}, ["nowhere.key cannot be read"]),
        ({"ca_file": "nowhere.pem"}, ["ca_file", "cannot be read as certificates"]),
    ],
)
def test_faults_are_sentences(
    content: dict[str, Any],
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where, what, and how to mend it; a password in an address is not repeated."""
    monkeypatch.setenv("EMPTY_KEY", "")
    with pytest.raises(InputError) as error:
        read_endpoints(written(tmp_path, **content), problem())
    for word in words:
        assert word in str(error.value)
    assert "pass@" not in str(error.value)


def test_keys_come_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And show as where they came from."""
    monkeypatch.setenv("SOME_KEY", " secret-one\n")
    (tmp_path / "two.key").write_text("secret-two\n")
    path = written(
        tmp_path,
        models={
            "m0": {"key_env": "SOME_KEY"},
            "m1": {"key_file": os.fspath(tmp_path / "two.key")},
        },
    )
    found = read_endpoints(path, problem())
    headers = [e.key and e.key.header() for e in found.of_replica]
    assert headers == ["Bearer secret-one", "Bearer secret-one", "Bearer secret-two"]
    assert len(found.keys) == 2
    assert "secret" not in repr(found).replace(os.fspath(tmp_path), "")


def test_a_key_over_an_open_line_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not on this machine, and not over https."""
    monkeypatch.setenv("SOME_KEY", "secret-one")
    models = {"m0": {"key_env": "SOME_KEY"}}
    urls = ["http://127.0.0.1:1", "https://far", "http://far"]
    entries = [{"replica": p, "url": u} for p, u in enumerate(urls)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_endpoints(written(tmp_path, models=models, replicas=entries), problem())
    entries[1]["url"] = "http://far"
    with pytest.warns(InputWarning, match=r"replicas \[1\] would travel unencrypted"):
        read_endpoints(written(tmp_path, models=models, replicas=entries), problem())
