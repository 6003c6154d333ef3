"""The simulator against what one real GPU did: errors within what is promised."""

import pytest

from benchmarks.hardware import (
    FITTED,
    OWN_FITTED,
    Measured,
    as_before,
    fitted,
    fitted_own,
    judge,
    own_page,
    page,
    read,
    read_own,
    with_all,
    with_laws,
)

RUNS = read()
GPU, OWN = read_own()


def name(run: Measured) -> str:
    return f"{run.label} {run.variant}"


@pytest.mark.parametrize("run", RUNS, ids=name)
def test_every_run_is_predicted(run: Measured) -> None:
    """Within 6 % a request and 10 % of the P99, by the laws of one run and of the idle GPU."""
    found = judge(with_laws(run, fitted(RUNS)))
    errors = {m.name: m.error for m in found.metrics}
    assert found.per_request < 0.06
    assert abs(errors["P99 latency"]) < 0.10
    assert abs(errors["makespan"]) < 0.05
    assert len(found.real_s) == run.trace.n_requests


def test_one_execution_at_a_time_is_another_machine() -> None:
    """Where the processes share the GPU, the old rule misses by tens of per cent at least."""
    shared = [r for r in RUNS if r.variant != "fifo" and r.label != "load40"]
    assert len(shared) == 5
    for run in shared:
        assert judge(as_before(run)).per_request > 0.2


def test_what_was_fitted_is_one_figure_of_one_run() -> None:
    """The efficiency, from the run with the least load; the page names it."""
    found = fitted(RUNS)
    (eta,) = (e for e in found.estimates if e.name == "sharing_efficiency")
    assert 0.88 < eta.after[0] < 0.97
    assert f"{' '.join(FITTED)}" in page(RUNS, found)


@pytest.mark.parametrize("run", [r for r in OWN if r.label != OWN_FITTED], ids=name)
def test_runs_of_the_own_servers_on_a_gpu_are_predicted(run: Measured) -> None:
    """By what one run showed: within 10 %, where one execution at a time misses by tens."""
    found = judge(with_all(run, fitted_own(OWN)))
    errors = {m.name: m.error for m in found.metrics}
    assert found.per_request < 0.10
    assert abs(errors["P99 latency"]) < 0.10
    assert abs(errors["makespan"]) < 0.06
    assert judge(as_before(run)).per_request > 0.4
    assert len(found.real_s) == run.trace.n_requests


def test_the_page_names_the_gpu_and_what_was_fitted() -> None:
    """Three runs, one of them marked."""
    said = own_page(GPU, OWN, fitted_own(OWN))
    assert GPU in said
    assert said.count("| own servers |") == 3
    assert said.count("(fitted on)") == 1
