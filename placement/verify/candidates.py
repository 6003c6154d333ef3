"""The contents that a plan better than a known one can hold, and the integer program over them.

At multipliers of bound B, with P_t at least the worth of any content of type t, a server that holds
a content worth v takes (P_t - v) / S from what a plan can have. A plan better than z has less than
(B - z) S to give away: it holds no content that costs as much, and few servers of dear ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import floor

from placement.verify.content_bounds import Listing, Priced
from placement.verify.matrix_program import Clock, Program
from placement.verify.scaled_problem import Scaled
from placement.verify.valid_rows import CountRow, KeptRow, Prices, Row, ServerRow

MOST_CANDIDATES = 800
MARGIN = 1e-6
"""Worth, per server, by which a content must be too dear to be left out."""

Candidates = list[tuple[Listing, int, int]]
"""Contents by listing and row, with the most servers that can hold each."""


def candidates(
    scaled: Scaled,
    listings: Sequence[Listing],
    prices: Prices,
    rows: Sequence[Row | None],
    worth: float,
    clock: Clock,
    solver: str,
) -> Candidates | None:
    """What a plan with more than `worth` of locality can hold; None where that is too much.

    Parameters
    ----------
    scaled : Scaled
        The problem in the verifier's units.
    listings : sequence of Listing
        All contents of each server type.
    prices : Prices
        Multipliers of the file, as far as they are valid.
    rows : sequence of Row or None
        Rows that every plan keeps; None for one that the verifier does not take.
    worth : float
        Locality that a plan must exceed.
    clock : Clock
        Seconds left.
    solver : str
        As `--solver` has it.

    Returns
    -------
    list of (Listing, int, int) or None
        Contents by row of their listing, each with the most servers that can hold it: one whose
        worth is d below the best of its type costs a plan at least d a server.

    Raises
    ------
    Undecided
        The time ended, or the solver gave no answer.
    """
    priced = [Priced(listing, prices, clock, solver) for listing in listings]
    highest = [max(0.0, p.highest()) for p in priced]
    top = sum(t.count * high for t, high in zip(scaled.types, highest, strict=True))
    spare = max(0.0, prices.fixed + top - (worth - scaled.constant) * scaled.servers)
    # Where no row limits a number from above, one more replica never hurts a plan.
    limited = any(isinstance(row, CountRow) and not row.at_least for row in rows)
    limited = limited or bool(scaled.instance.company)
    found: Candidates = []
    for listing, p, high in zip(listings, priced, highest, strict=True):
        among = None if limited else listing.maximal()
        left = p.above(high - spare - MARGIN, MOST_CANDIDATES, among)
        if left is None or len(found) + len(left) > MOST_CANDIDATES:
            return None
        servers = scaled.types[listing.t].count
        for row in left.tolist():
            dear = high - float(p.bounds[row]) - MARGIN
            most = servers if dear * servers <= spare else floor(spare / dear + MARGIN)
            if most:
                found.append((listing, row, most))
    return found


def best_over(
    scaled: Scaled,
    found: Candidates,
    rows: Sequence[Row | None],
    enough: float,
    clock: Clock,
    solver: str,
) -> float:
    """Bound on the locality of plans that hold only these contents and keep the rows.

    Parameters
    ----------
    scaled : Scaled
        The problem in the verifier's units.
    found : Candidates
        Contents, and the most servers that can hold each.
    rows : sequence of Row or None
        Rows that every plan keeps; None for one that the verifier does not take.
    enough : float
        Locality below which the bound need not be brought.
    clock : Clock
        Seconds left.
    solver : str
        As `--solver` has it.

    Raises
    ------
    Undecided
        The time ended, or the solver gave no answer.
    """
    program = Program()
    kept_all: dict[tuple[int, int], list[tuple[int, float]]] = defaultdict(list)
    demand: dict[tuple[int, int], list[tuple[int, float]]] = defaultdict(list)
    servers: dict[int, list[tuple[int, float]]] = defaultdict(list)
    columns: list[int] = []
    for listing, row, most in found:
        n = program.column(0.0, float(most), whole=True)
        columns.append(n)
        servers[listing.t].append((n, 1.0))
        counts = listing.counts[row].tolist()
        held = {m: c for m, c in zip(listing.models, counts, strict=True) if c}
        busy: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for flow in scaled.flows:
            rate: dict[int, int] = {}
            for v, m in enumerate(flow.models):
                if m not in held:
                    continue
                a = rate[v] = program.column(0.0, flow.rate)
                demand[flow.w, v].append((a, 1.0))
                busy[m].append((a, flow.load[v] / float(listing.speed[m])))
                program.row([(a, 1.0), (n, -flow.rate)], 0.0)
            for part, (value, together) in flow.parts.items():
                if all(v in rate for v in together):
                    kept = program.column(value, flow.rate)
                    kept_all[part].append((kept, 1.0))
                    for v in together:
                        program.row([(kept, 1.0), (rate[v], -1.0)], 0.0)
        for m, terms in busy.items():
            program.row([*terms, (n, -float(held[m]))], 0.0)
    for flow in scaled.flows:
        for v in range(len(flow.models)):
            program.row(demand[flow.w, v], flow.rate, low=flow.rate)
    for t, terms in servers.items():
        program.row(terms, float(scaled.types[t].count))
    for limit in rows:
        if limit is not None:
            _keep(program, limit, found, columns, kept_all)
    answer = program.maximise(clock, solver, enough=(enough - scaled.constant) * scaled.servers)
    return answer.bound / scaled.servers + scaled.constant


def _keep(
    program: Program,
    row: Row,
    found: Candidates,
    columns: Sequence[int],
    kept: dict[tuple[int, int], list[tuple[int, float]]],
) -> None:
    terms: list[tuple[int, float]] = []
    for (listing, content, _), n in zip(found, columns, strict=True):
        at = dict(zip(listing.models, listing.counts[content].tolist(), strict=True))
        held = [at.get(m, 0) for m in row.models]
        if isinstance(row, CountRow):
            feature = held[0] if row.threshold == 0 else float(min(held) >= row.threshold)
            terms.append((n, row.weight[listing.t] * feature))
        elif isinstance(row, KeptRow):
            terms.append((n, -row.weight[listing.t] * held[0] * (min(held) > 0)))
        elif isinstance(row, ServerRow):
            steps = [row.step(listing.t, i, c) for i, c in enumerate(held)]
            terms.append((n, -row.factor * min(steps)))
    if isinstance(row, CountRow):
        if row.at_least:
            program.row(terms, low=row.limit)
        else:
            program.row(terms, row.limit)
    else:
        program.row([*terms, *kept[row.part]], row.limit)
