"""`import`: what it writes, the other commands take as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.inputs import gswarm
from tests.placement.importing.samples import LITELLM, SERVER, SWAP
from tests.placement.importing.spans import START_NS, call, document, span


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    """A file of each kind."""
    spans: list[dict[str, Any]] = []
    for r in range(12):
        at = START_NS + r * 10**9
        root = f"{r}-root"
        spans += [
            span(f"{r}", root, "ask", at, at + 9 * 10**8),
            call(f"{r}", f"{r}-a", "embed question", "embed", at, at + 10**8, parent=root,
                 gen_ai__operation__name="embeddings"),
            call(f"{r}", f"{r}-b", "chat", "chat", at + 10**8, at + 8 * 10**8, parent=root,
                 gen_ai__usage__output_tokens=70 + r),
        ]  # fmt: skip
    contents = {
        "traces.jsonl": "\n".join(json.dumps(document(spans[i::2])) for i in range(2)),
        "fox.json": json.dumps(SERVER),
        "proxy.yaml": yaml.safe_dump(LITELLM),
        "swap.yaml": yaml.safe_dump(SWAP),
    }
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    return {name.partition(".")[0]: tmp_path / name for name in contents}


def outputs(folder: Path) -> tuple[Path, Path]:
    return folder / "config.yaml", folder / "requests.jsonl"


@pytest.mark.parametrize(
    "names", [["traces"], ["traces", "proxy"], ["fox"], ["proxy"], ["swap"], ["fox", "swap"]]
)
def test_what_is_written_is_analysed_and_solved(
    names: list[str], sources: dict[str, Path], tmp_path: Path
) -> None:
    """With the memory of models given on the command line, nothing is left to fill in but time."""
    config, requests = outputs(tmp_path)
    out = ("--config-out", config, "--requests-out", requests)
    done = gswarm("import", *(sources[n] for n in names), "--memory-gb", "8", *out, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert done.stderr == ""
    assert said["request_count"] == (12 if "traces" in names else 100)
    untimed = {"inference_time_mean"} if names != ["traces"] else set()
    assert {f for fields in said["to_fill_in"].values() for f in fields} <= untimed
    inputs = ("--config", config, "--requests", requests)
    shown = gswarm("analyze", *inputs, "--json")
    assert shown.exit_code == 0, shown.output
    assert "warning" not in shown.stderr
    plan = ("--gpus", "8", "--method", "greedy", "-o", tmp_path / "plan.yaml", "-q")
    assert gswarm("solve", *inputs, *plan).exit_code == 0


def test_files_add_up(sources: dict[str, Path], tmp_path: Path) -> None:
    """Workflows and times are those of the traces, what serves a model is that of the proxy."""
    config, requests = outputs(tmp_path)
    out = ("--config-out", config, "--requests-out", requests, "-q")
    assert gswarm("import", sources["proxy"], sources["traces"], *out).exit_code == 0
    written = yaml.safe_load(config.read_text())
    assert set(written["workflows"]) == {"ask"}
    chat = written["models"]["chat"]
    assert chat["serve"] == {"hf_id": "org/Chat-8B"}
    assert chat["max_concurrency"] == 8
    assert chat["token_mean"] == pytest.approx(75.5)


def test_a_table_fills_in_what_files_do_not_tell(sources: dict[str, Path], tmp_path: Path) -> None:
    """By name before pattern; what is still missing is named, and marked in the config."""
    table = tmp_path / "known.yaml"
    table.write_text(
        "models:\n  'xl*': {memory_gb: 7, inference_time_mean: 2.0}\n"
        "  xl.safetensors: {memory_gb: 10, gpus_required: 1}\n"
    )
    config, _ = outputs(tmp_path)
    done = gswarm("import", sources["fox"], "--models", table, "--config-out", config)
    assert done.exit_code == 0, done.output
    models = yaml.safe_load(config.read_text())["models"]
    assert models["xl.safetensors"]["memory_gb"] == 10
    assert models["xl.safetensors:clip"]["memory_gb"] == 7
    assert models["xl.safetensors"]["inference_time_mean"] == 2.0
    assert "x-fill-in" not in models["xl.safetensors"]
    assert models["fine.vae"]["x-fill-in"] == ["memory_gb", "inference_time_mean"]
    assert "to fill in: memory_gb of 'fine.vae', 'x4.pth'" in done.stderr
    assert "not expressed: MagicRelight" in done.stderr


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        ("{}", (), "is none of otlp, comfyui, litellm, llama-swap"),
        (json.dumps(SERVER), ("--from", "otlp"), "is no file of otlp, but of comfyui"),
        ("{", (), "in.json"),
        (json.dumps(document([])), (), "nothing to import"),
        (json.dumps({"resourceSpans": {}}), (), "is no list"),
        (json.dumps(SERVER), ("--models", "table.json"), "nonsense"),
    ],
)
def test_what_is_wrong_is_a_sentence(
    text: str, more: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    Path("in.json").write_text(text)
    Path("table.json").write_text('{"x": {"nonsense": 1}}')
    done = gswarm("import", "in.json", *more, "--config-out", "config.yaml")
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.output
    assert not Path("config.yaml").exists()
