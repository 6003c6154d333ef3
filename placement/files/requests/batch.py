"""What every trace format hands over: some requests as columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from placement.problem.cluster import FloatArray
from placement.support.equality import ByContent
from placement.support.faults import Spot

if TYPE_CHECKING:
    import polars as pl

TIMES, PREFILLS = "node_execution_times", "node_prefill_times"
"""Fields of a request that hold seconds by node."""

Place = Callable[[int, str], str | Spot]
"""Names a field of the i-th request of a batch the way the format's faults do."""


@dataclass(frozen=True, eq=False)
class Batch(ByContent):
    """Consecutive requests of a trace, not checked yet.

    Parameters
    ----------
    request_ids, timestamps, workflow_ids : sequences of length B
        As the file has them; of a table the last two are columns of polars.
    times : sequence of length B, or None
        ``node_execution_times`` of each request as a mapping (None for none); where it is None,
        `columns` holds the times.
    columns : mapping of node id to float64 array of shape (B,)
        Times by node, NaN where the file leaves them out.
    distinct : bool
        Whether the ids are known to be texts that are there once in the whole file.
    given : int or None
        How many times `columns` holds, where they were decoded from text.
    mappings : callable or None
        Gives the `times` that were decoded, for sentences about them.
    prefills, prefill_columns
        ``node_prefill_times``, likewise; without both, the file states no prefill.
    sessions : sequence of length B, or None
        ``session_id`` of each request.
    place : callable
        ``place(i, field)`` names a field of request i of the batch.
    """

    request_ids: Sequence[Any]
    timestamps: Sequence[Any] | pl.Series
    workflow_ids: Sequence[Any] | pl.Series
    times: Sequence[Any] | None
    place: Place
    columns: Mapping[str, FloatArray] = field(default_factory=dict)
    distinct: bool = False
    given: int | None = None
    mappings: Callable[[], Sequence[Any]] | None = None
    prefills: Sequence[Any] | None = None
    prefill_columns: Mapping[str, FloatArray] = field(default_factory=dict)
    sessions: Sequence[Any] | None = None
