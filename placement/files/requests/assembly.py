"""Batches of requests checked and laid end to end as the arrays of a trace."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from placement.files.requests.batch import PREFILLS, TIMES, Batch
from placement.files.requests.node_times import NodeTimes, note_value
from placement.files.requests.steps import Variants, of_config, session_numbers
from placement.files.requests.timestamps import Clock
from placement.problem.cluster import FloatArray, IntArray
from placement.problem.trace import Trace
from placement.problem.workload import Workload
from placement.support.faults import FaultList, suggest


class TraceBuilder:
    """Takes batches in the order of the file and gives the trace.

    Whole columns are checked at once; only a column that fails is gone through row by row, for
    the sentence that names the row.
    """

    def __init__(self, path: str | os.PathLike[str], workload: Workload) -> None:
        self.path = path
        self.workload = workload
        self.faults = FaultList(path)
        self.clock = Clock(self.faults)
        self.index = of_config(workload.workflow_index, workload)
        self.variants = Variants(workload)
        self.nodes_of = np.array([len(w.nodes) for w in workload.workflows], dtype=np.int64)
        self.ids: list[str] = []
        self.seen: set[str] = set()
        self.micros: list[IntArray] = []
        self.workflows: list[IntArray] = []
        self.services: list[FloatArray] = []
        self.prefills: list[FloatArray | None] = []
        self.missing: set[tuple[int, int]] = set()
        self.session_names: dict[object, int] = {}
        self.sessions: list[IntArray] = []
        self.ordered = True  # as long as every stamp could be read

    def add(self, batch: Batch) -> None:
        """Check a batch and keep its arrays; what is wrong is noted in `faults`."""
        ids = self._read_ids(batch)
        before = len(self.faults)
        micros = self.clock.read(batch.timestamps, lambda i: batch.place(i, "timestamp"))
        self.ordered = self.ordered and len(self.faults) == before
        self._check_order(batch, ids, micros)
        workflow = self._read_workflows(batch)
        times = NodeTimes(batch, self.faults)
        service = self._read_services(times, workflow)
        prefill = self._read_prefills(times, workflow, service)
        if times.steps and not self.faults:
            workflow, service, prefill = self.variants.lay_out(
                workflow, service, prefill, times.steps
            )
        self.ids.extend(ids)
        self.micros.append(micros)
        self.workflows.append(workflow)
        self.services.append(service)
        self.prefills.append(prefill)
        self.sessions.append(self._read_sessions(batch))

    def build(self) -> Trace:
        """Give the trace.

        Raises
        ------
        InputError
            With the faults of all batches, or where there was no request.
        """
        self.faults.raise_if_any()
        if not self.ids:
            self.faults.add("", "holds no request", "add requests, or name another file")
            self.faults.raise_if_any()
        micros = np.concatenate(self.micros)
        workflow = np.concatenate(self.workflows)
        nodes_of = np.array([len(w.nodes) for w in self.variants.workflows], dtype=np.int64)
        offset = np.concatenate(([0], np.cumsum(nodes_of[workflow]))).astype(np.int64)
        return Trace(
            request_ids=self.ids,
            arrival_s=(micros - micros[0]) / 1e6,
            workflow=workflow,
            service_s=np.concatenate(self.services),
            offset=offset,
            start=self.clock.start(int(micros[0])),
            stated_prefill_s=self._stated_prefills(),
            variants=tuple(self.variants.added),
            sessions=np.concatenate(self.sessions) if self.session_names else None,
        )

    def _read_sessions(self, batch: Batch) -> IntArray:
        names = batch.sessions
        if names is None:
            return np.full(len(batch.request_ids), -1, dtype=np.int64)
        for i, name in enumerate(names):
            if name is None or type(name) in (str, int):
                continue
            if self.faults.full:
                self.faults.count()
                continue
            place = batch.place(i, "session_id")
            note_value(
                self.faults, place, name, "text or a number", "name the session, or leave it out"
            )
        return session_numbers(
            [n if type(n) in (str, int) else None for n in names], self.session_names
        )

    def _stated_prefills(self) -> FloatArray | None:
        if all(p is None for p in self.prefills):
            return None
        return np.concatenate(
            [
                np.full(len(s), np.nan) if p is None else p
                for p, s in zip(self.prefills, self.services, strict=True)
            ]
        )

    def _read_ids(self, batch: Batch) -> Sequence[str]:
        ids = batch.request_ids
        if batch.distinct:
            return ids
        if set(map(type, ids)) != {str} or "" in ids:
            ids = [str(x) if type(x) is int else x for x in ids]
            for i, name in enumerate(ids):
                if isinstance(name, str) and name:
                    continue
                if self.faults.full:
                    self.faults.count()
                else:
                    note_value(self.faults, batch.place(i, "request_id"), name, "text", "name it")
            ids = [x if isinstance(x, str) else "" for x in ids]
        before = len(self.seen)
        self.seen.update(ids)
        if len(self.seen) < before + len(ids):
            self._note_repeats(batch, ids)
        return ids

    def _note_repeats(self, batch: Batch, ids: Sequence[str]) -> None:
        seen = set(self.ids)
        for i, name in enumerate(ids):
            if not name or name not in seen:
                seen.add(name)
            elif self.faults.full:
                self.faults.count()
            else:
                self.faults.add(
                    batch.place(i, "request_id"),
                    f"{name!r} is the id of an earlier request",
                    "give every request its own id",
                )

    def _check_order(self, batch: Batch, ids: Sequence[str], micros: IntArray) -> None:
        if not self.ordered:  # stamps that could not be read have no order
            return
        before = self.micros[-1][-1:] if self.micros else micros[:1]
        backwards = np.flatnonzero(np.diff(np.concatenate((before, micros))) < 0)
        if len(backwards):
            i = int(backwards[0])
            self.faults.add(
                batch.place(i, "timestamp"),
                f"request {ids[i]!r} arrives before the request above it"
                + (f" (as do {len(backwards) - 1} more)" if len(backwards) > 1 else ""),
                "sort the requests by timestamp",
            )

    def _read_workflows(self, batch: Batch) -> IntArray:
        names = batch.workflow_ids
        if not isinstance(names, Sequence):  # a column of a table
            kinds = names.unique().to_list()
            if all(kind in self.index for kind in kinds):
                codes = names.replace_strict(kinds, [self.index[kind] for kind in kinds])
                return np.asarray(codes.to_numpy(), dtype=np.int64)
        try:
            return np.array([self.index[n] for n in names], dtype=np.int64)
        except (KeyError, TypeError):
            pass
        found = np.zeros(len(names), dtype=np.int64)
        for i, name in enumerate(names):
            known = isinstance(name, str) and name in self.index
            found[i] = self.index[name] if known else -1
            if known:
                continue
            if self.faults.full:
                self.faults.count()
            elif not isinstance(name, str):
                note_value(
                    self.faults, batch.place(i, "workflow_id"), name, "text", "name a workflow"
                )
            else:
                self.faults.add(
                    batch.place(i, "workflow_id"),
                    f"{name!r} is no workflow of the config",
                    suggest(name, self.index, "workflow"),
                )
        return found

    def _read_services(self, times: NodeTimes, workflow: IntArray) -> FloatArray:
        service = np.zeros(int(self._lengths(workflow).sum()))
        batch = times.batch
        if batch.mappings is not None and self._has_strangers(batch, workflow):
            times.batch = replace(batch, times=batch.mappings(), columns={})
        for w, rows, places in self._by_workflow(workflow):
            stated = times.read(TIMES, self.workload.workflows[w], rows)
            self._fill_missing(batch, w, rows, stated)
            service[places] = stated
        return service

    def _has_strangers(self, batch: Batch, workflow: IntArray) -> bool:
        """Whether some time is of a node that the request's workflow does not have."""
        known = sum(
            int(np.count_nonzero(~np.isnan(batch.columns[node.id][rows])))
            for w, rows, _ in self._by_workflow(workflow)
            for node in self.workload.workflows[w].nodes
        )
        return known != batch.given

    def _read_prefills(
        self, times: NodeTimes, workflow: IntArray, service: FloatArray
    ) -> FloatArray | None:
        """Take the prefills that a batch states, NaN where it states none; None for none at all."""
        batch = times.batch
        if batch.prefills is None and not batch.prefill_columns:
            return None
        prefill = np.full(len(service), np.nan)
        for w, rows, places in self._by_workflow(workflow):
            definition = self.workload.workflows[w]
            stated = times.read(PREFILLS, definition, rows)
            prefill[places] = stated
            with np.errstate(invalid="ignore"):
                longer = stated > service[places]
            for r, v in np.argwhere(longer).tolist():
                if self.faults.full:
                    self.faults.count()
                    continue
                self.faults.add(
                    batch.place(int(rows[r]), f"{PREFILLS}.{definition.nodes[v].id}"),
                    f"is {stated[r, v]:g} s of a call that takes {service[places][r, v]:g} s",
                    "a prefill is part of the node's execution time; check both",
                )
        return prefill

    def _lengths(self, workflow: IntArray) -> IntArray:
        known = workflow >= 0
        return np.where(known, self.nodes_of[np.where(known, workflow, 0)], 0)

    def _by_workflow(self, workflow: IntArray) -> Iterator[tuple[int, IntArray, IntArray]]:
        """Each workflow met, its rows, and where their executions stand, shape (rows, V)."""
        lengths = self._lengths(workflow)
        starts = np.cumsum(lengths) - lengths
        for w, definition in enumerate(self.workload.workflows):
            rows = np.flatnonzero(workflow == w)
            if len(rows):
                yield w, rows, starts[rows][:, None] + np.arange(len(definition.nodes))

    def _fill_missing(self, batch: Batch, w: int, rows: IntArray, times: FloatArray) -> None:
        """Fill the times that the trace leaves out from the config, in place."""
        for v in np.flatnonzero(np.isnan(times).any(axis=0)).tolist():
            node = self.workload.workflows[w].nodes[v]
            model = self.workload.models[node.model]
            absent = np.isnan(times[:, v])
            if model.service_time_s is not None:
                times[absent, v] = model.service_time_s
            elif (w, v) not in self.missing:
                self.missing.add((w, v))
                i = int(rows[np.flatnonzero(absent)[0]])
                self.faults.add(
                    batch.place(i, f"{TIMES}.{node.id}"),
                    f"is missing, and model {model.id!r} states no service time",
                    "add the seconds here, or give the model tokens_per_second and token_mean, or "
                    "inference_time_mean",
                )
