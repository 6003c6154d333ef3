"""What a router loses that knows less: exact times, mean times, counts, or nothing.

    python -m benchmarks.knowledge [--requests N]

`earliest` and `locality` work with the service time of every call. A router in front of real
servers has the models' mean times at best. Prints Markdown: latencies of each router against
those of `earliest`, over the same traces.
"""

from __future__ import annotations

import click
import numpy as np

from benchmarks.engine_cases import Case, Features, make_case
from placement.problem.cluster import FloatArray
from runtime.metrics import Metrics, measure
from runtime.policies import RoutingPolicy, View
from runtime.simulate import Dispatch, simulate_placement

CASES = (
    ("alone on their GPUs", Features()),
    ("two a GPU", Features(shared=2)),
    ("two a GPU, 8 at once", Features(shared=2, concurrency=8)),
)
LOADS = (0.5, 0.8)


class FirstByMeans:
    """The replica expected to finish first by counts of calls and the models' mean times."""

    name = "first by means"

    def __init__(self, mean_s: FloatArray) -> None:
        self._mean_s = mean_s.tolist()

    def choose(self, view: View) -> int:
        """Return the least expected finish; ties: longest idle, then lowest."""
        problem = view.problem
        mean: float = self._mean_s[view.model]

        def finish_s(p: int) -> float:
            before = max(0, view.unfinished[p] + 1 - int(problem.replica_slots[p]))
            wait = before * float(problem.call_work[p]) / view.share[p]
            return view.data_arrival_s(view.server(p)) + mean * (wait + view.stretch[p])

        idle_since = [min(view.now_s, free) for free in view.free_s]
        return min(view.replicas(), key=lambda p: (finish_s(p), idle_since[p], p))


class InTurn:
    """Each replica of a model in turn, whatever it has to do."""

    name = "in turn"

    def __init__(self) -> None:
        self._calls: dict[int, int] = {}

    def choose(self, view: View) -> int:
        """Return the next."""
        turn = self._calls[view.model] = self._calls.get(view.model, -1) + 1
        return view.replicas()[turn % len(view.replicas())]


def mean_times(case: Case) -> FloatArray:
    """Mean service time of each model over the trace, shape (M,)."""
    flows = case.workload.workflows
    model = np.concatenate([[n.model for n in flows[w].nodes] for w in case.trace.workflow])
    calls = np.bincount(model, minlength=len(case.workload.models))
    total = np.bincount(model, case.trace.service_s, minlength=len(calls))
    return np.asarray(total / np.maximum(1, calls))


def compare(case: Case) -> dict[str, Metrics]:
    """Run a case under every router."""
    routers: list[str | RoutingPolicy] = ["earliest", "least-loaded"]
    routers += [FirstByMeans(mean_times(case)), InTurn()]
    found = {}
    for router in routers:
        run = simulate_placement(
            case.workload,
            case.trace,
            case.cluster,
            case.placement,
            dispatch=Dispatch(policy=router),
        )
        found[run.routing] = measure(run)
    return found


@click.command()
@click.option("--requests", default=3_000, show_default=True)
def main(requests: int) -> None:
    """Print the table."""
    knows = {
        "earliest": "every call's time",
        "first by means": "mean times, counts",
        "least-loaded": "counts",
        "in turn": "nothing",
    }
    click.echo("| replicas | load | " + " | ".join(f"{r} ({k})" for r, k in knows.items()) + " |")
    click.echo("|---|---|" + "---|" * len(knows))
    for name, features in CASES:
        for load in LOADS:
            found = compare(make_case(32, 8, requests, features, models=8, load=load, seed=1))
            best = found["earliest"].request_latency
            cells = [f"{best.mean:.2f} s, P99 {best.p99:.2f} s"]
            for router in list(knows)[1:]:
                its = found[router].request_latency
                cells.append(
                    f"{100 * (its.mean / best.mean - 1):+.0f} %, "
                    f"{100 * (its.p99 / best.p99 - 1):+.0f} %"
                )
            click.echo(f"| {name} | {load:g} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
