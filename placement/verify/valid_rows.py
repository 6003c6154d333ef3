"""Rows that every plan keeps, made from the instance alone; a file only names them.

A plan in which two replicas of a model stand on the same block does no more than one with a single
replica there, so plans are taken to have none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from placement.problem.placement_rules import NO_LIMIT
from placement.support.equality import ByContent
from placement.verify.least_cover import Kind, least_weight
from placement.verify.matrix_program import Clock
from placement.verify.scaled_problem import WHOLE_WORKFLOW, Part, Scaled, part_work

SLACK = 1e-5
"""Relative work that a row leaves out of account: above what `check` lets pass."""

ROUNDING = 1e-12
"""Relative distance from a whole number that is taken for the error of floats."""

LEAST_FRACTION = 1e-3
MOST_STEPS = 1e9
"""Fractions below, and numbers beyond, are no ground for rounding: such rows are not taken."""

LEAST_LIMIT = 1e-6
"""Times the largest weight: a row of less says nothing, and its multiplier could be any number."""

MOST_PRICE = 1e5
"""Of a unit of rate or of a replica, where what is kept is worth 1: beyond, a solver loses that."""


@dataclass(frozen=True)
class CountRow:
    """Sum over servers of weight[type] * feature, at least or at most `limit`.

    The feature is the number of replicas of the one model (threshold 0), or 1 where a server has
    at least so many of each of the models.
    """

    models: tuple[int, ...]
    threshold: int
    weight: tuple[float, ...]
    at_least: bool
    limit: float

    @property
    def unit(self) -> float:
        """What the file divides the multiplier by."""
        return self.limit or 1.0


@dataclass(frozen=True)
class KeptRow:
    """kept <= limit + sum of weight[type] * replicas of the first model, where all are held.

    Let Y be these replicas and t what a unit of the part takes of the model: t kept <= sum v Y
    (loads are scaled by the cap). With d = speed / t and the slack s = rate - kept >= 0,
    sum (v / speed) Y + s / d >= rate / d =: need. Mixed-integer rounding, f = need - floor(need),
    F(x) = floor(x) + min(1, (x - floor(x)) / f):  sum F(v / speed) Y + s / (d f) >= ceil(need).
    """

    part: Part
    rate: float
    models: tuple[int, ...]
    weight: tuple[float, ...]
    limit: float

    @property
    def unit(self) -> float:
        """What the file divides the multiplier by."""
        return self.rate


@dataclass(frozen=True)
class ServerRow:
    """kept <= limit + factor * sum over servers of F(what the server can keep / reference).

    A server keeps at most u, the least that its replicas of any of the models can, and no more
    than the rate: sum u + (rate - kept) >= rate. Divided by the reference, the servers of one
    content are a whole number, and the row is rounded as in `KeptRow`.
    """

    part: Part
    rate: float
    models: tuple[int, ...]
    reference: float
    fraction: float
    one: tuple[tuple[float, ...], ...]
    limit: float

    @property
    def unit(self) -> float:
        """What the file divides the multiplier by."""
        return self.rate

    @property
    def factor(self) -> float:
        """Rate that one step of F is worth."""
        return self.fraction * self.reference

    def step(self, t: int, i: int, n: int) -> float:
        """F where n replicas of the i-th model limit a server of a type.

        Parameters
        ----------
        t : int
            Server type.
        i : int
            Position of the model in the row.
        n : int
            Its replicas on the server.
        """
        able = min(n * self.one[t][i], self.rate) if n else 0.0
        return rounded(able / self.reference, self.fraction)


Row = CountRow | KeptRow | ServerRow


def rounded(x: float, fraction: float) -> float:
    """F(x) of mixed-integer rounding: continuous, so the error of floats does not matter."""
    whole = math.floor(x)
    return whole + min(1.0, (x - whole) / fraction)


def rounded_up(x: float) -> float:
    """Least whole number that is not below, but for the error of floats."""
    near = round(x)
    return float(near) if abs(x - near) <= ROUNDING * max(1.0, abs(x)) else float(math.ceil(x))


def replica_rows(scaled: Scaled) -> list[CountRow]:
    """Whole replicas of each model, in the order of the file.

    A replica does at most v of its model's work: sum v_t N_t >= work. Divided by a speed, with
    coefficients and then the right-hand side rounded up, whole N still keep it.
    """
    found: dict[CountRow, None] = {}
    for m in scaled.used:
        work = scaled.work[m] * (1 - SLACK)
        speeds = scaled.speeds[:, m].tolist()
        for speed in sorted(set(speeds)):
            weight = tuple(rounded_up(v / speed) for v in speeds)
            least = max(1.0, float(math.ceil(work / speed)))
            found[CountRow((m,), 0, weight, at_least=True, limit=least)] = None
    return list(found)


def rule_rows(scaled: Scaled) -> list[CountRow]:
    """Rules on the numbers of replicas, which every plan asked for keeps, in the file's order."""
    wanted, found = scaled.instance.requirements, []
    ones = (1.0,) * len(scaled.types)
    for m in scaled.used if wanted is not None else ():
        assert wanted is not None
        least, most, spread = (int(a[m]) for a in (wanted.least, wanted.most, wanted.spread))
        if least > 1:
            found.append(CountRow((m,), 0, ones, at_least=True, limit=float(least)))
        if most < NO_LIMIT:
            found.append(CountRow((m,), 0, ones, at_least=False, limit=float(most)))
        if spread > 1:
            found.append(CountRow((m,), 1, ones, at_least=True, limit=float(spread)))
    return found


def kept_rows(scaled: Scaled, data: object, clock: Clock | None = None) -> Iterator[Row | None]:
    """Rows that a file names, made anew; None for what names none.

    Parameters
    ----------
    scaled : Scaled
        The problem in the verifier's units.
    data : object
        What the file holds.
    clock : Clock, optional
        Seconds left.

    Raises
    ------
    Undecided
    """
    names = {scaled.instance.workflows[f.w].id: f for f in scaled.flows}
    models = {scaled.instance.model_ids[m]: m for m in scaled.used}
    for item in data if isinstance(data, list) else []:
        if not isinstance(item, dict):
            yield None
            continue
        if "weight" in item and "workflow" not in item:
            model = models.get(str(item.get("model")))
            weight = _weights(scaled, item["weight"])
            if model is None or weight is None:
                yield None
            else:
                yield _cover_row(scaled, model, weight, clock or Clock(None))
            continue
        flow = names.get(str(item.get("workflow")))
        link = item.get("link", WHOLE_WORKFLOW)
        if flow is None or not isinstance(link, int) or (flow.w, link) not in flow.parts:
            yield None
            continue
        part = flow.w, link
        share, speed = item.get("share"), item.get("speed")
        model = models.get(str(item.get("model")))
        if isinstance(share, int | float):
            yield _server_row(scaled, part, float(share) * flow.rate)
        elif model is not None and isinstance(speed, int | float):
            yield _kept_row(scaled, part, model, float(speed))
        else:
            yield None


def _weights(scaled: Scaled, data: object) -> tuple[float, ...] | None:
    """Weights over the largest of them: multipliers are by what a row asks for, in any unit."""
    if not isinstance(data, list) or len(data) != len(scaled.types):
        return None
    good = all(
        isinstance(w, int | float) and not isinstance(w, bool) and 0 <= w < 1e6 for w in data
    )
    largest = max(data) if good else 0
    return tuple(w / largest for w in data) if largest > 0 else None


def _cover_row(scaled: Scaled, m: int, weight: tuple[float, ...], clock: Clock) -> CountRow | None:
    """Weighted replicas of a model: at least what whole ones weigh that do its work."""
    kinds = [
        Kind(weight[t], speed, scaled.most(t, m) * kind.count)
        for t, kind in enumerate(scaled.types)
        if (speed := float(scaled.speeds[t, m])) > 0 and scaled.starts(t, m)
    ]
    if not kinds:
        return None
    # At least one replica is needed: it does half of what the slowest does.
    work = max(scaled.work[m] * (1 - SLACK), min(k.speed for k in kinds) / 2)
    limit = least_weight(kinds, work, clock)
    if not LEAST_LIMIT <= limit < math.inf:
        return None
    return CountRow((m,), 0, weight, at_least=True, limit=limit)


def _kept_row(scaled: Scaled, part: Part, m: int, speed: float) -> KeptRow | None:
    flow = scaled.by_w[part[0]]
    work = part_work(flow, part)
    seconds = work.get(m, 0.0) * (1 - SLACK)
    if not seconds > 0 or not 0 < speed < math.inf:
        return None
    need = seconds * flow.rate / speed
    fraction = need - math.floor(need) if need < MOST_STEPS else 0.0
    if fraction < LEAST_FRACTION:
        return None
    last = fraction * speed / seconds
    weight = tuple(last * rounded(v / speed, fraction) for v in scaled.speeds[:, m].tolist())
    models = (m, *(other for other in work if other != m))
    return KeptRow(part, flow.rate, models, weight, flow.rate - last * math.ceil(need))


def _server_row(scaled: Scaled, part: Part, reference: float) -> ServerRow | None:
    flow = scaled.by_w[part[0]]
    work = {m: t * (1 - SLACK) for m, t in part_work(flow, part).items()}
    if not 0 < reference < math.inf or flow.rate / reference >= MOST_STEPS:
        return None
    need = flow.rate / reference
    fraction = need - math.floor(need)
    if fraction < LEAST_FRACTION:
        return None
    one = tuple(
        tuple(float(v[m]) / s if s > 0 else math.inf for m, s in work.items())
        for v in scaled.speeds
    )
    limit = flow.rate - fraction * reference * math.ceil(need)
    return ServerRow(part, flow.rate, tuple(work), reference, fraction, one, limit)


def split_rows(scaled: Scaled, split: dict[str, object]) -> tuple[CountRow, CountRow] | None:
    """ "At most k" and "at least k + 1" of a feature: every plan keeps one of them."""
    ids = {scaled.instance.model_ids[m]: m for m in scaled.used}
    names, threshold, most = split.get("models"), split.get("threshold"), split.get("most")
    if (
        not isinstance(names, list)
        or not 1 <= len(names) <= 2
        or not all(isinstance(n, str) and n in ids for n in names)
        or type(threshold) is not int
        or threshold < 0
        or (threshold == 0 and len(names) != 1)
        or not isinstance(most, int | float)
        or not float(most).is_integer()
    ):
        return None
    models, weight = tuple(ids[n] for n in names), (1.0,) * len(scaled.types)
    return (
        CountRow(models, threshold, weight, at_least=False, limit=float(most)),
        CountRow(models, threshold, weight, at_least=True, limit=float(most) + 1),
    )


@dataclass(frozen=True, eq=False)
class Prices(ByContent):
    """A relaxation at some multipliers: what is left for each server to be paid for.

    Parameters
    ----------
    fixed : float
        Multipliers times right-hand sides.
    node : dict of (w, node) to float
        Cost of a unit of rate.
    kept : dict of Part to float
        Worth of a unit kept; 0 where it is worth less than nothing and need not be kept.
    rows : tuple of (Row, float)
        Rows with a multiplier that is not 0, in the sign in which it is valid.
    """

    fixed: float
    node: dict[tuple[int, int], float]
    kept: dict[Part, float]
    rows: tuple[tuple[Row, float], ...]


def prices_of(scaled: Scaled, rows: list[Row | None], data: dict[str, object]) -> Prices:
    """Read multipliers; missing, absurd or wrongly signed ones are 0, which is valid, too.

    Parameters
    ----------
    scaled : Scaled
        The problem, whose units the prices are in.
    rows : list of Row or None
        Rows that the file names, in its order; None for one that the verifier does not take.
    data : dict
        ``demand``: numbers of each workflow by its nodes; ``replicas``: a number a row. Any other
        content counts for nothing.
    """
    demand, stored = data.get("demand"), data.get("replicas")
    by_id = demand if isinstance(demand, dict) else {}
    fixed = 0.0
    node: dict[tuple[int, int], float] = {}
    kept = {part: value for f in scaled.flows for part, (value, _) in f.parts.items()}
    for f in scaled.flows:
        values = by_id.get(scaled.instance.workflows[f.w].id)
        for v in range(len(f.models)):
            share = _number(values, v) * scaled.servers
            if abs(share) > MOST_PRICE * f.rate:
                share = 0.0
            fixed += share
            node[f.w, v] = share / f.rate
    used: list[tuple[Row, float]] = []
    for i, row in enumerate(rows):
        if row is None:
            continue
        mu = _number(stored, i) * scaled.servers / row.unit
        lower = isinstance(row, CountRow) and row.at_least
        mu = min(mu, 0.0) if lower else max(mu, 0.0)
        if not 0 < abs(mu) * _heaviest(row) <= MOST_PRICE:
            continue
        used.append((row, mu))
        fixed += mu * row.limit
        if not isinstance(row, CountRow):
            kept[row.part] -= mu
    return Prices(fixed, node, {part: max(0.0, worth) for part, worth in kept.items()}, tuple(used))


def _heaviest(row: Row) -> float:
    """Most that a unit of a row's multiplier adds to a price of anything, at least 1."""
    return max(1.0, row.factor) if isinstance(row, ServerRow) else max(1.0, *row.weight)


def _number(values: object, index: int) -> float:
    value = values[index] if isinstance(values, list) and index < len(values) else 0.0
    good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6
    return float(value) if good else 0.0
