"""Room for the program of one content, made once and used for all of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from placement.patterns.columns.flat_problem import FlatFlows
from placement.problem.cluster import FloatArray, IntArray


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
    key : int64
        Nodes of each workflow of the content that are served by what no other set of them is.
    load : float64, shape (K, R)
        Load of each row for a unit of work of each model held.
    cost : float64, shape (K,)
        What a unit of work of each model held costs.
    limit, need : float64, shape (R,)
        What each row bears, and what would be asked of it.
    basis, square : float64, shape (R, R)
        Of the simplex method: the inverse of the basis, and room to invert one.
    value, entering, column, dual, low, high : float64, shape (R,)
        Vectors of its rows, the last two the range of the duals.
    flow, nodes : int64, shape (R,)
        Workflow of the content and its nodes that each basic variable is; -1 and a row: a slack.
    second : float64, shape (1,)
        Takes what a GPU-second more is worth, on average over the rows.
    """

    held: IntArray
    slot: IntArray
    touched: IntArray
    models: IntArray
    replicas: IntArray
    key: IntArray
    load: FloatArray
    cost: FloatArray
    limit: FloatArray
    need: FloatArray
    basis: FloatArray
    square: FloatArray
    value: FloatArray
    entering: FloatArray
    column: FloatArray
    dual: FloatArray
    low: FloatArray
    high: FloatArray
    flow: IntArray
    nodes: IntArray
    second: FloatArray


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
    rows = max(gpus, width)
    models, most = len(flows.gpus_required), len(flows.rate)
    return Scratch(
        held=np.zeros(most, dtype=np.int64),
        slot=np.full(models, -1, dtype=np.int64),
        touched=np.zeros(most, dtype=np.int64),
        models=np.zeros(width, dtype=np.int64),
        replicas=np.zeros(width, dtype=np.int64),
        key=np.zeros(most, dtype=np.int64),
        load=np.zeros((width, rows)),
        cost=np.zeros(width),
        limit=np.zeros(rows),
        need=np.zeros(rows),
        basis=np.zeros((rows, rows)),
        square=np.zeros((rows, rows)),
        value=np.zeros(rows),
        entering=np.zeros(rows),
        column=np.zeros(rows),
        dual=np.zeros(rows),
        low=np.zeros(rows),
        high=np.zeros(rows),
        flow=np.zeros(rows, dtype=np.int64),
        nodes=np.zeros(rows, dtype=np.int64),
        second=np.zeros(1),
    )
