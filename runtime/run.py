"""A finished run that can say what it was worth: what the front door returns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from placement.support.described import Described, Facts
from runtime.log import estimate_service, execution_frame
from runtime.metrics import Metrics, measure, request_server
from runtime.result import RunResult

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Run(Described, RunResult):
    """A finished run over R requests of N node executions, its metrics and its tables.

    Fields as in `RunResult`: when and where every execution ran.
    """

    @cached_property
    def metrics(self) -> Metrics:
        """Everything reported about the run."""
        return measure(self)

    @property
    def headline(self) -> str:
        """What ran, and how much of it stayed on one server."""
        m = self.metrics
        return (
            f"{m.completed_requests:,} of {m.total_requests:,} requests completed, server "
            f"efficiency {m.server_efficiency:.1f}%, P99 latency {m.request_latency.p99:,.1f} s"
        )

    def facts(self) -> Facts:
        """What `simulate` prints of the run as a whole, and the latencies of requests."""
        latency = self.metrics.request_latency
        return [
            *run_facts(self, self.metrics),
            ("mean latency", f"{latency.mean:,.3f} s"),
            ("median latency", f"{latency.median:,.3f} s"),
            ("P99 latency", f"{latency.p99:,.3f} s"),
        ]

    def execution_frame(self) -> pl.DataFrame:
        """Give one row for each execution that ran, in order of start.

        Returns
        -------
        polars.DataFrame
            Columns as in the execution log: request, workflow, node, model, GPUs and server by
            name or number; start, end, service, waiting and switching times in seconds.
        """
        ran = np.flatnonzero(self.ran)
        ran = ran[np.argsort(self.start_s[ran], kind="stable")]
        return execution_frame(self, ran, estimate_service(self))

    def request_frame(self) -> pl.DataFrame:
        """Give one row for each request, in order of arrival.

        Returns
        -------
        polars.DataFrame
            ``request_id``, ``workflow_id``; ``arrival_s``, ``end_s`` and ``latency_s`` in seconds
            since the first arrival; ``server``: where it ran whole, null where it crossed
            servers; ``completed``. What did not complete has no end.
        """
        import polars as pl  # a fifth of a second that only tables need

        problem = self.problem
        names = pl.Series([w.asked_as for w in problem.workload.workflows], dtype=pl.String)
        end = np.where(self.completed, np.maximum.reduceat(self.end_s, problem.offset[:-1]), np.nan)
        server = request_server(self)
        frame = pl.DataFrame(
            {
                "request_id": pl.Series(list(problem.trace.request_ids), dtype=pl.String),
                "workflow_id": names.gather(problem.workflow),
                "arrival_s": problem.arrival_s,
                "end_s": end,
                "latency_s": end - problem.arrival_s,
                "server": server,
                "completed": self.completed,
            }
        )
        return frame.with_columns(
            pl.col("end_s", "latency_s").fill_nan(None),
            pl.when(pl.col("server") >= 0).then(pl.col("server")).alias("server"),
        )


def run_facts(run: RunResult, m: Metrics) -> Facts:
    """What there is to say of a run as a whole.

    Parameters
    ----------
    run : RunResult
    m : Metrics
        Of this run.
    """
    facts = [
        ("requests", f"{m.completed_requests:,} completed, {m.failed_requests:,} failed"),
        ("node executions", f"{m.total_nodes_executed:,}"),
        ("throughput", f"{m.throughput:,.3f} requests/s, {m.node_throughput:,.3f} nodes/s"),
        ("server efficiency", f"{m.server_efficiency:.2f}% of completed requests"),
        ("intra-server workflows", f"{m.intra_server_workflows:,}"),
        ("inter-server workflows", f"{m.inter_server_workflows:,}"),
        ("cross-server comm.", f"{m.cross_server_communications:,} edges"),
        ("average utilization", f"{m.average_utilization:.2f}%"),
        ("utilization variance", f"{m.utilization_variance:.2f} points squared"),
        (
            "model switches",
            f"{m.switches:,}, {m.switch_time_s:,.1f} GPU seconds, "
            f"overhead {m.switch_overhead:.2f}%",
        ),
    ]
    if run.interruptions is not None:
        cut = run.interruptions.as_dict(run.ran)
        facts[1:1] = [
            *(
                [("lost", "; ".join(o.text for o in lost))]
                if (lost := run.interruptions.outages)
                else []
            ),
            (
                "interrupted calls",
                f"{cut['interrupted_calls']:,}, of which {cut['served_after_all']:,} were served "
                f"after all; {m.lost_service_s:,.1f} s of service lost",
            ),
        ]
    # Online the makespan is hardly more than the length of the trace.
    makespan = ("makespan", f"{m.makespan_s:,.3f} s")
    return [*facts, makespan] if run.problem.mode == "online" else [makespan, *facts]
