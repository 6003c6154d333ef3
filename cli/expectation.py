"""Why a simulation shows another server efficiency than its plan expects, in one line."""

from __future__ import annotations

ROUNDED_POINTS = 0.05
"""Points of server efficiency that the console report rounds away."""

REASONS = {
    "plan": "its shares are kept, request by request, and the rest is rounding",
    "locality": "this router sends a node to another server where its own keeps it waiting longer "
    "than crossing takes",
    "earliest": "this router looks for the replica that is free first, whatever its server",
    "least-loaded": "this router looks for the replica with the least to do, whatever its server",
    "sticky": "this router keeps the turns of a session together, and routes all else by locality",
}


def difference(expected: float, simulated: float, routing: str) -> str | None:
    """Say why expected and simulated server efficiency differ; None where they do not.

    Parameters
    ----------
    expected : float
        Server efficiency that the plan states, in [0, 1]: that of its routing shares at the
        mean rates of the trace, where nobody queues.
    simulated : float
        Server efficiency of the run, in %.
    routing : str
        Name of the policy that routed the run.
    """
    if abs(100 * expected - simulated) < ROUNDED_POINTS:
        return None
    reason = REASONS.get(routing, "this router decides by its own rules")
    remedy = "" if routing == "plan" else "; --routing plan keeps to the plan"
    return (
        f"server efficiency is {simulated:.1f}%, and the plan expects {100 * expected:.1f}% at "
        f"mean rates: {reason}{remedy}"
    )
