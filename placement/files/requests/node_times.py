"""The seconds of nodes that requests state, from a mapping a request or a column a node."""

from __future__ import annotations

from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from placement.files.network_entry import MAX_SECONDS
from placement.files.requests.batch import TIMES, Batch
from placement.files.requests.steps import Steps, times_of
from placement.problem.cluster import FloatArray, IntArray
from placement.problem.workload import Workflow
from placement.support.faults import FaultList, Spot, show, suggest


class NodeTimes:
    """Execution times and prefills of a batch; what is wrong is noted.

    Parameters
    ----------
    batch : Batch
    faults : FaultList

    Attributes
    ----------
    steps : dict
        What ran, of the requests that say so, by row.
    """

    def __init__(self, batch: Batch, faults: FaultList) -> None:
        self.batch, self.faults = batch, faults
        self.steps: Steps = {}

    def read(self, field: str, workflow: Workflow, rows: IntArray) -> FloatArray:
        """Seconds of V nodes in some rows, shape (rows, V), NaN where none are stated.

        Parameters
        ----------
        field : str
            ``node_execution_times`` or that of the prefills.
        workflow : Workflow
            That of all these rows.
        rows : int64, shape (rows,)
        """
        every = self.batch.times if field == TIMES else self.batch.prefills
        read = self._from_columns if every is None else self._from_mappings
        return read(field, workflow, rows)

    def _from_mappings(self, field: str, workflow: Workflow, rows: IntArray) -> FloatArray:
        """Take the times of `rows`, shape (rows, V), NaN where a mapping lacks the node."""
        batch = self.batch
        every = batch.times if field == TIMES else batch.prefills
        assert every is not None
        times = [every[i] for i in rows]
        names = [n.id for n in workflow.nodes]
        if set(map(type, times)) == {dict} and sum(map(len, times)) == len(names) * len(times):
            pick = itemgetter(*names)
            try:
                found = list(map(pick, times))
            except KeyError:
                found = None
            if found is not None:
                flat = list(chain.from_iterable(found)) if len(names) > 1 else found
                if set(map(type, flat)) <= {float, int}:
                    values = np.array(flat, dtype=np.float64).reshape(len(times), -1)
                    if _all_valid(values):
                        return values
        return self._from_each_mapping(field, times, names, rows)

    def _from_each_mapping(
        self, field: str, times: list[Any], names: list[str], rows: IntArray
    ) -> FloatArray:
        values = np.full((len(rows), len(names)), np.nan)
        column = {n: v for v, n in enumerate(names)}
        for r, (i, given) in enumerate(zip(rows.tolist(), times, strict=True)):
            if given is None:
                continue
            if not isinstance(given, dict):
                if self.faults.full:
                    self.faults.count()
                    continue
                place = self.batch.place(i, field)
                note_value(self.faults, place, given, "a mapping", "write node: seconds")
                continue
            for name, seconds in given.items():
                v = column.get(name)
                if v is None:
                    self._unknown_node(i, field, name, names)
                elif (
                    field == TIMES
                    and (seconds is None or isinstance(seconds, list))
                    and (ran := times_of(seconds, MAX_SECONDS)) is not None
                ):
                    self.steps.setdefault(i, {})[v] = ran
                    values[r, v] = min(ran, default=MAX_SECONDS)
                elif seconds is None:
                    continue
                elif type(seconds) not in (float, int) or not 0 <= seconds <= MAX_SECONDS:
                    self._bad_time(i, field, name, seconds)
                    values[r, v] = 0.0
                else:
                    values[r, v] = seconds
            steps = self.steps.get(i, {}) if field == TIMES else {}
            if len(steps) == len(names) and not any(steps.values()):
                if self.faults.full:
                    self.faults.count()
                    continue
                wrong, mend = "says of every node that it did not run", "give one of them a time"
                self.faults.add(self.batch.place(i, field), wrong, mend)
        return values

    def _from_columns(self, field: str, workflow: Workflow, rows: IntArray) -> FloatArray:
        columns = self.batch.columns if field == TIMES else self.batch.prefill_columns
        names = [n.id for n in workflow.nodes]
        values = np.full((len(rows), len(names)), np.nan)
        for v, name in enumerate(names):
            if name in columns:
                values[:, v] = columns[name][rows]
        for v, name in enumerate(names):
            with np.errstate(invalid="ignore"):
                bad = (values[:, v] < 0) | (values[:, v] > MAX_SECONDS)
            for n, r in enumerate(np.flatnonzero(bad)):
                if self.faults.full:
                    self.faults.count(int(bad.sum()) - n)
                    break
                self._bad_time(int(rows[r]), field, name, float(values[r, v]))
        for name in columns.keys() - set(names):
            given = rows[~np.isnan(columns[name][rows])]
            for n, i in enumerate(given):
                if self.faults.full:
                    self.faults.count(len(given) - n)
                    break
                self._unknown_node(int(i), field, name, names)
        return values

    def _unknown_node(self, i: int, field: str, name: Any, names: list[str]) -> None:
        if self.faults.full:
            self.faults.count()
            return
        self.faults.add(
            self.batch.place(i, field),
            f"{name!r} is no node of workflow {self.batch.workflow_ids[i]!r}",
            suggest(str(name), names, "node"),
        )

    def _bad_time(self, i: int, field: str, name: str, seconds: Any) -> None:
        if self.faults.full:
            self.faults.count()
            return
        self.faults.add(
            self.batch.place(i, f"{field}.{name}"),
            f"is {show(seconds)}",
            f"write seconds as a number from 0 to {MAX_SECONDS:g}",
        )


def _all_valid(values: FloatArray) -> bool:
    return bool(((values >= 0) & (values <= MAX_SECONDS)).all())  # NaN compares false


def note_value(faults: FaultList, place: str | Spot, value: Any, expected: str, mend: str) -> None:
    """Note a value that is missing, or is not what it should be.

    Parameters
    ----------
    faults : FaultList
    place : str or Spot
    value
        As read.
    expected, mend : str
        Parts of the sentence.
    """
    if value is None or value == "":
        faults.add(place, "is missing", mend)
    else:
        faults.add(place, f"is {show(value)}, not {expected}", mend)
