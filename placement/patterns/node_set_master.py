"""The master whose requests keep together all the nodes that a server holds: soon solved.

The flows of a workflow w over the servers of a pattern p are rates y[w,S,p] of sets S of nodes that
are served together: every connected part of the nodes whose models p holds, the whole workflow
where it holds all, and every node alone. A flow of any other set is not there, so whole numbers of
servers are worth no more here than in `Master`; routing them afterwards makes up for it. In
return there are no rows for what is kept, and the program is solved in a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import networkx as nx
import pulp

from placement.params.search_params import DEFAULTS, SearchParams
from placement.patterns.pattern import Pattern
from placement.patterns.restricted_master import Master
from placement.problem.instance import Instance, WorkflowDemand
from placement.programs.fitting_sets import has_set_rows
from placement.solver.milp import linear

CACHED = 4_096


class SetsMaster(Master):
    """`Master` over the sets of nodes that a pattern holds, and over single nodes."""

    def _flows(self, p: int, pattern: Pattern, n: pulp.LpVariable) -> None:
        place = self._place(p, pattern)
        carried = self._capacity(p, pattern, n)
        for w, parts in self._parts.items():
            flow = self.instance.workflows[w]
            for s, together in enumerate(_sets(flow, pattern)):
                y = place.serve_together(w, together, str(s))
                worth = 0.0
                for part, nodes, value in parts:
                    if together.issuperset(nodes):
                        worth += value
                        self._kept[part].append((y, 1.0))
                if worth:
                    self._objective.append((y, worth))
                    # One server never serves more than all there is; on few servers it counts.
                    self.problem += linear([(y, 1.0), (n, -flow.rate)]) <= 0
                for v in together:
                    self._demand[w, v].append((y, 1.0))
        for m in place.work:
            place.do_work(m, carried[m])


def master_of(instance: Instance, params: SearchParams = DEFAULTS) -> type[Master]:
    """Return the form of the master for an instance: over sets where GPUs are shared.

    But on small clusters with very many sets, where what is kept apart from them counts.
    """
    shared = instance.models_per_gpu > 1
    large = instance.cluster.n_servers > params.fitting_sets.most_servers
    return SetsMaster if has_set_rows(instance, params) or (shared and large) else Master


def _sets(flow: WorkflowDemand, pattern: Pattern) -> Iterator[frozenset[int]]:
    held = tuple(v for v, m in enumerate(flow.node_model.tolist()) if m in pattern.models)
    yield from (frozenset((v,)) for v in held)
    if len(held) == len(flow.node_model):
        parts: tuple[frozenset[int], ...] = (frozenset(held),)
    else:
        parts = _connected(held, tuple((u, v) for u, v in flow.links.tolist()))
    yield from (part for part in parts if len(part) > 1)


@lru_cache(maxsize=CACHED)
def _connected(
    nodes: tuple[int, ...], links: tuple[tuple[int, int], ...]
) -> tuple[frozenset[int], ...]:
    """The parts of some nodes that links join: asked for of every pattern of every master."""
    graph: nx.Graph[int] = nx.Graph(links)
    return tuple(frozenset(part) for part in nx.connected_components(graph.subgraph(nodes)))
