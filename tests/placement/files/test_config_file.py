"""Every fault of a config gets its sentence: file, key, line, what is wrong, what to do."""

import math
import warnings
from pathlib import Path
from typing import Any

import pytest

from placement.files.config_file import read_config
from placement.files.request_file import read_requests
from placement.support.faults import SHOWN_FAULTS, InputError
from tests.placement.files.cases import CONFIG, Change, changed, fault_of_config, write_document

SHARED = Path(__file__).parents[4] / "shared" / "data" / "gswarm"


def model(key: str, **fields: Any) -> Change:
    return lambda d: d["models"][key].update(fields)


def node(**fields: Any) -> Change:
    return lambda d: d["workflows"]["story"]["nodes"].append(fields)


FAULTS: list[tuple[str, Change, str, tuple[str, ...]]] = [
    (
        "node twice",
        node(id="plan", model="writer"),
        "workflows.story.nodes[3].id",
        ("'plan' is already the id of nodes[0]", "rename"),
    ),
    (
        "unknown model",
        node(id="x", model="wirter"),
        "workflows.story.nodes[3].model",
        ("'wirter' is no model", "did you mean 'writer'?"),
    ),
    (
        "no nodes",
        lambda d: d["workflows"]["sketch"].update(nodes=[]),
        "workflows.sketch.nodes",
        ("empty",),
    ),
    (
        "negative memory",
        model("writer", memory_gb=-1),
        "models.writer.memory_gb",
        ("is -1", "at least 0"),
    ),
    (
        "huge memory",
        model("writer", memory_gb=1e300),
        "models.writer.memory_gb",
        ("1e+300", "at most"),
    ),
    (
        "no GPUs",
        model("writer", gpus_required=-1),
        "models.writer.gpus_required",
        ("is -1", "at least 0"),
    ),
    (
        "half a GPU",
        model("writer", gpus_required=1.5),
        "models.writer.gpus_required",
        ("1.5", "whole number"),
    ),
    (
        "GPUs beyond reason",
        model("writer", gpus_required=10**12),
        "models.writer.gpus_required",
        ("at most",),
    ),
    (
        "number in quotes",
        model("writer", memory_gb="60"),
        "models.writer.memory_gb",
        ("'60'", "without quotes"),
    ),
    (
        "truth value for a number",
        model("writer", memory_gb=True),
        "models.writer.memory_gb",
        ("true", "number"),
    ),
    (
        "negative load time",
        model("writer", load_time_seconds=-3),
        "models.writer.load_time_seconds",
        ("at least 0",),
    ),
    (
        "no tokens per second",
        model("writer", tokens_per_second=0),
        "models.writer.tokens_per_second",
        ("more than 0",),
    ),
    (
        "a call that outlasts everybody",
        model("writer", tokens_per_second=1e-6, token_mean=1e9),
        "models.writer.tokens_per_second",
        ("last more than",),
    ),
    (
        "slowdown that speeds up",
        model("writer", max_concurrency=2, slowdown=[1, 0.5]),
        "models.writer.slowdown",
        ("never decrease",),
    ),
    (
        "slowdown of another length",
        model("writer", max_concurrency=3, slowdown=[1, 2]),
        "models.writer.slowdown",
        ("2 factors", "max_concurrency is 3"),
    ),
    (
        "memory in two ways",
        model("writer", weights_gb=50),
        "models.writer.memory_gb",
        ("beside weights_gb", "keep one"),
    ),
    (
        "cache without weights",
        model("writer", kv_gb_per_sequence=0.5),
        "models.writer.kv_gb_per_sequence",
        ("without weights_gb", "in place of memory_gb"),
    ),
    (
        "a GPU occupied more than all the time",
        model("writer", gpu_fraction=1.2),
        "models.writer.gpu_fraction",
        ("at most 1",),
    ),
    (
        "a call that never occupies the GPU",
        model("writer", gpu_fraction=0),
        "models.writer.gpu_fraction",
        ("more than 0",),
    ),
    (
        "negative prefill",
        model("writer", prefill_time_seconds=-0.1),
        "models.writer.prefill_time_seconds",
        ("at least 0",),
    ),
    (
        "chunks as a number",
        model("writer", chunked_prefill=1),
        "models.writer.chunked_prefill",
        ("true or false",),
    ),
    ("name that is a number", model("writer", name=5), "models.writer.name", ("is 5, not text",)),
    (
        "misspelt optional field",
        model("painter", inference_time_men=1),
        "models.painter.inference_time_men",
        ("did you mean 'inference_time_std'?",),
    ),
    (
        "negative payload",
        lambda d: d["workflows"]["story"]["edges"][0].update(payload_mb=-1),
        "workflows.story.edges[0].payload_mb",
        ("is -1",),
    ),
    (
        "prefix shared by calls of two models",
        lambda d: d["workflows"]["story"]["edges"][0].update(shared_prefix=0.5),
        "workflows.story.edges[0].shared_prefix",
        ("model 'writer'", "'painter'", "let both nodes call one model"),
    ),
    (
        "prefix of more than all",
        lambda d: d["workflows"]["story"]["edges"][0].update(shared_prefix=1.5),
        "workflows.story.edges[0].shared_prefix",
        ("is 1.5",),
    ),
    ("models as a list", lambda d: d.update(models=[]), "models", ("a list, not a mapping",)),
    ("no models", lambda d: d.update(models={}), "models", ("empty",)),
    ("nothing for workflows", lambda d: d.update(workflows=None), "workflows", ("nothing (null)",)),
]


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
@pytest.mark.parametrize(
    ("change", "key", "words"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS]
)
def test_a_fault_is_named_with_its_key_line_and_mend(
    change: Change, key: str, words: tuple[str, ...], suffix: str, tmp_path: Path
) -> None:
    """File, dotted key and the line that PyYAML's composer gives; what is wrong; what to do."""
    path = write_document(tmp_path / f"config{suffix}", changed(CONFIG, change))
    text = fault_of_config(path, key)
    for word in words:
        assert word in text


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_refused(value: float, suffix: str, tmp_path: Path) -> None:
    """NaN and infinities are no numbers of gigabytes, in either syntax."""
    data = changed(CONFIG, model("writer", memory_gb=value))
    path = write_document(tmp_path / f"config{suffix}", data)
    with pytest.raises(InputError, match=r"line \d+.*finite number"):
        read_config(path)


def test_missing_fields_are_named_beside_what_they_may_have_been_misspelt_as(
    tmp_path: Path,
) -> None:
    """`memory` in place of `memory_gb` is one fault: the field is missing, and that is why."""

    def misspell(data: Any) -> None:
        data["models"]["writer"]["memory-gb"] = data["models"]["writer"].pop("memory_gb")

    path = write_document(tmp_path / "config.yaml", changed(CONFIG, misspell))
    with pytest.raises(InputError, match=r"memory_gb .*is missing; .*'memory-gb'") as caught:
        read_config(path)
    assert len(caught.value.faults) == 1


def test_faults_of_shape_and_of_content_are_reported_together(tmp_path: Path) -> None:
    """A wrong number does not hide a dangling edge, an unknown model and a cycle elsewhere."""

    def spoil(data: Any) -> None:
        data["models"]["writer"]["memory_gb"] = -1
        data["workflows"]["story"]["edges"] += [
            {"from": "draw", "to": "drow"},
            {"from": "draw", "to": "plan"},
        ]
        data["workflows"]["sketch"]["nodes"][0]["model"] = "pinter"

    path = write_document(tmp_path / "config.json", changed(CONFIG, spoil))
    with pytest.raises(InputError) as caught:
        read_config(path)
    text = str(caught.value)
    assert len(caught.value.faults) == 4
    for word in ("is -1", "'drow'", "closes a cycle", "did you mean 'painter'?"):
        assert word in text


def test_of_very_many_faults_the_first_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    """Fifty dangling edges: twenty sentences, and how many more there are."""

    def spoil(data: Any) -> None:
        data["workflows"]["story"]["edges"] += [
            {"from": f"nobody{i}", "to": "draw"} for i in range(50)
        ]

    path = write_document(tmp_path / "config.json", changed(CONFIG, spoil))
    with pytest.raises(InputError, match=f"and {50 - SHOWN_FAULTS} more") as caught:
        read_config(path)
    assert len(caught.value.faults) == SHOWN_FAULTS


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_key_that_appears_twice_is_refused(suffix: str, tmp_path: Path) -> None:
    """Other readers keep the last of two equal models without a word."""
    path = write_document(tmp_path / f"config{suffix}", CONFIG)
    key = '"painter": {' if suffix == ".json" else "painter:"
    line = next(i for i, row in enumerate(path.read_text().splitlines(), 1) if key in row)
    path.write_text(path.read_text().replace(key, key.replace("painter", "writer")))
    with pytest.raises(InputError, match=rf"models\.writer \(line {line}\): .* appears twice"):
        read_config(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"requests": []}, "is a trace of requests, not a config; give it to --requests"),
        ({"server_types": {}}, "is a cluster, not a config; give it to --cluster"),
        ("just text", "not a mapping"),
        ([1, 2], "not a mapping"),
        (None, "nothing (null)"),
    ],
)
def test_files_of_another_kind_are_recognised(data: Any, words: str, tmp_path: Path) -> None:
    """A trace given as the config is called a trace, with the option it belongs to."""
    path = write_document(tmp_path / "config.yaml", data)
    with pytest.raises(InputError) as caught:
        read_config(path)
    assert words in str(caught.value)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data is not beside the project")
@pytest.mark.parametrize("name", ["simple", "complex"])
def test_real_files_are_read_as_they_are(name: str) -> None:
    """One of them has an edge from an output, which loses a third of its requests elsewhere."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        workload = read_config(SHARED / f"{name}_config.json")
    assert len(caught) == (name == "complex")
    trace = read_requests(SHARED / f"{name}_requests.yaml", workload)
    assert trace.n_requests == (500 if name == "simple" else 1000)
    if name == "complex":
        assert "'performance_report' is no node but an output of" in str(caught[0].message)


def test_memory_is_weights_and_the_cache_of_every_sequence(tmp_path: Path) -> None:
    """weights_gb + max_concurrency * kv_gb_per_sequence, spread over the GPUs of the replica."""
    whole = {"weights_gb": 30.0, "kv_gb_per_sequence": 0.5, "max_concurrency": 20}

    def change(data: Any) -> None:
        del data["models"]["writer"]["memory_gb"]
        data["models"]["writer"].update(whole)

    path = write_document(tmp_path / "c.json", changed(CONFIG, change))
    writer = read_config(path).models[0]
    assert writer.memory_gb == 40.0
    assert writer.memory_per_gpu_gb == 20.0
    assert (writer.weights_gb, writer.kv_gb_per_sequence) == (30.0, 0.5)


def test_prefill_and_gaps_are_read(tmp_path: Path) -> None:
    """What is left out is none: no prefill, none of it chunked, a GPU occupied all the time."""
    more = {"prefill_time_seconds": 0.2, "chunked_prefill": True, "gpu_fraction": 0.6}
    path = write_document(tmp_path / "c.json", changed(CONFIG, model("writer", **more)))
    writer, painter, _ = read_config(path).models
    assert (writer.prefill_time_s, writer.chunked_prefill, writer.gpu_fraction) == (0.2, True, 0.6)
    assert (painter.prefill_time_s, painter.chunked_prefill, painter.gpu_fraction) == (0, False, 1)
