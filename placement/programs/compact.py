"""The compact integer program (docs/model.md): every replica, block and rate decided jointly.

Sets: used models m, servers s with GPUs 0..G_s-1, active workflows w with nodes v, links uv.

Variables: x[m,s,i] in {0,1}, a replica of m on GPUs i..i+k_m-1 of server s; h[m,s,i] its busy
fraction; a[w,v,s] routing rates; c[w,s] whole workflows and l[w,uv,s] links kept on s.

Where GPUs are exclusive, blocks on an empty server can be laid end to end in any order, so the
counts n[m,s] replace the positions: the same optimum, far fewer symmetric twins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set

import numpy as np
import pulp

from placement.params.search_params import DEFAULTS, SearchParams
from placement.problem.blocks import BoolArray
from placement.problem.cluster import ServerType
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.placement_rules import NO_LIMIT, Requirements
from placement.problem.shared_capacity import is_loaded, standing_kept
from placement.problem.solution import Placement
from placement.problem.space import keep_what_fits, models_that_fit, most_replicas
from placement.programs.fitting_sets import has_set_rows, separating_prices
from placement.programs.flows import (
    Place,
    add_demand,
    keepable,
    kept_terms,
    nodes_with_requests,
    scale_of,
)
from placement.programs.least_replicas import whole_replicas
from placement.programs.routing import shortfall_weight
from placement.programs.space_rows import BlockRows, Few, company_rows
from placement.solver.milp import Pairs, linear


class CompactProgram:
    """The rows that every objective shares.

    Parameters
    ----------
    theta : pulp.LpVariable, optional
        Where headroom is sought: loads are then at most 1 for theta times the demand.
    kept : tuple of Placement and set of int, optional
        Servers that hold what they hold in this placement, and nothing else. Not to be used with
        `order_identical_servers`, which renumbers them.
    cautious : bool
        Where what replicas keep of a GPU together depends on which they are, count the least: what
        is found is then a plan, and nothing is proven of others (`BlockRows`).
    positions : bool
        Decide on blocks even where the counts would do.
    params : SearchParams
        Of its `fitting_sets`.

    Attributes
    ----------
    instance : Instance
        Normalized.
    few : dict of int to list of Few
        Of each server where sharing loses: whether several stand on a GPU.
    carries : dict of (model, server, first GPU) to variable
        Which replicas may carry load, where idle ones are no spares.
    scale : float
        Objectives are this many times the locality: far above a solver's tolerances.
    """

    def __init__(
        self,
        instance: Instance,
        *,
        theta: pulp.LpVariable | None = None,
        kept: tuple[Placement, Set[int]] | None = None,
        cautious: bool = False,
        positions: bool = False,
        params: SearchParams = DEFAULTS,
    ) -> None:
        self._params = params
        self.instance = instance = normalize(instance)
        self.theta = theta
        self.cap = instance.load_cap if theta is None else 1.0
        self.scale = scale_of(instance)
        self.problem = pulp.LpProblem("compact", pulp.LpMaximize)
        # (m, s) -> [(x, h, start)]; in the count form one entry with start -1.
        self.replicas: dict[tuple[int, int], list[tuple[pulp.LpVariable, pulp.LpVariable, int]]]
        self.replicas = defaultdict(list)
        self.places = [
            Place(self.problem, instance, f"_{s}", instance.speeds_of(self._kind(s)))
            for s in range(instance.cluster.n_servers)
        ]
        self.unserved: Pairs = []
        self._cautious = cautious
        self.few: dict[int, list[Few]] = {}
        self.carries: dict[tuple[int, int, int], pulp.LpVariable] = {}
        self.counts = instance.counts_suffice and not positions
        self._stands = frozenset() if kept is None else frozenset(kept[1])
        for s in range(instance.cluster.n_servers):
            if kept is not None and s in kept[1]:
                self._keep_server(s, kept[0])
            elif self.counts:
                self._count_server(s)
            else:
                self._position_server(s)
        for m in instance.used_models:
            held = [(x, 1.0) for s in self._servers(m) for x, _, _ in self.replicas[m, s]]
            self.problem += linear(held) >= 1, f"cover_{m}"
        if instance.requirements is not None:
            self._keep_rules(instance.requirements)
        if instance.company:
            self._keep_company()

    def _servers(self, m: int) -> list[int]:
        return [s for s in range(self.instance.cluster.n_servers) if (m, s) in self.replicas]

    def _kind(self, s: int) -> ServerType:
        cluster = self.instance.cluster
        return cluster.server_types[int(cluster.server_type[s])]

    def _keep_server(self, s: int, placement: Placement) -> None:
        """Let the replicas of s stand: their loads are all that is left to decide."""
        load: dict[int, Pairs] = defaultdict(list)
        kind = self._kind(s)
        held: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for r in np.flatnonzero(placement.server == s):
            m, i = int(placement.model[r]), int(placement.start[r])
            x = pulp.LpVariable(f"x_{m}_{s}_{i}", 1, 1)
            h = pulp.LpVariable(f"h_{m}_{s}_{i}", 0, self.cap)
            self.replicas[m, s].append((x, h, i))
            for g in range(i, i + int(self.instance.gpus_required[m])):
                load[g].append((h, 1.0))
                held[g].append((m, i))
        for g, loads in load.items():
            if len(loads) > 1:
                room = self.cap * standing_kept(self.instance, kind, held[g])
                self.problem += linear(loads) <= room, f"load_{s}_{g}"

    def _count_server(self, s: int) -> None:
        kind, k = self._kind(s), self.instance.gpus_required
        used: Pairs = []
        for m in models_that_fit(self.instance, kind):
            most = most_replicas(self.instance, m, kind)
            n = pulp.LpVariable(f"n_{m}_{s}", 0, most, pulp.LpInteger)
            h = pulp.LpVariable(f"h_{m}_{s}", 0)
            self.replicas[m, s].append((n, h, -1))
            used.append((n, float(k[m])))
            self.problem += linear([(h, 1), (n, -self.cap)]) <= 0, f"replica_{m}_{s}"
        self.problem += linear(used) <= kind.gpus, f"gpus_{s}"

    def _position_server(self, s: int) -> None:
        kind = self._kind(s)
        rows = BlockRows(self.problem, self.instance, kind, self.cap, cautious=self._cautious)
        for m in models_that_fit(self.instance, kind):
            self.replicas[m, s] = rows.replicas(m, f"_{s}")
        rows.gpus(f"_{s}")
        if rows.few:
            self.few[s] = rows.few
        self.carries |= {(m, s, i): z for (m, i), z in rows.carries.items()}

    def _keep_rules(self, wanted: Requirements) -> None:
        """Rows on the numbers of replicas, and of servers with one: y[m,s] <= sum of x."""
        for m in self.instance.used_models:
            servers = self._servers(m)
            held = [(x, 1.0) for s in servers for x, _, _ in self.replicas[m, s]]
            if wanted.least[m] > 1:
                self.problem += linear(held) >= float(wanted.least[m]), f"least_{m}"
            if wanted.most[m] < NO_LIMIT:
                self.problem += linear(held) <= float(wanted.most[m]), f"most_{m}"
            if wanted.spread[m] > 1:
                there = []
                for s in servers:
                    y = pulp.LpVariable(f"y_{m}_{s}", 0, 1, pulp.LpInteger)
                    here = [(x, -1.0) for x, _, _ in self.replicas[m, s]]
                    self.problem += linear([(y, 1.0), *here]) <= 0, f"there_{m}_{s}"
                    there.append((y, 1.0))
                self.problem += linear(there) >= float(wanted.spread[m]), f"spread_{m}"

    def _keep_company(self) -> None:
        """Rows on the models of each server."""
        held: dict[int, dict[int, Pairs]] = defaultdict(dict)
        for (m, s), entries in self.replicas.items():
            held[s][m] = [(x, 1.0) for x, _, _ in entries]
        for s, here in held.items():
            if s in self._stands:
                continue
            kind, by_place = self._kind(s), not self.counts
            for row in company_rows(self.instance, kind, here, f"_{s}", by_place=by_place):
                self.problem += row

    def round_up(self) -> None:
        """Demand the whole replicas that each model's work needs under the cap."""
        kinds = self.instance.cluster.server_type
        for r, (m, weight, least) in enumerate(whole_replicas(self.instance)):
            held = [
                (x, weight[kinds[s]]) for s in self._servers(m) for x, _, _ in self.replicas[m, s]
            ]
            self.problem += linear(held) >= least, f"whole_{r}"

    def route(self, *, elastic: bool = False) -> None:
        """Add the rates a, their demand, and the work they bring to the replicas of a server.

        Parameters
        ----------
        elastic : bool
            Demand may stay unserved: `unserved` has the rates, with their part in `shortfall`.
        """
        instance = self.instance
        nodes = nodes_with_requests(instance)
        for w, n, m in nodes:
            served: Pairs = []
            for s in self._servers(m):
                held = [x for x, _, _ in self.replicas[m, s]]
                served.append((self.places[s].serve(w, n, held), 1.0))
            u = add_demand(self.problem, instance, (w, n), served, elastic=elastic)
            if u is not None:
                self.unserved.append((u, shortfall_weight(instance, w, n)))
        for m in dict.fromkeys(m for _, _, m in nodes):
            for s in self._servers(m):
                kind = self._kind(s)
                load = [(h, instance.pace(kind, m, i)) for _, h, i in self.replicas[m, s]]
                self.places[s].do_work(m, load, f"work_{m}_{s}")

    def scaled_demand(self) -> None:
        """Serve theta times the work of each model, wherever it is: all that a bottleneck asks."""
        instance = self.instance
        speeds, kinds = instance.speeds, instance.cluster.server_type
        for m in instance.used_models:
            carried = [
                (h, float(speeds[kinds[s], m]) * instance.pace(self._kind(s), m, i))
                for s in self._servers(m)
                for _, h, i in self.replicas[m, s]
            ]
            demand = (self.theta, -float(instance.model_work[m]))
            self.problem += linear([*carried, demand]) >= 0, f"scaled_{m}"

    def locality(self) -> Pairs:
        """Add c and l, and return `scale` times the objective without its constant part."""
        instance = self.instance
        terms: Pairs = []
        # Rows on what does not fit together prove; where servers are placed anew they only delay.
        told = not self._stands and has_set_rows(instance, self._params)
        prices = separating_prices(instance, self._params) if told else {}
        for w in instance.active_workflows:
            parts = keepable(instance, w)
            for place in self.places:
                kept = place.keep(parts)
                terms += kept_terms(kept)
                if w in prices:
                    place.pay(w, kept, prices[w])
        return terms

    def order_identical_servers(self) -> None:
        """Of identical servers, the earlier holds no fewer replicas of the first used model.

        Any plan can be renumbered to keep this, so no optimum is lost.
        """
        first = self.instance.used_models[0]
        kinds = self.instance.cluster.server_type
        for s in range(1, self.instance.cluster.n_servers):
            if kinds[s] == kinds[s - 1] and (first, s) in self.replicas:
                before = [(x, 1.0) for x, _, _ in self.replicas[first, s - 1]]
                after = [(x, -1.0) for x, _, _ in self.replicas[first, s]]
                self.problem += linear(before + after) >= 0, f"order_{s}"

    def placement(self) -> Placement:
        """Read the replicas back; counts are laid end to end.

        What a solver's tolerance let through and does not fit is left out; so is what is idle,
        where it would count as loaded.
        """
        held: dict[int, list[tuple[int, int]]] = defaultdict(list)
        free = np.zeros(self.instance.cluster.n_servers, dtype=np.int64)
        idle = self._idle() if self.few and self.instance.idle_are_spare else frozenset()
        for (m, s), entries in sorted(self.replicas.items()):
            for x, _, start in entries:
                if (m, s, start) in idle:
                    continue
                for _ in range(round(x.varValue or 0.0)):
                    held[s].append((m, int(free[s]) if start < 0 else start))
                    free[s] += self.instance.gpus_required[m]
        return Placement.of(
            (m, s, i)
            for s, content in held.items()
            for m, i in keep_what_fits(self.instance, self._kind(s), content)
        )

    def carrying(self, placement: Placement) -> BoolArray | None:
        """Which replicas of `placement()` may carry load, shape (R,); None where all may."""
        if not self.carries:
            return None
        stand = [self.carries.get(replica) for replica in placement.replicas()]
        return np.array([z is None or (z.varValue or 0.0) > 0.5 for z in stand], dtype=np.bool_)

    def _idle(self) -> frozenset[tuple[int, int, int]]:
        """Replicas without load whose model has one with load."""
        idle: set[tuple[int, int, int]] = set()
        busy: set[int] = set()
        for (m, s), entries in self.replicas.items():
            for x, h, start in entries:
                if not is_loaded(self.instance, h.varValue or 0.0):
                    idle.add((m, s, start))
                elif round(x.varValue or 0.0):
                    busy.add(m)
        return frozenset(at for at in idle if at[0] in busy)

    def start_from(self, placement: Placement, carrying: BoolArray | None = None) -> None:
        """Set the start of an ordered program to a placement (its rates follow from it).

        Parameters
        ----------
        placement : Placement
        carrying : bool, shape (R,), optional
            Which replicas may carry load, where that is asked; all by default.
        """
        self.start_at(placement, _renumber(self.instance, placement), carrying)

    def start_at(
        self, placement: Placement, servers: np.ndarray, carrying: BoolArray | None = None
    ) -> None:
        """Set the start of the search to a placement on servers with other numbers.

        Parameters
        ----------
        placement : Placement
            R replicas.
        servers : int64, shape (R,)
            Server of each in the program.
        carrying : bool, shape (R,), optional
            As for `start_from`.
        """
        for variable in self.problem.variables():
            variable.varValue = None
        for entries in self.replicas.values():
            for x, _, _ in entries:
                x.varValue = 0.0
        for m, s, i in zip(placement.model, servers, placement.start, strict=True):
            for x, _, start in self.replicas[int(m), int(s)]:
                if start in (-1, int(i)):
                    x.varValue = (x.varValue or 0.0) + 1.0
        if self.carries:
            busy = np.ones(placement.n_replicas, dtype=np.bool_) if carrying is None else carrying
            columns = (placement.model[busy], servers[busy], placement.start[busy])
            loaded = set(zip(*(c.tolist() for c in columns), strict=True))
            for replica, z in self.carries.items():
                z.varValue = float(replica in loaded)
        for few in (few for here in self.few.values() for few in here):
            standing = sum(x.varValue or 0.0 for x, _ in few.held)
            few.y.varValue = float(standing > few.j)


def _renumber(instance: Instance, placement: Placement) -> np.ndarray:
    """Server numbers that keep `order_identical_servers`, shape (R,)."""
    cluster, first = instance.cluster, instance.used_models[0]
    count = np.bincount(placement.server[placement.model == first], minlength=cluster.n_servers)
    order = np.lexsort((-count, cluster.server_type))
    number = np.empty(cluster.n_servers, dtype=np.int64)
    number[order] = np.arange(cluster.n_servers)
    return number[placement.server]
