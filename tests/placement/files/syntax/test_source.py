"""Files that are not what they claim to be: a sentence for each, whatever the format."""

import os
import re
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placement.files.cluster_file import read_cluster
from placement.files.config_file import read_config
from placement.files.plan_file import read_plan
from placement.files.request_file import read_requests
from placement.support.faults import InputError
from tests.placement.files.cases import (
    CONFIG,
    FORMATS,
    REQUESTS,
    workload,
    write_document,
    write_requests,
)

Read = Callable[[Path], Any]


@pytest.fixture
def read_trace(tmp_path: Path) -> Read:
    flows = workload(tmp_path)
    return lambda path: read_requests(path, flows)


READERS = [(read_config, "json"), (read_cluster, "yaml"), (read_plan, "yaml")]
ALL = [*READERS, *((None, form) for form in FORMATS)]
IDS = ["config", "cluster", "plan", *FORMATS]


@pytest.mark.parametrize(("reader", "form"), ALL, ids=IDS)
def test_what_cannot_be_read_at_all_is_said_in_one_sentence(
    reader: Read | None, form: str, read_trace: Read, tmp_path: Path
) -> None:
    """Missing, a directory, empty, a pipe, random bytes, UTF-16, NULs: each by its name."""
    read = reader or read_trace
    path = tmp_path / f"file.{form}"
    (tmp_path / f"flie.{form}").write_text("")

    def refuse(words: str) -> None:
        with pytest.raises(InputError, match=words) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert len(caught.value.faults) == 1

    refuse(f"does not exist; did you mean .*flie.{form}")
    path.mkdir()
    refuse("is a directory")
    path.rmdir()
    os.mkfifo(path)
    refuse("is no regular file")
    path.unlink()
    path.write_bytes(b"")
    refuse("is empty")
    path.write_bytes(np.random.default_rng(0).bytes(500))
    refuse("no UTF-8 text|is no Parquet file")
    path.write_bytes("{}".encode("utf-16"))
    refuse("UTF-16|is no Parquet file")
    path.write_bytes(b"{}\0")
    refuse("is binary|is no Parquet file")
    if os.getuid():  # root reads everything
        path.chmod(0)
        refuse("give yourself permission")
    path = tmp_path / "nowhere" / path.name
    refuse("the directory .* does not exist")
    with pytest.raises(InputError, match=r"^'': its name ends in nothing"):
        read("")  # type: ignore[arg-type]
    path = tmp_path / "file.docx"
    path.write_text("{}")
    refuse("ends in .docx, which tells no format")


@pytest.mark.parametrize("form", FORMATS)
def test_a_truncated_trace_never_passes_for_a_shorter_one(
    form: str, read_trace: Read, tmp_path: Path
) -> None:
    """Cut anywhere but behind a whole request, the file is refused; there, it is that trace."""
    path = write_requests(tmp_path, form, REQUESTS)
    raw = path.read_bytes()
    whole = np.random.default_rng(1).integers(1, len(raw) - 1, 60)
    for cut in sorted({int(c) for c in whole}):
        path.write_bytes(raw[:cut])
        try:
            with warnings.catch_warnings(record=True) as caught:
                trace = read_trace(path)
        except InputError as error:
            assert str(path) in str(error)
            # A header cut short names a column that nothing reads.
            assert all(re.search(r": column \w+: nothing reads", str(w.message)) for w in caught)
        else:
            assert not caught
            # YAML and lines have no end mark: what is left may be whole by itself.
            assert form in ("yaml", "jsonl", "csv")
            assert form == "yaml" or raw[cut - 1 : cut + 1].strip(b"\r\n") != raw[cut - 1 : cut + 1]
            assert list(trace.request_ids) == [f"r{i}" for i in range(trace.n_requests)]


@pytest.mark.parametrize("form", ["json", "yaml", "jsonl", "csv"])
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(
    form: str, read_trace: Read, tmp_path: Path
) -> None:
    """Spreadsheets and editors on Windows write both."""
    path = write_requests(tmp_path, form, REQUESTS)
    plain = read_trace(path)
    text = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text)
    again = read_trace(path)
    assert list(again.request_ids) == list(plain.request_ids)
    np.testing.assert_array_equal(again.service_s, plain.service_s)
    np.testing.assert_array_equal(again.arrival_s, plain.arrival_s)


def test_yaml_bombs_do_not_go_off(tmp_path: Path) -> None:
    """Nine levels of nine aliases are a billion values; they are refused at once."""
    path = tmp_path / "config.yaml"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    names = "abcdefghij"
    for before, name in pairwise(names):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"line \d+: the aliases expand"):
        read_config(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested|depth"),
        ("{" * 100_000, "a key is a collection|no valid JSON"),
        ('{"models": ', "ends too early|no valid YAML"),
        ('{"models": {}} extra', "no valid"),
        ("models: {a: 1}\nmodels: {b: 1}\n", "models .line 2.: this key appears twice|no valid"),
        ('{"models": {"a": 1, "\\u0061": 2}}', "models.a .line 1.: this key appears twice"),
        ("a: &a [*a]\n", "inside its own anchor|no valid"),
        ("a: *b\n", "has none|no valid"),
        ("a: 1\n---\nb: 2\n", "a second document begins|no valid"),
        ("!!python/object/apply:os.system [exit]\n", "has no meaning here|no valid"),
        ("? [a, b]\n: c\n", "a key is a collection|no valid"),
        ("a:\n\t- b\n", "line 2: is no valid YAML|no valid"),
        ("a: 1\r\n b: 2\r\n", "line 2.*no valid YAML|no valid"),
    ],
)
@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_broken_syntax_is_named_with_its_line(
    text: str, words: str, suffix: str, tmp_path: Path
) -> None:
    """Depth, truncation, repeated keys however spelt, loops, tags: no crash, no code run."""
    path = tmp_path / f"config.{suffix}"
    path.write_bytes(text.encode())
    with pytest.raises(InputError, match=words):
        read_config(path)


def test_the_norway_problem_is_none(tmp_path: Path) -> None:
    """Keys and values such as no, on, 1.0 and 2026-01-01 stay the text they are."""
    data = {
        "models": {m: {**CONFIG["models"]["painter"], "name": "off"} for m in ("no", "on", "1.0")},
        "workflows": {"2026-01-01": {"nodes": [{"id": "y", "model": "no"}]}},
    }
    path = write_document(tmp_path / "config.yaml", data)
    path.write_text(path.read_text().replace("'", ""))
    with pytest.raises(InputError, match=r"nodes\[0\]|is 1.0|name .*not text") as caught:
        path.write_text(path.read_text().replace("name: off", "name: 1.0"))
        read_config(path)
    assert "true" not in str(caught.value)
    path.write_text(path.read_text().replace("name: 1.0", "name: off"))
    config = read_config(path)
    assert [m.id for m in config.models] == ["no", "on", "1.0"]
    assert config.models[0].name == "off"
    assert config.workflows[0].id == "2026-01-01"


def test_a_broken_parquet_file_leaves_stderr_alone(
    read_trace: Read, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The library's threads panic on some damage and print their trace: nobody gets to see it."""
    path = write_requests(tmp_path, "parquet", REQUESTS)
    raw = bytearray(path.read_bytes())
    rng = np.random.default_rng(2)
    for _ in range(60):
        broken = bytearray(raw)
        for i in rng.integers(4, len(raw) - 8, 4):
            broken[i] = int(rng.integers(256))
        path.write_bytes(broken)
        try:
            read_trace(path)
        except InputError as error:
            assert str(path) in str(error)
    assert capfd.readouterr().err == ""
