"""The plan's side of the search over columns: dives, and integer programs over what they leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from placement.patterns.columns.column_dive import dive_columns
from placement.patterns.columns.content_pool import Column
from placement.patterns.columns.generation import Generation, columns_of
from placement.patterns.columns.replica_counts import (
    Counts,
    choose_counts,
    counted,
    needed,
    quota,
)
from placement.patterns.incumbent import Search, integer
from placement.patterns.pattern import Pattern, patterns_of
from placement.problem.normalization import at_rates_of
from placement.solver.budget import Budget

LOCALITY_GAIN = 1e-9


@dataclass
class ColumnPlans:
    """What plans are made of, and how often in a row that found nothing better.

    Parameters
    ----------
    search : Search
        Its incumbent is replaced where a better one is found.
    gen : Generation
        Columns, with a master of their own: dives fix contents in it.
    rng : numpy.random.Generator
        Draws the servers that are freed.
    dived : bool
        Whether the incumbent is one of ours, to be improved. What the search began with is none:
        its servers were not made to add up.
    failed : int
        Proposals in a row without a better plan.
    found : list of Column
        The servers of the best plan, until the other side has been told of them.
    chosen : Counter
        Numbers of replicas that were chosen last.
    """

    search: Search
    gen: Generation
    rng: np.random.Generator
    dived: bool = False
    failed: int = 0
    found: list[Column] = field(default_factory=list)
    chosen: Counts = field(default_factory=Counter)

    @property
    def stuck(self) -> bool:
        """Whether proposals find nothing any more."""
        return self.failed >= self.search.params.columns.proposals

    def propose(self, times: int) -> None:
        """Place all servers, or some of the best plan's anew, so many times."""
        for _ in range(times):
            if self.stuck or self.search.closed() or self.search.budget.expired:
                return
            better = self._propose(self._free_some() if self.dived else {})
            self.dived = self.dived or better
            self.failed = 0 if better else self.failed + 1

    def _propose(self, held: Mapping[Pattern, int]) -> bool:
        """Dive with some servers fixed, and combine what is left; True where that is better.

        A plan with free flows on all servers, also on those that are fixed. The integer program
        takes several times as long as a dive, so it comes where that alone finds nothing better.
        """
        search, gen, params = self.search, self.gen, self.search.params.columns
        before, near, whole = search.worth, dict.fromkeys(self._held()), False
        fixed: dict[Pattern, int] = {}
        for pattern, n in held.items():
            gen.master.fix(pattern, n)
        phase = search.budget.part(params.share)
        with phase.bounded():
            counts = self._counts(phase.part(params.count_share))
            if counts is not None and dive_columns(gen, phase, params.left, counts):
                fixed = dict(gen.master.fixed)
                near |= dict.fromkeys([*gen.master.used(), *gen.master.promising(params.contents)])
                whole = dive_columns(gen, phase, 0, counts)
        dived = False
        if counts is not None:
            rest = quota(search.normal, counts, gen.master.fixed).lay_out()
            dived = search.offer(Counter(gen.master.fixed) + rest)
        if whole and not (held and dived):
            free = search.instance.cluster.n_servers - sum(fixed.values())
            integer(
                search,
                [*(near | dict.fromkeys(gen.master.fixed))],
                lambda p: (fixed.get(p, 0), fixed.get(p, 0) + free),
                node_limit=params.nodes,
                share=params.program_share,
                start=gen.master.fixed if not held else None,
                gap=params.program_gap,
            )
        gen.release()
        if search.worth > before + LOCALITY_GAIN and search.best is not None:
            self.found = columns_of(gen, at_rates_of(search.normal, search.instance, search.best))
            gen.master.add(self.found)
            return True
        return False

    def _counts(self, budget: Budget) -> Counts | None:
        """Numbers of replicas to place: those of our best plan, or chosen; None where none were."""
        if self.dived:
            return needed(self.search.normal, counted(self._held()), self.chosen)
        counts = choose_counts(self.gen, self.search.settings, budget)
        self.chosen = counts or self.chosen
        return counts

    def _free_some(self) -> dict[Pattern, int]:
        """Servers of the best plan but those that stay free, drawn by the workflows they serve."""
        params, rng, flows = self.search.params.columns, self.rng, self.gen.flows
        each = [p for p, n in self._held().items() for _ in range(n)]
        wanted = rng.choice(len(flows.rate), min(4, len(flows.rate)), False)
        near = rng.random(len(each)) / 2
        for w in wanted.tolist():
            first, last = flows.node_ptr[w : w + 2]
            models = set(flows.node_model[first:last].tolist())
            near += [len(p.models & models) for p in each]
        kept = np.argsort(-near, kind="stable")[params.left :]
        return dict(Counter(each[i] for i in sorted(kept.tolist())))

    def _held(self) -> dict[Pattern, int]:
        best = self.search.best
        return {} if best is None else patterns_of(self.search.instance, best.placement)
