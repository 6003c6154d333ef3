"""Which command serves which model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from yaml import safe_load as load

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


ADAPTED: dict[str, dict[str, Any]] = {
    "base": {
        "memory_gb": 16,
        "gpus_required": 1,
        "serve": {"hf_id": "org/Base-8B", "args": ["--max-lora-rank", "64"]},
    },
    "legal": {"adapter_gb": 0.5, "base_model": "base", "gpus_required": 1,
              "serve": {"hf_id": "org/legal-lora"}},
    "sales": {"adapter_gb": 0.5, "base_model": "base", "gpus_required": 1},
}  # fmt: skip

LOADS = {
    "vllm": "--enable-lora --max-loras 2 --lora-modules legal=org/legal-lora sales=sales",
    "sglang": "--enable-lora --max-loras-per-batch 2 --lora-paths legal=org/legal-lora sales=sales",
}


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_the_server_of_a_base_loads_its_adapters(
    engine: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One server on the one GPU, told of both; it takes the whole part, and has one port."""
    case = write_case(tmp_path_factory.mktemp("case"), ADAPTED, gpus=1)
    (_, line) = lines(case, "--engine", engine)
    assert "org/Base-8B" in line
    assert "--max-lora-rank 64" in line
    assert LOADS[engine] in line
    assert ("0.9000" if engine == "vllm" else "0.8000") in line


@pytest.mark.parametrize(("engine", "called"), [("vllm", "legal"), ("sglang", "base:legal")])
def test_adapters_are_called_at_the_address_of_their_base(
    engine: str, called: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By the name that the engine knows them by, in every file that says where to call."""
    case = write_case(tmp_path_factory.mktemp("case"), ADAPTED, gpus=1)
    files = ("--plan", case["plan"], "--config", case["config"], "--engine", engine)
    config = load(gswarm("export", *files, "--format", "litellm").stdout)
    found = {d["model_name"]: d["litellm_params"] for d in config["model_list"]}
    assert found["legal"]["model"] == f"hosted_vllm/{called}"
    assert len({p["api_base"] for p in found.values()}) == 1
    ends = load(gswarm("export", *files, "--format", "endpoints").stdout)
    assert ends["models"]["legal"].get("name", "legal") == called
    assert "name" not in ends["models"]["base"]
    assert len(ends["replicas"]) == 3
    assert len({r["url"] for r in ends["replicas"]}) == 1


def test_an_adapter_alone_on_its_gpu_brings_its_base(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Where GPUs are exclusive each is a server of the base that loads the one."""
    folder = tmp_path_factory.mktemp("case")
    case = write_case(folder, ADAPTED, gpus=3)
    solved = gswarm(
        "solve", "--config", case["config"], "--requests", case["requests"], "--gpus", "3",
        "--exclusive", "--method", "greedy", "-o", case["plan"], "-q", "--force",
    )  # fmt: skip
    assert solved.exit_code == 0, solved.output
    found = lines(case)[1:]
    assert len(found) == 3
    assert all("vllm serve org/Base-8B --served-model-name base" in line for line in found)
    loaded = [line.partition("--lora-modules ")[2].split("\n")[0] for line in found]
    assert sorted(loaded) == ["", "legal=org/legal-lora", "sales=sales"]


def test_an_adapter_of_a_name_that_no_server_takes_is_a_sentence(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """It is NAME=SOURCE on a command line."""
    models = {"base": ADAPTED["base"], "a=b": ADAPTED["sales"]}
    case = write_case(tmp_path_factory.mktemp("case"), models, gpus=1)
    files = ("--plan", case["plan"], "--config", case["config"], "--format", "launch")
    done = gswarm("export", *files)
    assert done.exit_code == 2
    assert "models.a=b: no server takes an adapter of this name" in done.stderr


def test_commands_of_ones_own_are_told_by_a_gap(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without it a warning names what they would have to load."""
    case = write_case(tmp_path_factory.mktemp("case"), ADAPTED, gpus=1)
    files = ("--plan", case["plan"], "--config", case["config"], "--format", "launch")
    told = gswarm("export", *files, "--command", "mine --load {adapters} {model}")
    assert "mine --load legal=org/legal-lora,sales=sales org/Base-8B" in told.stdout
    assert "adapters" not in told.stderr
    plain = gswarm("export", *files, "--command", "mine {model}")
    assert "models.base: its command has no gap {adapters}" in plain.stderr
    assert "legal, sales" in plain.stderr
