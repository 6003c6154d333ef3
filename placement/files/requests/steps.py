"""Steps that a request ran not once: branches not taken (null) and repeated ones (a list)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from placement.problem.cluster import FloatArray, IntArray
from placement.problem.variants import variant
from placement.problem.workload import Workflow, Workload

Steps = dict[int, dict[int, list[float]]]
"""By row of a batch and position of the node: the times that the node took, in order."""


class Variants:
    """Numbers of the workflows of a workload and of the variants that requests ask for."""

    def __init__(self, workload: Workload) -> None:
        self.workflows = list(workload.workflows)
        self.added: list[Workflow] = []
        self._index = dict(workload.workflow_index)
        self._known: dict[tuple[int, tuple[int, ...]], int] = {}

    def number(self, w: int, times: tuple[int, ...]) -> int:
        """Number of the variant of workflow w whose nodes ran so often."""
        if (w, times) not in self._known:
            found = variant(self.workflows[w], times)
            if found.id not in self._index:
                self._index[found.id] = len(self.workflows)
                self.workflows.append(found)
                self.added.append(found)
            self._known[w, times] = self._index[found.id]
        return self._known[w, times]

    def lay_out(
        self, workflow: IntArray, service: FloatArray, prefill: FloatArray | None, steps: Steps
    ) -> tuple[IntArray, FloatArray, FloatArray | None]:
        """Give the requests that ran a node not once as those of their variants.

        Parameters
        ----------
        workflow : int64, shape (B,)
        service : float64, shape (N,)
            One time a node, request by request.
        prefill : float64, shape (N,), or None
        steps : Steps
            Of these requests.

        Returns
        -------
        workflow, service, prefill
            With as many times as nodes ran. A prefill that is stated holds for each time.
        """
        workflow = workflow.copy()
        lengths = np.array([len(self.workflows[w].nodes) for w in workflow], dtype=np.int64)
        first = np.cumsum(lengths) - lengths
        pieces: list[FloatArray] = []
        prefills: list[FloatArray] = []
        done = 0
        for row in sorted(steps):
            w, begin = int(workflow[row]), int(first[row])
            nodes = range(int(lengths[row]))
            ran = [steps[row].get(v, [float(service[begin + v])]) for v in nodes]
            workflow[row] = self.number(w, tuple(map(len, ran)))
            order = _order(ran)
            pieces += [service[done:begin], np.array([ran[v][i] for v, i in order])]
            if prefill is not None:
                prefills += [prefill[done:begin], prefill[[begin + v for v, _ in order]]]
            done = begin + len(nodes)
        service = np.concatenate([*pieces, service[done:]])
        return (
            workflow,
            service,
            None if prefill is None else np.concatenate([*prefills, prefill[done:]]),
        )


def _order(ran: list[list[float]]) -> list[tuple[int, int]]:
    """Node and number of each time, in the order of the variant's nodes."""
    return [(v, i) for v, times in enumerate(ran) for i in range(len(times))]


def times_of(given: object, most: float) -> list[float] | None:
    """Times of a node that a request gives as null or a list; None where they are none."""
    if given is None:
        return []
    if isinstance(given, list) and all(type(t) in (float, int) and 0 <= t <= most for t in given):
        return [float(t) for t in given]
    return None


def session_numbers(names: list[object], known: dict[object, int]) -> IntArray:
    """Number of each session, -1 for none; `known` takes those that are new."""
    return np.array(
        [-1 if name is None else known.setdefault(name, len(known)) for name in names],
        dtype=np.int64,
    )


def of_config(index: Mapping[str, int], workload: Workload) -> dict[str, int]:
    """Workflows that requests may name: those of the config, not their variants."""
    return {name: w for name, w in index.items() if not workload.workflows[w].base}
