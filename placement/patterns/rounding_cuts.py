"""Rounding cuts on what is kept: the last replica that keeps a workflow or a link is a whole one.

A part is a whole workflow or one of its links; it is kept, at most at its rate lambda, on the
servers that hold all its models. On these servers let Y be the number of replicas of one of the
models, and t the work of one request of the part on it: every plan has t kept <= cap Y, and Y is
whole. The mixed-integer rounding of this row and of kept <= lambda (Nemhauser and Wolsey, A
recursive procedure to generate all cuts for 0-1 mixed integer programs, Math. Prog. 46, 1990) is

    kept <= lambda - r (K - Y),    K = ceil(t lambda / cap),    r = lambda - (K - 1) cap / t.

The relaxation may serve 2.1 servers' worth of a workflow with 2.1 servers; with this row it needs
a third for the rest, or gives the rest up.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pulp

from placement.params.search_params import DEFAULTS, SearchParams
from placement.patterns.master_rows import Row
from placement.patterns.pattern import Pattern
from placement.patterns.pricing.features import Features
from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.programs.flows import WHOLE_WORKFLOW, Part, keepable
from placement.programs.least_replicas import WORK_MARGIN
from placement.solver.budget import tick

LEAST_REFERENCE = 1e-6
"""Least reference over the part's rate: below it, rounding is lost in that of floats."""


@dataclass(frozen=True)
class _Cut(Row):
    """kept - sum over servers of a feature that needs all models of the part <= most.

    Parameters
    ----------
    models : tuple of int
        That a server must hold to keep anything of the part.
    weight : tuple of float
        By server type; not negative.
    most : float
    part : tuple of int
    rate : float
        Of the part: no plan keeps more.
    """

    models: tuple[int, ...]
    weight: tuple[float, ...]
    most: float
    part: Part
    rate: float

    @property
    def kept(self) -> Part:
        """The part whose kept rate is in the row."""
        return self.part

    @property
    def at_least(self) -> bool:
        """No: it is an upper limit."""
        return False

    @property
    def limit(self) -> float:
        """The upper limit."""
        return self.most

    @property
    def unit(self) -> float:
        """What a stored multiplier is multiplied with."""
        return self.rate

    @property
    def limits_replicas(self) -> bool:
        """No: replicas only ever allow more to be kept."""
        return False

    def weight_on(self, kind: int) -> float:
        """What one of the feature contributes on a server of a type."""
        return -self.weight[kind]

    def _named(self, instance: Instance) -> dict[str, object]:
        name: dict[str, object] = {"workflow": instance.workflows[self.part[0]].id}
        return name if self.part[1] == WHOLE_WORKFLOW else {**name, "link": self.part[1]}


@dataclass(frozen=True)
class KeptRow(_Cut):
    """kept - sum over servers of weight[type] * replicas, where the part is held, <= most.

    Parameters
    ----------
    models : tuple of int
        The model whose replicas count, then the others that a server must hold too.
    speed : float
        Of the servers whose replicas count 1 before the rounding.
    """

    speed: float

    @property
    def feature(self) -> Hashable:
        """What is counted: no threshold of a `CountRow` is negative."""
        return self.models, -1

    def coefficient(self, pattern: Pattern) -> float:
        """Contribution of one server with this content, but for what it keeps."""
        if not pattern.models.issuperset(self.models):
            return 0.0
        return self.weight_on(pattern.kind) * pattern.counts()[self.models[0]]

    def feature_of(self, counts: np.ndarray, kind: int) -> np.ndarray:
        """Replicas of the first model where the others are there, too."""
        return np.asarray(counts[:, 0] * (counts > 0).all(axis=1))

    def variable(self, features: Features) -> pulp.LpVariable:
        """A variable that is at most the feature: the row only ever rewards it."""
        return features.replicas_beside(self.models[0], self.models[1:])

    def named(self, instance: Instance) -> dict[str, object]:
        """Name the row by its part, the model and the speed."""
        model = instance.model_ids[self.models[0]]
        return {**self._named(instance), "model": model, "speed": self.speed}


@dataclass(frozen=True)
class ServerRow(_Cut):
    """kept - r * sum over servers of F(what a server can keep / reference) <= rate - r K.

    A server can keep the least that its replicas of any of the models can, so that

        sum over servers of (what it can keep) / reference + (rate - kept) / reference >= rate /
        reference,

    and the servers of one content are a whole number: F is the rounding of their coefficient.

    Parameters
    ----------
    reference : float
        Any rate.
    can_keep : tuple of tuple of float
        By server type: what one replica of each of the models can keep.
    """

    reference: float
    can_keep: tuple[tuple[float, ...], ...]

    @property
    def feature(self) -> Hashable:
        """What is counted."""
        return self.part, self.reference

    def steps(self, kind: int, most: int) -> FloatArray:
        """F of 0 to `most` replicas of each of the models alone, shape (models, most + 1)."""
        need = self.rate / self.reference
        fraction = need - math.floor(need)
        return np.array(
            [
                [
                    _rounded(min(n * one, self.rate) / self.reference, fraction) if n else 0.0
                    for n in range(most + 1)
                ]
                for one in self.can_keep[kind]
            ]
        )

    def coefficient(self, pattern: Pattern) -> float:
        """Contribution of one server with this content, but for what it keeps."""
        if not pattern.models.issuperset(self.models):
            return 0.0
        counts = [pattern.counts()[m] for m in self.models]
        steps = self.steps(pattern.kind, max(counts))
        return self.weight_on(pattern.kind) * min(float(steps[i, n]) for i, n in enumerate(counts))

    def feature_of(self, counts: np.ndarray, kind: int) -> np.ndarray:
        """F of the model that can keep least."""
        steps = self.steps(kind, int(counts.max()))
        able = [step[counts[:, i]] for i, step in enumerate(steps)]
        return np.asarray(np.minimum.reduce(able))

    def variable(self, features: Features) -> pulp.LpVariable:
        """A variable that is at most the feature: the row only ever rewards it."""
        most = max(features.most(m) for m in self.models)
        return features.least_step(self.models, self.steps(features.kind, most))

    def named(self, instance: Instance) -> dict[str, object]:
        """Name the row by its part and the reference as a share of the rate."""
        return {**self._named(instance), "share": self.reference / self.rate}


Cut = KeptRow | ServerRow


def server_row(
    instance: Instance, part: Part, reference: float, params: SearchParams = DEFAULTS
) -> ServerRow | None:
    """Make the row of a part with a reference; None where rounding gains nothing.

    Parameters
    ----------
    instance : Instance
        Normalized.
    part : Part
        Workflow and link, or the whole workflow.
    reference : float
        Rate kept by one server, in whose multiples the row counts.
    params : SearchParams
        Of its `cuts`.
    """
    flow = instance.workflows[part[0]]
    if not reference > LEAST_REFERENCE * flow.rate:
        return None
    need = flow.rate / reference
    fraction = need - math.floor(need)
    if fraction < params.cuts.least_fraction:
        return None
    last = fraction * reference
    models, can_keep = _can_keep(instance, part)
    return ServerRow(
        models=models,
        weight=(last,) * len(can_keep),
        most=flow.rate - last * math.ceil(need),
        part=part,
        rate=flow.rate,
        reference=reference,
        can_keep=can_keep,
    )


def server_rows(
    instance: Instance, patterns: Iterable[Pattern], params: SearchParams = DEFAULTS
) -> list[ServerRow]:
    """Rows whose reference is what a server of one of the patterns can keep, or a part of it.

    Parameters
    ----------
    instance : Instance
        Normalized.
    patterns : iterable of Pattern
        Contents of servers, such as those in use in a relaxation.
    params : SearchParams
        Of its `cuts`.
    """
    found: dict[tuple[Part, float], ServerRow] = {}
    patterns = list(patterns)
    for part in _parts(instance):
        models, can_keep = _can_keep(instance, part)
        for pattern in patterns:
            tick()
            if not pattern.models.issuperset(models):
                continue
            counts = pattern.counts()
            each = zip(models, can_keep[pattern.kind], strict=True)
            most = min(instance.workflows[part[0]].rate, *(counts[m] * one for m, one in each))
            for share in range(1, params.cuts.shares + 1):
                key = part, round(most / share, 9)
                if key in found:
                    continue
                row = server_row(instance, part, most / share, params)
                if row is not None:
                    found[key] = row
    return list(found.values())


def _can_keep(
    instance: Instance, part: Part
) -> tuple[tuple[int, ...], tuple[tuple[float, ...], ...]]:
    """Models of a part, and by server type what one replica of each can keep of it."""
    work = _work(instance, part)
    cap = instance.load_cap
    # What takes no time is kept without limit.
    each = [
        [cap * float(v[m]) / s if s > 0 else math.inf for m, s in work.items()]
        for v in instance.speeds
    ]
    return tuple(work), tuple(map(tuple, each))


def kept_rows(instance: Instance, params: SearchParams = DEFAULTS) -> Iterator[KeptRow]:
    """Every cut of an instance: each part, each model of it, rounded at each speed."""
    for part in _parts(instance):
        yield from _rows_of(instance, part, params)


def _parts(instance: Instance) -> list[Part]:
    """Workflows and links whose locality counts."""
    every = (part for w in instance.active_workflows for part in keepable(instance, w))
    return [part for part, _, worth in every if worth > 0]


def _work(instance: Instance, part: Part) -> dict[int, float]:
    """Busy seconds of one request of a part on each of its models, a little less than all."""
    flow = instance.workflows[part[0]]
    nodes = (
        range(len(flow.node_model)) if part[1] == WHOLE_WORKFLOW else flow.links[part[1]].tolist()
    )
    work: dict[int, float] = {}
    for v in dict.fromkeys(nodes):
        m = int(flow.node_model[v])
        work[m] = work.get(m, 0.0) + float(flow.work_s[v]) * (1 - WORK_MARGIN)
    return work


def _rows_of(instance: Instance, part: Part, params: SearchParams) -> Iterator[KeptRow]:
    flow, work = instance.workflows[part[0]], _work(instance, part)
    for m, seconds in work.items():
        if seconds <= 0:
            continue
        speeds = instance.speeds[:, m].tolist()
        for speed in sorted(set(speeds)):
            most = instance.load_cap * speed  # work that one replica of this speed does
            need = seconds * flow.rate / most
            fraction = need - math.floor(need)
            if fraction < params.cuts.least_fraction:
                continue
            last = fraction * most / seconds
            weight = tuple(last * _rounded(v / speed, fraction) for v in speeds)
            yield KeptRow(
                models=(m, *(other for other in work if other != m)),
                weight=weight,
                most=flow.rate - last * math.ceil(need),
                part=part,
                rate=flow.rate,
                speed=speed,
            )


def _rounded(ratio: float, fraction: float) -> float:
    """Coefficient of a whole number after rounding a row with a fraction on its right side."""
    whole = math.floor(ratio + 1e-12)
    return whole + min(max(0.0, ratio - whole) / fraction, 1.0)


def broken(
    rows: Sequence[Cut],
    servers: Mapping[Pattern, float],
    kept: Mapping[Part, float],
    *,
    least: float,
) -> list[Cut]:
    """Rows that a relaxation breaks by more than `least` of the part's rate, the worst first.

    Parameters
    ----------
    rows : sequence of Cut
        Valid for every plan.
    servers : mapping of Pattern to float
        Servers of each pattern in the relaxation.
    kept : mapping of Part to float
        Rate kept of each part there.
    least : float
        Violation that counts, as a part of the rate.
    """
    holders: dict[tuple[int, ...], list[tuple[Pattern, float]]] = {}
    found: list[tuple[float, Cut]] = []
    for row in rows:
        tick()
        if row.models not in holders:
            holding = [(p, n) for p, n in servers.items() if p.models.issuperset(row.models)]
            holders[row.models] = holding
        held = sum(n * row.coefficient(p) for p, n in holders[row.models])
        over = kept.get(row.part, 0.0) + held - row.most
        if over > least * row.rate:
            found.append((over, row))
    return [row for _, row in sorted(found, key=lambda pair: -pair[0])]
