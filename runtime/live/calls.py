"""One call: what an execution sends to its replica, made of what came before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from placement.support.equality import ByContent
from runtime.arrays import Problem
from runtime.live.endpoints import Endpoint, Endpoints
from runtime.live.inputs import RequestInput
from runtime.live.templates import as_text, fill

PROMPTS = ("prompt", "text", "question", "query")
"""Fields of `input_data` that are the text to send, the first that is there."""


@dataclass(frozen=True, eq=False)
class Call(ByContent):
    """A call, ready to be sent.

    Parameters
    ----------
    endpoint : Endpoint
    body : any
        What is sent as JSON.
    output : str
        Place of the output in the answer.
    headers : mapping
        Names of request and node, and a mark by which a server can tell a repeated call.
    """

    endpoint: Endpoint
    body: Any
    output: str
    headers: Mapping[str, str]


class CallMaker:
    """Makes the calls of a run.

    Parameters
    ----------
    run_id : str
        Sets the marks of this run apart from those of any other.
    inputs : sequence of RequestInput, length R
    """

    def __init__(
        self,
        problem: Problem,
        endpoints: Endpoints,
        inputs: Sequence[RequestInput],
        run_id: str,
    ) -> None:
        self._problem = problem
        self._endpoints = endpoints
        self._inputs = inputs
        self._run_id = run_id
        self._parents = [
            [sorted(e.source for e in flow.edges if e.target == v) for v in range(len(flow.nodes))]
            for flow in problem.workload.workflows
        ]

    def make(self, execution: int, request: int, replica: int, outputs: Mapping[int, Any]) -> Call:
        """Fill the gaps of an execution's call.

        Parameters
        ----------
        execution, request, replica : int
            The call: its number, its request, and who serves it.
        outputs : mapping
            Outputs of the request's executions so far, by their numbers.

        Raises
        ------
        TemplateError
            Where a gap names what the request or a parent does not have.
        """
        problem = self._problem
        w = int(problem.workflow[request])
        first = int(problem.offset[request])
        v = execution - first
        flow = problem.workload.workflows[w]
        endpoint = self._endpoints.of_replica[replica]
        own_body, own_output = self._endpoints.of_node.get((w, v), (None, None))
        given = self._inputs[request]
        parents = {flow.nodes[u].id: outputs[first + u] for u in self._parents[w][v]}
        request_id, node_id = problem.trace.request_ids[request], flow.nodes[v].id
        values = {
            "input": given.input,
            "config": (given.configs or {}).get(node_id),
            "parents": parents,
            "text": _text(given.input, parents, f"request {request_id}, node {node_id}"),
            "model": endpoint.model_name,
            "request_id": request_id,
            "workflow": flow.id,
            "node": node_id,
        }
        return Call(
            endpoint=endpoint,
            body=fill({**endpoint.body, **(own_body or {})}, values),
            output=endpoint.output if own_output is None else own_output,
            headers={
                "X-Request-Id": quote(request_id, safe=" "),
                "X-Node-Id": quote(node_id, safe=" "),
                "Idempotency-Key": f"{self._run_id}-{execution}",
            },
        )


def _text(given: Any, parents: Mapping[str, Any], nothing: str) -> str:
    """Text to send: what the parents said, else the request's prompt, else a name for it."""
    if parents:
        return "\n\n".join(as_text(value) for value in parents.values())
    if isinstance(given, dict):
        given = next((given[name] for name in PROMPTS if name in given), given)
    return nothing if given is None else as_text(given)
