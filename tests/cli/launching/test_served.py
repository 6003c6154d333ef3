"""Which command serves which model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.inputs import gswarm
from tests.cli.launching.plans import HOSTILE, MODELS, write_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_case(tmp_path_factory.mktemp("case"))


def lines(case: dict[str, str], *more: str) -> list[str]:
    done = gswarm(
        "export", "--plan", case["plan"], "--config", case["config"], "--format", "launch", *more
    )
    assert done.exit_code == 0, done.output
    # A hostile name may hold a line break.
    return done.stdout[done.stdout.index("\n0)\n") :].split("  start ")


@pytest.mark.parametrize(
    ("engine", "model", "options"),
    [
        ("vllm", "serve big", ["--tensor-parallel-size 2", "--max-num-seqs 4"]),
        ("vllm", "serve org/Small-7B", ["--served-model-name small", "--max-model-len 8192"]),
        ("sglang", "--model-path big", ["--tp-size 2", "--max-running-requests 4"]),
        ("vllm", "paint --port", ["'{\"steps\": 30}' --load painter", "/ready"]),
    ],
)
def test_options_follow_the_config(
    case: dict[str, str], engine: str, model: str, options: list[str]
) -> None:
    """Degrees of parallelism, calls at once, what is loaded and what the user adds."""
    (line, *_) = (found for found in lines(case, "--engine", engine) if model in found)
    for option in options:
        assert option in line


@pytest.mark.parametrize(
    ("engine", "option"), [("vllm", "--runner pooling"), ("sglang", "--is-embedding")]
)
def test_embedders_are_served_as_such(case: dict[str, str], engine: str, option: str) -> None:
    """The one model of that type, and no other."""
    text = "\n".join(lines(case, "--engine", engine))
    replicas = json.loads(Path(case["plan"]).read_text())["replicas"]
    assert text.count(option) == sum(r["model"] == HOSTILE for r in replicas) > 0


def changed(**models: Any) -> dict[str, Any]:
    return {**MODELS, **{name: {**MODELS[name], **model} for name, model in models.items()}}


@pytest.mark.parametrize(
    ("models", "form", "said"),
    [
        (changed(painter={"serve": {}}), "launch",
         "models.painter: vLLM serves no model of type 'diffusion'"),
        (changed(painter={"type": "speech", "serve": {"args": ["-x"]}}), "compose",
         "serve: {command: ...}"),
        (changed(painter={"serve": {"command": ["paint"]}}), "compose",
         "nothing says which image it runs in"),
        (changed(small={"serve": {"args": ["--at", "{prot}"]}}), "launch",
         "models.small.serve: {prot} is no gap"),
        (changed(small={"serve": {"hf_id": "--trust-remote-code"}}), "kubernetes",
         "would take it for an option"),
    ],
)  # fmt: skip
def test_what_cannot_start_is_a_sentence(
    models: dict[str, Any], form: str, said: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """And nothing is written."""
    folder = tmp_path_factory.mktemp("case")
    case = write_case(folder, models)
    out = folder / "out"
    files = ("--plan", case["plan"], "--config", case["config"], "--format", form, "-o", out)
    done = gswarm("export", *files)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not out.exists()


def test_full_gpus_are_warned_of(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where the plan fills a GPU so far that no server could load what it states."""
    case = write_case(tmp_path_factory.mktemp("case"), {"m": {"memory_gb": 76, "gpus_required": 1}})
    for form in ("launch", "compose"):
        done = gswarm("export", "--plan", case["plan"], "--format", form)
        assert "less memory than the model states" in done.stderr
        assert "0.9000" in done.stdout


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"command": "paint 'x"}, "quotes in pairs"),
        ({"health": "health; rm"}, "a path such as /health"),
        ({"args": [1]}, "a list of words"),
        ({"comand": "x"}, "did you mean 'command'?"),
    ],
)
def test_serve_is_checked_as_all_of_the_config_is(
    entry: dict[str, Any], said: str, case: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = json.loads(Path(case["config"]).read_text())
    config["models"]["big"]["serve"] = entry
    path = tmp_path_factory.mktemp("config") / "config.json"
    path.write_text(json.dumps(config))
    done = gswarm("analyze", "--config", path, "--requests", case["requests"])
    assert done.exit_code == 2
    assert "models.big.serve" in done.stderr
    assert said in done.stderr


def test_hosts_are_checked(case: dict[str, str]) -> None:
    """One name a server, and names that are some."""
    for hosts, said in (("a", "names 1 of the plan's 2"), ("a,b c", "'b c' is no name")):
        line = ("--plan", case["plan"], "--config", case["config"], "--format", "endpoints")
        done = gswarm("export", *line, "--hosts", hosts)
        assert done.exit_code == 2
        assert said in done.stderr
    done = gswarm("export", "--plan", case["plan"], "--format", "litellm")
    assert done.exit_code == 2
    assert "say where each is" in done.stderr
    done = gswarm("export", "--plan", case["plan"], "--format", "launch", "--listen", "$(x)")
    assert done.exit_code == 2
    assert "--listen" in done.stderr
