"""The cases of the suite under both ways of sharing GPUs."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.suite_cases import cluster_of, suite
from placement.problem.names import SHARING_MODES


def test_both_ways_of_sharing_are_the_same_cases_where_something_is_shared() -> None:
    """Each under a name of its own; exclusive GPUs share nothing, and stand once."""
    plain = list(suite(quick=False))
    both = list(suite(quick=False, sharings=SHARING_MODES))
    serial = [case for case in both if case.gpu_sharing == "serial"]
    assert [case for case in both if case not in serial] == plain
    assert [replace(c, gpu_sharing="time-sliced") for c in serial] == [
        c for c in plain if not c.exclusive
    ]
    assert len({case.name for case in both}) == len(both)
    assert {cluster_of(c).sharing.mode for c in serial} == {"serial"}
