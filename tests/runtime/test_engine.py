"""The compiled engine against the readable one: the same run to the last bit."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.engine_cases import Features, make_case
from placement.problem.names import SharingMode
from runtime.engines.compiled import run_compiled
from runtime.policies import BUILT_IN
from runtime.result import RunResult
from runtime.simulate import Dispatch, simulate_placement
from tests.runtime.cases import run_case

BLOCKS = 10
PER_BLOCK = 80


def assert_same(one: RunResult, other: RunResult) -> None:
    np.testing.assert_array_equal(one.replica, other.replica)
    for name in ("ready_s", "start_s", "end_s"):
        # As integers, so that not even the sign of a zero may differ; NaN where nothing ran.
        ran = one.ran
        a, b = getattr(one, name), getattr(other, name)
        np.testing.assert_array_equal(a[ran].view(np.int64), b[ran].view(np.int64))
        assert np.isnan(a[~ran]).all()
        assert np.isnan(b[~ran]).all()


@pytest.mark.parametrize("policy", list(BUILT_IN))
@pytest.mark.parametrize("sharing", ["time-sliced", "serial"])
@pytest.mark.parametrize("block", range(BLOCKS))
def test_the_engines_agree_to_the_last_bit(policy: str, block: int, sharing: SharingMode) -> None:
    """Both engines give every execution the same replica and times, over 800 random cases."""
    for seed in range(block * PER_BLOCK, (block + 1) * PER_BLOCK):
        one, other = (
            run_case(seed, policy, engine, sharing, steps=bool(seed % 2))
            for engine in ("reference", "compiled")
        )
        assert_same(one, other)


FEATURES = [
    Features(),
    Features(network=True),
    Features(shared=2),
    Features(concurrency=4, network=True),
    Features(concurrency=4, shared=5),
]


@pytest.mark.parametrize("policy", list(BUILT_IN))
@pytest.mark.parametrize("features", FEATURES, ids=str)
@pytest.mark.parametrize(("gpus", "per_server"), [(256, 8), (200, 64)])
def test_the_engines_agree_on_many_replicas(
    gpus: int, per_server: int, features: Features, policy: str
) -> None:
    """They agree where a model has many replicas, on many servers and on few, idle and loaded."""
    for seed, load in enumerate((0.5, 0.9, 1.5)):
        case = make_case(gpus, per_server, 150, features, load=load, seed=seed)
        one, other = (
            simulate_placement(
                case.workload,
                case.trace,
                case.cluster,
                case.placement,
                dispatch=Dispatch(mode="offline" if load > 1 else "online", policy=policy),
                engine=engine,
            )
            for engine in ("reference", "compiled")
        )
        assert_same(one, other)


def test_the_random_cases_cover_the_semantics() -> None:
    """Among the cases there are networks, shared GPUs, blocks, batches and failures; each often."""
    runs = [run_case(seed, "earliest", "reference") for seed in range(200)]
    problems = [r.problem for r in runs]
    waited = [bool((r.start_s[r.ran] > r.ready_s[r.ran]).any()) for r in runs]
    odd = [bool((p.parent_intra_s > p.parent_inter_s).any()) for p in problems]
    for name, holds in {
        "usual networks": [p.has_network and not o for p, o in zip(problems, odd, strict=True)],
        "networks faster across servers": odd,
        "shared": [p.shares_gpus for p in problems],
        "batches": [p.batches for p in problems],
        "prefill": [bool(len(p.prefill_s)) for p in problems],
        "fractions": [bool((p.replica_fraction < 1).any() and p.shares_gpus) for p in problems],
        "time slices": [p.sliced for p in problems],
        "none": [not p.sliced for p in problems],
        "blocks": [bool((p.replica_gpus > 1).any()) for p in problems],
        "failures": [not r.completed.all() for r in runs],
        "waiting": waited,
    }.items():
        assert sum(holds) > 20, name


def test_the_engine_loads_where_nothing_can_be_kept() -> None:
    """Without any folder for machine code (a read-only image) the compiled engine still loads."""
    nowhere = {**os.environ, "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"}
    nowhere.pop("NUMBA_CACHE_DIR", None)
    code = "import runtime.engines.compiled"
    subprocess.run([sys.executable, "-c", code], check=True, env=nowhere)


@pytest.mark.parametrize("policy", list(BUILT_IN))
def test_chunks_leave_no_trace(policy: str) -> None:
    """A run cut after every execution, and after every third, is the run that was not cut."""
    for seed in range(60):
        whole = run_case(seed, policy, "compiled")
        for chunk in (1, 3):
            seen: list[tuple[int, float | None]] = []

            def note(done: int, total: int, now_s: float | None = None, /, seen=seen) -> None:
                seen.append((done, now_s))

            cut = run_compiled(whole.problem, policy, note, chunk=chunk)
            np.testing.assert_array_equal(whole.replica, cut.replica)
            np.testing.assert_array_equal(whole.end_s, cut.end_s)
            # Counts and simulated time only grow.
            assert seen == sorted(seen)
