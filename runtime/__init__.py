"""A trace run over a plan, event by event, and what the run was worth."""

from typing import TYPE_CHECKING

from placement.support.lazy import offer

if TYPE_CHECKING:
    from runtime.log import write_log as write_log
    from runtime.metrics import Metrics as Metrics
    from runtime.outages import Outage as Outage
    from runtime.outages import read_outage as read_outage
    from runtime.policies import RoutingPolicy as RoutingPolicy
    from runtime.run import Run as Run
    from runtime.simulate import simulate as simulate
    from runtime.switching import simulate_switching as simulate_switching
    from runtime.timeline import write_timeline as write_timeline

__all__ = offer(
    __name__,
    {
        "Metrics": "runtime.metrics",
        "Outage": "runtime.outages",
        "RoutingPolicy": "runtime.policies",
        "Run": "runtime.run",
        "read_outage": "runtime.outages",
        "simulate": "runtime.simulate",
        "simulate_switching": "runtime.switching",
        "write_log": "runtime.log",
        "write_timeline": "runtime.timeline",
    },
)
