"""Make a placement keep the rules, with few changes and without a solver."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from placement.heuristics.free_space import Room
from placement.problem.company import Company
from placement.problem.instance import Instance
from placement.problem.placement_rules import no_requirements
from placement.problem.solution import Placement, Replica
from placement.problem.space import ServerSpace, keep_what_fits, pins
from placement.problem.violations import rule_violations
from placement.solver.budget import tick


def mend(instance: Instance, placement: Placement) -> Placement | None:
    """Take replicas off that may not stand, or are too many, then add where there are too few.

    What is missing goes to the emptiest block with room on a server without the model; where there
    is none, replicas that no rule asks for make room.

    Returns
    -------
    Placement or None
        What was given where it keeps the rules; None where this does not find one that does.
    """
    if not instance.ruled or not rule_violations(instance, placement):
        return placement
    mending = _Mending(instance, placement)
    for m in instance.used_models:
        mending.take_off(m)
    for m in sorted(instance.used_models, key=lambda m: -int(instance.gpus_required[m])):
        while mending.short(m):
            tick()
            if not (mending.add(m) or mending.make_room(m)):
                return None
    found = mending.placement()
    return None if rule_violations(instance, found) else found


class _Mending:
    """A placement while it is being mended."""

    def __init__(self, instance: Instance, placement: Placement) -> None:
        self.instance = instance
        self.wanted = instance.requirements or no_requirements(len(instance.model_ids))
        self.rows = placement.replicas()
        self.pinned: set[Replica] = set()
        if not instance.cluster.plain:
            self._clear()
        self._count()
        if instance.company:
            self._part()

    def _clear(self) -> None:
        """Keep on every server what may stand there beside what is pinned."""
        instance, cluster = self.instance, self.instance.cluster
        held: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for m, s, i in self.rows:
            held[s].append((m, i))
        self.rows = []
        for s in range(cluster.n_servers):
            kind = cluster.server_types[cluster.server_type[s]]
            self.rows += [(m, s, i) for m, i in keep_what_fits(instance, kind, held[s])]
            self.pinned |= {(m, s, i) for m, i in pins(instance, kind)}

    def _count(self) -> None:
        self.replicas = Counter(m for m, _, _ in self.rows)
        self.on = Counter((m, s) for m, s, _ in self.rows)
        self.servers = Counter(m for m, _ in self.on)

    def _part(self) -> None:
        """Keep models apart that have to be; who lacks company gets it, or goes."""
        instance, cluster, company = self.instance, self.instance.cluster, self.instance.company
        held: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for m, s, i in self.rows:
            held[s].append((m, i))
        self.rows = []
        for s, content in sorted(held.items()):
            kind = cluster.server_types[cluster.server_type[s]]
            fixed = pins(instance, kind)
            # Of two apart the one that is harder to place elsewhere stays.
            content.sort(key=lambda row: (self.replicas[row[0]], row))
            content = Company(company.apart).kept(content, fixed)
            there = set(content)
            carried = dict(company.bases)
            bare = [(m, i) for m, i in content if (carried.get(m, m), i) not in there]
            space = ServerSpace(instance, kind, [row for row in content if row not in bare])
            for m, i in bare:  # an adapter brings its base, where both fit
                fits = space.fits(m)
                if fits.any():
                    space.put(m, i if fits[i] else int(fits.argmax()))
            for _, m, o in Company((), company.together).broken({m for m, _ in space.content}):
                fits = space.fits(o)
                if any(r[0] == m for r in space.content) and fits.any():
                    space.put(o, int(fits.argmax()))
            self.rows += [(m, s, i) for m, i in company.kept(space.content, fixed)]
        self._count()

    def _lonely(self, m: int, s: int) -> list[int]:
        """Models that have to stand on a server with m, and do not."""
        return [o for o in self.instance.company.needs(m) if not self.on[o, s]]

    def _add_with_company(self, m: int) -> bool:
        """Place m, and before it what it needs, on a server that has room for all."""
        cluster = self.instance.cluster
        for s in np.flatnonzero(self._elsewhere(m)).tolist():
            kind = cluster.server_types[cluster.server_type[s]]
            space = ServerSpace(self.instance, kind, [(o, i) for o, at, i in self.rows if at == s])
            stand = len(space.content)
            todo = [*self._lonely(m, s), m]
            seen = set(todo)
            while todo:
                o = todo[0]
                more = [x for x in self._lonely(o, s) if x not in seen]
                if more:
                    todo = more + todo
                    seen |= set(more)
                    continue
                fits = space.fits(todo.pop(0))
                if not fits.any():
                    break
                space.put(o, int(fits.argmax()))
            else:
                if all(self.replicas[o] < self.wanted.most[o] for o, _ in space.content[stand:]):
                    self.rows += [(o, s, i) for o, i in space.content[stand:]]
                    self._count()
                    return True
        return False

    def short(self, m: int) -> bool:
        """Whether replicas of a model are missing, or servers that hold one."""
        return bool(
            self.replicas[m] < self.wanted.least[m] or self.servers[m] < self.wanted.spread[m]
        )

    def spare(self, row: Replica) -> bool:
        """Whether no rule is broken without this replica."""
        m, s, _ = row
        if row in self.pinned:
            return False
        if self.replicas[m] <= self.wanted.least[m]:
            return False
        company = self.instance.company
        if self.on[m, s] == 1 and any(
            self.on[o, s] for o, needed in company.together if needed == m
        ):
            return False
        carried = {o for o, b in company.bases if b == m}
        if carried and any(o in carried and (at, i) == row[1:] for o, at, i in self.rows):
            return False
        return bool(self.on[m, s] > 1 or self.servers[m] > self.wanted.spread[m])

    def take_off(self, m: int) -> None:
        """Keep a model to its most replicas, and leave room among them for those it lacks."""
        missing = max(0, int(self.wanted.spread[m]) - self.servers[m])
        over = self.replicas[m] + missing - int(self.wanted.most[m])
        for _ in range(over):
            mine = [r for r in self.rows if r[0] == m and r not in self.pinned]
            # Of several on a server the last; else where the server holds least beside it.
            beside = Counter(s for _, s, _ in self.rows)
            several = [r for r in mine if self.on[m, r[1]] > 1]
            if (not several and self.replicas[m] <= 1) or not mine:
                return
            gone = several[-1] if several else min(mine, key=lambda r: (beside[r[1]], -r[1]))
            self.rows.remove(gone)
            self._count()

    def _elsewhere(self, m: int) -> np.ndarray:
        """Servers on which one more replica is of use, shape (S,)."""
        held = np.zeros(self.instance.cluster.n_servers, dtype=np.bool_)
        held[[s for o, s in self.on if o == m]] = True
        needs_servers = self.servers[m] < self.wanted.spread[m]
        return ~held if needs_servers else np.ones_like(held)

    def add(self, m: int) -> bool:
        """Place a replica of m where there is room; False where there is none."""
        room = Room(self.instance)
        for o, s, i in self.rows:
            if (o, s, i) not in room:
                room.put(o, s, i, 1.0)
        fits = room.fits(m)
        fits[~self._elsewhere(m)] = False
        if self.instance.company.needs(m):
            alone = [s for s in range(len(fits)) if self._lonely(m, s)]
            fits[alone] = False
        if not fits.any():
            return bool(self.instance.company.needs(m)) and self._add_with_company(m)
        crowd = np.where(fits, room.load_with(m, 1.0), np.inf)
        # A server without the model comes first.
        crowd[room.count[m] > 0] += 0.5
        s, i = divmod(int(crowd.argmin()), crowd.shape[1])
        base = self.instance.company.base(m)
        if base is not None and (base, s, i) not in self.rows:
            self.rows.append((base, s, i))
        self.rows.append((m, s, i))
        self._count()
        return True

    def make_room(self, m: int) -> bool:
        """Take spare replicas off the server where they are missed least, and place m there."""
        best: tuple[float, int, list[Replica], int] | None = None
        cluster = self.instance.cluster
        for s in np.flatnonzero(self._elsewhere(m)).tolist():
            if self._lonely(m, s):
                continue
            here = [r for r in self.rows if r[1] == s]
            gone, kept, busiest = [], list(here), 0.0
            kind = cluster.server_types[cluster.server_type[s]]
            before = self.rows
            start = None
            order = sorted(here, key=lambda r: (self._load_without(r[0]), r))
            for row in (*order, *order):  # once more: who was needed there may be needed no longer
                if row[0] == m or row not in kept or not self.spare(row):
                    continue
                busiest = max(busiest, self._load_without(row[0]))
                gone.append(row)
                kept.remove(row)
                self.rows = [r for r in self.rows if r != row]
                self._count()
                held = [(o, i) for o, _, i in kept]
                fits = ServerSpace(self.instance, kind, held).fits(m)
                if fits.any():
                    start = int(fits.argmax())
                    break
            self.rows = before
            self._count()
            if start is not None and (best is None or busiest < best[0]):
                best = busiest, s, gone, start
        if best is None:
            return False
        _, s, gone, start = best
        self.rows = [r for r in self.rows if r not in gone]
        base = self.instance.company.base(m)
        if base is not None and (base, s, start) not in self.rows:
            self.rows.append((base, s, start))
        self.rows.append((m, s, start))
        self._count()
        return True

    def _load_without(self, m: int) -> float:
        """Work of each replica of a model when there is one less."""
        return float(self.instance.model_work[m]) / max(1, self.replicas[m] - 1)

    def placement(self) -> Placement:
        """The replicas as they stand."""
        return Placement.of(self.rows)
