"""The traffic that the robustness benchmark judges plans on."""

from __future__ import annotations

import numpy as np

from benchmarks.robustness import CASES, judged_traffic, page, prepare, shifted


def test_halves_hold_every_request_once_and_rates_scale() -> None:
    """Both halves together are the trace; a higher rate keeps requests and squeezes gaps."""
    setup = prepare(CASES[0])
    traffic = judged_traffic(setup)
    assert setup.seen.n_requests + setup.unseen.n_requests == 1_000
    fast = traffic["second half, rate x 1.5"]
    assert fast.span_s * 1.5 == setup.unseen.span_s
    np.testing.assert_array_equal(fast.service_s, setup.unseen.service_s)


def test_another_mix_moves_shares_half_way_to_the_neighbours() -> None:
    """Shares follow the law stated, within four standard errors; arrivals stay."""
    setup = prepare(CASES[0])
    trace, flows = setup.unseen, len(setup.workload.workflows)
    share = np.bincount(trace.workflow, minlength=flows) / trace.n_requests
    drawn = shifted(trace, flows, seed=5)
    found = np.bincount(drawn.workflow, minlength=flows) / trace.n_requests
    target = (share + np.roll(share, 1)) / 2
    assert (np.abs(found - target) < 4 * np.sqrt(target / trace.n_requests)).all()
    np.testing.assert_array_equal(drawn.arrival_s, trace.arrival_s)


def test_the_page_has_a_table_for_each_traffic_and_a_line_for_each_plan() -> None:
    """Every row of the results is on the page, also where no routing keeps the cap."""
    figures = dict.fromkeys(
        ("server_efficiency", "csc_per_request", "p99_s", "mean_s", "utilization_variance",
         "least_bottleneck"), 1.0)  # fmt: skip
    rows = [
        {"case": "c", "method": m, "judged_on": t, "locality_routed_anew": None, **figures}
        for m in ("greedy", "ilp")
        for t in ("first", "second")
    ]
    text = page(rows)
    assert text.count("## c:") == 2
    assert text.count("| greedy |") == text.count("| ilp |") == 2
