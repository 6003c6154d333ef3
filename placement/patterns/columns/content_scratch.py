"""Room for the program of one content, made once and used for all of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from placement.patterns.columns.flat_problem import FlatFlows
from placement.problem.cluster import FloatArray, IntArray

MOST_FLOWS = 56
"""Workflows of one content that are looked at; of more, those that could be worth most."""


class Scratch(NamedTuple):
    """Room for one content's program; what is not named so begins anew with every call.

    Parameters
    ----------
    held : int64, shape (W,)
        Nodes of each workflow that the content holds; 0 between calls.
    slot : int64, shape (M,)
        Position of each model among those of the content; -1 between calls.
    touched, models, replicas : int64
        Workflows and models of the content, and replicas of each of these.
    potential : float64
        Most that each workflow could be worth.
    load : float64, shape (K, R)
        Load of each row for a unit of work of each model held.
    limit, need : float64, shape (R,)
        What each row bears, and what would be asked of it.
    basis, value, price, entering, column, dual : float64
        Of the simplex method: the inverse of the basis, and vectors of its rows.
    flow, nodes : int64
        Of the variable of each basic row; no flow is a slack.
    """

    held: IntArray
    slot: IntArray
    touched: IntArray
    potential: FloatArray
    models: IntArray
    replicas: IntArray
    load: FloatArray
    limit: FloatArray
    need: FloatArray
    basis: FloatArray
    value: FloatArray
    price: FloatArray
    entering: FloatArray
    column: FloatArray
    dual: FloatArray
    flow: IntArray
    nodes: IntArray


def scratch(flows: FlatFlows, gpus: int, width: int) -> Scratch:
    """Make room for the programs of contents.

    Parameters
    ----------
    flows : FlatFlows
        All that is to be served.
    gpus : int
        Of a server.
    width : int
        Most replicas of a content.
    """
    rows = max(gpus, width) + MOST_FLOWS
    models, most = len(flows.gpus_required), len(flows.rate)
    return Scratch(
        held=np.zeros(most, dtype=np.int64),
        slot=np.full(models, -1, dtype=np.int64),
        touched=np.zeros(most, dtype=np.int64),
        potential=np.zeros(most),
        models=np.zeros(width, dtype=np.int64),
        replicas=np.zeros(width, dtype=np.int64),
        load=np.zeros((width, max(gpus, width))),
        limit=np.zeros(max(gpus, width)),
        need=np.zeros(max(gpus, width)),
        basis=np.zeros((rows, rows)),
        value=np.zeros(rows),
        price=np.zeros(rows),
        entering=np.zeros(rows),
        column=np.zeros(rows),
        dual=np.zeros(rows),
        flow=np.zeros(rows, dtype=np.int64),
        nodes=np.zeros(rows, dtype=np.int64),
    )
