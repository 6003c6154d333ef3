"""Whatever is done to a valid file, it is read or refused in words: no traceback, no loss."""

import copy
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from placement.reading.cluster import read_cluster
from placement.reading.config import read_config
from placement.reading.faults import InputError
from placement.reading.requests import read_requests
from placement.workload import Workload
from tests.placement.reading import cases
from tests.placement.reading.test_cluster import CLUSTER

BOUNDED = settings(
    max_examples=50,
    deadline=timedelta(seconds=2),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["writer", "draw", "r1", "2026-01-01T00:00:09Z", "1e400", "<<", "~", "no"]),
)
KEYS = st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=4,
)


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:
    """A document in which up to three values are dropped, replaced, renamed, moved or doubled."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        spots = list(_spots(document))
        if not spots:
            break
        holder, key = draw(st.sampled_from(spots))
        action = draw(st.sampled_from(["drop", "replace", "rename", "copy", "double"]))
        if action == "drop":
            del holder[key]
        elif action == "rename" and isinstance(holder, dict):
            holder[draw(st.sampled_from([key + "s", key[:-1], key.upper(), "x"]))] = holder.pop(key)
        elif action == "double" and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif action == "copy":
            other, from_key = draw(st.sampled_from(spots))
            holder[key] = copy.deepcopy(other[from_key])
        else:
            holder[key] = draw(VALUES)
    return document


def _spots(data: Any) -> Any:
    keys = list(data) if isinstance(data, dict) else range(len(data))
    for key in keys:
        yield data, key
        if isinstance(data[key], dict | list):
            yield from _spots(data[key])


@st.composite
def damaged(draw: st.DrawFn, raw: bytes) -> bytes:
    """Bytes of which some are cut, repeated, replaced, or broken by what syntax lives on."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        end = min(len(raw), at + draw(st.integers(0, 40)))
        piece = draw(
            st.one_of(
                st.just(b""),
                st.just(raw[at:end] * 2),
                st.binary(max_size=4),
                st.sampled_from(PIECES),
            )
        )
        raw = raw[:at] + piece + raw[end:]
    return raw


PIECES = [
    b'"', b"{", b"}", b"[", b"]", b":", b",", b"- ", b"&a ", b"*a", b"<<: *a\n", b"!!x ", b"? ",
    b"#", b"|", b"---\n", b"\r", b"\t", b"\0", b"\xef\xbb\xbf", b"NaN", b"1e999", b"\\u0022",
    b"\\ud800", b"\xe2\x80\xa8",
]  # fmt: skip


def accepted(read: Any, path: Path) -> Any:
    """What a reader gives, or None where it refuses with a sentence that names the file."""
    try:
        return read(path)
    except InputError as error:
        assert all(str(fault).startswith(str(path)) for fault in error.faults)
        assert all("Traceback" not in str(fault) and fault.mend for fault in error.faults)
        return None


def check_workload(found: Workload) -> None:
    """What the rest of the code trusts: names are unique, edges join nodes, graphs are acyclic."""
    for flow in found.workflows:
        assert len({n.id for n in flow.nodes}) == len(flow.nodes)
        assert sorted(flow.topological_order) == list(range(len(flow.nodes)))
        assert all(0 <= n.model < len(found.models) for n in flow.nodes)
    for model in found.models:
        assert model.gpus_required >= 1
        assert 0 <= model.memory_gb < np.inf
        assert len(model.slowdown) == model.max_concurrency


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
@BOUNDED
@given(data=st.data())
def test_mutated_configs(suffix: str, data: st.DataObject, tmp_path: Path) -> None:
    """A config is refused in words, or is one that the rest of the code can trust."""
    document = data.draw(mutated(cases.CONFIG))
    path = cases.write_document(tmp_path / f"config{suffix}", document)
    if data.draw(st.booleans()):
        path.write_bytes(data.draw(damaged(path.read_bytes())))
    found = accepted(read_config, path)
    if found is not None:
        check_workload(found)


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
@BOUNDED
@given(data=st.data())
def test_mutated_clusters(suffix: str, data: st.DataObject, tmp_path: Path) -> None:
    """A cluster is refused in words, or has servers and GPUs."""
    path = cases.write_document(tmp_path / f"c{suffix}", data.draw(mutated(CLUSTER)))
    found = accepted(read_cluster, path)
    if found is not None:
        assert found.n_gpus >= found.n_servers >= 1


@pytest.mark.parametrize("form", ["json", "yaml", "jsonl"])
@BOUNDED
@given(data=st.data())
def test_mutated_requests(form: str, data: st.DataObject, tmp_path: Path) -> None:
    """Every request of the document is in the trace, with sound times, or the file is refused."""
    requests = data.draw(mutated(cases.REQUESTS))
    path = cases.write_requests(tmp_path, form, requests)
    trace = accepted(lambda p: read_requests(p, cases.workload(tmp_path)), path)
    if trace is not None:
        assert [str(r["request_id"]) for r in requests] == list(trace.request_ids)
        assert ((trace.service_s >= 0) & (trace.service_s <= 1e9)).all()
        assert (np.diff(trace.arrival_s) >= 0).all()


@pytest.mark.parametrize("form", cases.FORMATS)
@BOUNDED
@given(data=st.data())
def test_damaged_requests(form: str, data: st.DataObject, tmp_path: Path) -> None:
    """Bytes broken anywhere: the file is refused in words, or gives a sound trace."""
    path = cases.write_requests(tmp_path, form, cases.REQUESTS)
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    trace = accepted(lambda p: read_requests(p, cases.workload(tmp_path)), path)
    if trace is not None:
        assert 0 < trace.n_requests == len(set(trace.request_ids))
        assert ((trace.service_s >= 0) & (trace.service_s <= 1e9)).all()
        assert (np.diff(trace.arrival_s) >= 0).all()


@BOUNDED
@given(document=VALUES | st.dictionaries(st.sampled_from(["models", "workflows"]), VALUES))
def test_any_document_at_all(document: Any, tmp_path: Path) -> None:
    """What is no config in any way is refused in words too."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(document))
    assert accepted(read_config, path) is None
