"""The lines of a run, read back and held against its arrays."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from runtime.event_log import write_event_log
from runtime.metrics import measure
from tests.runtime.cases import run_case


@pytest.mark.parametrize("seed", range(12))
def test_every_event_is_there_once_and_in_time(seed: int, tmp_path: Path) -> None:
    """Assignments, arrivals, starts, ends, crossings and requests done, counted; times ascend."""

    run = run_case(seed, "locality", "reference")
    assert write_event_log(tmp_path / "events.log", run) is None
    lines = (tmp_path / "events.log").read_text().splitlines()
    head, body = lines[0], [line.split(maxsplit=1) for line in lines[1:]]
    assert head.startswith("# static, routing")
    words = r"to server|arrives|starts on|ends,|sends to|is done"
    counted = Counter(re.search(words, text).group() for _, text in body)  # type: ignore[union-attr]
    m = measure(run)
    assert counted["arrives"] == m.total_requests
    assert counted["starts on"] == counted["ends,"] == m.total_nodes_executed
    assert counted["is done"] == m.completed_requests
    assert sum("assigned" in line for line in lines) == run.problem.placement.n_replicas
    of_completed = m.cross_server_communications
    assert counted["sends to"] >= of_completed
    if m.completed_requests == m.total_requests:
        assert counted["sends to"] == of_completed
    times = [float(t) for t, _ in body if t != "assigned"]
    assert times == sorted(times)
    ended = sorted(float(t) for t, text in body if "ends," in text)
    np.testing.assert_allclose(ended, np.sort(run.end_s[run.ran]), atol=1e-6)


def test_a_long_run_is_sampled_by_whole_requests(tmp_path: Path) -> None:
    """No more lines than allowed; the file and the caller are told; what is shown is whole."""
    run = run_case(3, "locality", "reference")
    whole, part = tmp_path / "whole.log", tmp_path / "part.log"
    write_event_log(whole, run)
    events = [line for line in whole.read_text().splitlines() if line.lstrip()[0].isdigit()]
    most = len(events) // 3
    notice = write_event_log(part, run, most_lines=most)
    assert notice is not None
    assert notice in part.read_text()
    shown = [line for line in part.read_text().splitlines() if line.lstrip()[0].isdigit()]
    assert 0 < len(shown) <= most
    arrived = {line.split()[1] for line in shown if " arrives" in line}
    mine = [line for line in events if line.split()[1].split("/")[0] in arrived]
    assert shown == mine
