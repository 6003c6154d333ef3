"""Rates of workflows in place of a trace: what many people have."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import numpy as np
from pydantic import Field

from placement.files.base_entry import Entry, Identifier
from placement.files.network_entry import MAX_SECONDS, Seconds
from placement.files.schema_faults import check_shape
from placement.files.syntax.document import Document, PlacedFault, raise_faults
from placement.problem.cluster import FloatArray
from placement.problem.trace import Trace
from placement.problem.workload import Model, Workload
from placement.support.faults import suggest

DRAWN = 10_000
"""Requests that are drawn where the file does not say for how long."""

MOST_DRAWN = 10_000_000


class RatesFile(Entry):
    """Rates (YAML or JSON): how often each workflow is asked for, in place of a trace."""

    rates: dict[Identifier, Annotated[float, Field(ge=0, le=1e9)]] = Field(
        min_length=1, description="requests a second, by the key of the workflow"
    )
    seconds: Seconds | None = Field(
        default=None, description="length of the trace that is drawn; that of 10,000 requests"
    )
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="of the trace that is drawn")


def read_rates(document: Document, workload: Workload) -> Trace:
    """Take rates, and draw a trace that has them: Poisson arrivals, service times by the config.

    Parameters
    ----------
    document : Document
        Of a `RatesFile`.
    workload : Workload

    Returns
    -------
    Trace
        Its `rates` are those of the file, which demand is measured by.

    Raises
    ------
    InputError
        With every fault of the file: unknown workflows, no rate above 0, models without a service
        time.
    """
    file, faults = check_shape(RatesFile, document)
    raise_faults(document, faults)
    rates = np.zeros(len(workload.workflows))
    for name, rate in file.rates.items():
        if name not in workload.workflow_index:
            mend = suggest(name, workload.workflow_index, "workflow")
            wrong = "is no workflow of the config"
            faults.append(PlacedFault(("rates", name), wrong, mend))
            continue
        w = workload.workflow_index[name]
        rates[w] = rate
        faults += [
            PlacedFault(
                ("rates", name),
                f"calls model {model.id!r}, which states no service time",
                "give it tokens_per_second and token_mean, or inference_time_mean",
            )
            for model in dict.fromkeys(
                workload.models[n.model] for n in workload.workflows[w].nodes
            )
            if rate > 0 and model.service_time_s is None
        ]
    total = float(rates.sum())
    if not faults and total <= 0:
        faults.append(PlacedFault(("rates",), "are all 0", "give one above 0"))
    seconds = file.seconds
    if not faults:
        seconds = DRAWN / total if seconds is None else seconds
        if not 1 <= total * seconds <= MOST_DRAWN or seconds > MAX_SECONDS:
            wrong = f"makes a trace of {total * seconds:.3g} requests"
            mend = f"keep to 1 to {MOST_DRAWN:,}"
            faults.append(PlacedFault(("seconds",), wrong, mend))
    raise_faults(document, faults)
    return _drawn(workload, rates, float(seconds or 0.0), file.seed)


def _drawn(workload: Workload, rates: FloatArray, seconds: float, seed: int) -> Trace:
    rng = np.random.default_rng(seed)
    n = max(2, int(rng.poisson(rates.sum() * seconds)))
    # The arrivals of a Poisson process are uniform, given their number.
    arrival = np.sort(rng.uniform(0.0, seconds, n))
    workflow = rng.choice(len(rates), n, p=rates / rates.sum()).astype(np.int64)
    sizes = np.array([len(w.nodes) for w in workload.workflows], dtype=np.int64)
    offset = np.concatenate(([0], np.cumsum(sizes[workflow]))).astype(np.int64)
    service = np.empty(int(offset[-1]))
    for w, flow in enumerate(workload.workflows):
        rows = offset[:-1][workflow == w]
        for v, node in enumerate(flow.nodes):
            if len(rows):
                service[rows + v] = _times(workload.models[node.model], len(rows), rng)
    return Trace(
        request_ids=[f"r{i}" for i in range(n)],
        arrival_s=arrival - arrival[0],
        workflow=workflow,
        service_s=service,
        offset=offset,
        start=datetime(2026, 1, 1, tzinfo=UTC),
        rates=rates,
    )


def _times(model: Model, count: int, rng: np.random.Generator) -> FloatArray:
    """Service times by the config: lognormal where it states how they vary, else all alike."""
    mean = model.service_time_s or 0.0
    std = model.inference_time_std_s or 0.0
    if model.tokens_per_second is not None and model.token_mean is not None:
        std = (model.token_std or 0.0) / model.tokens_per_second
    if mean <= 0 or std <= 0:
        return np.full(count, mean)
    spread = np.log1p((std / mean) ** 2)
    return np.minimum(rng.lognormal(np.log(mean) - spread / 2, np.sqrt(spread), count), MAX_SECONDS)
