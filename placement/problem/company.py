"""Which models may stand beside which: ``apart_from``, ``together_with``, and adapters on bases."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from placement.problem.placement_rules import PlacementRules

Replica = tuple[int, int]
"""Model and first GPU."""


@dataclass(frozen=True)
class Company:
    """What rules say of models on one server.

    Parameters
    ----------
    apart : tuple of (int, int)
        Pairs of models of which no server holds both, the lower first.
    together : tuple of (int, int)
        A model, and one that stands on every server on which it stands.
    bases : tuple of (int, int)
        An adapter, and the model that stands on the same GPUs as each of its replicas.
    """

    apart: tuple[tuple[int, int], ...] = ()
    together: tuple[tuple[int, int], ...] = ()
    bases: tuple[tuple[int, int], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.apart or self.together or self.bases)

    @property
    def asks(self) -> bool:
        """Whether a model needs another beside it, which may be there for that alone."""
        return bool(self.together or self.bases)

    def base(self, m: int) -> int | None:
        """Model on whose blocks alone a model may stand."""
        return next((b for adapter, b in self.bases if adapter == m), None)

    def foes(self, m: int) -> list[int]:
        """Models beside which a model may not stand."""
        return [b if a == m else a for a, b in self.apart if m in (a, b)]

    def needs(self, m: int) -> list[int]:
        """Models beside which alone a model may stand."""
        return [o for other, o in self.together if other == m]

    def broken(self, held: Collection[int]) -> list[tuple[str, int, int]]:
        """Rules that a server with these models breaks: the key, the model, the other."""
        found = [("apart_from", a, b) for a, b in self.apart if a in held and b in held]
        found += [("together_with", m, o) for m, o in self.together if m in held and o not in held]
        return found

    def kept(self, content: Iterable[Replica], fixed: Collection[Replica] = ()) -> list[Replica]:
        """Leave out what breaks the rules: later ones beside their foes, and who lacks company."""
        rows: list[Replica] = []
        held: set[int] = set()
        for m, i in content:
            if (m, i) in fixed or not held & set(self.foes(m)):
                rows.append((m, i))
                held.add(m)
        while True:
            held = {m for m, _ in rows}
            lonely = {m for m, o in self.together if m in held and o not in held}
            there = set(rows)
            bare = {
                (m, i) for m, b in self.bases for o, i in rows if o == m and (b, i) not in there
            }
            stay = [
                row for row in rows if (row[0] not in lonely and row not in bare) or row in fixed
            ]
            if len(stay) == len(rows):
                return rows
            rows = stay


def company_of(
    rules: PlacementRules,
    model_ids: Sequence[str],
    used: Collection[int],
    base_of: Sequence[int] = (),
) -> Company:
    """The rules on the company of models that are used.

    Parameters
    ----------
    rules : PlacementRules
    model_ids : sequence of str
    used : collection of int
        Others get no replica: they are apart from everything, and no company is asked of them.
    base_of : sequence of int
        Base of each model, -1 for none; empty where no model has one.
    """
    index = {name: m for m, name in enumerate(model_ids) if m in used}
    apart, together = set(), set()
    for name, model in rules.models.items():
        if name not in index:
            continue
        m = index[name]
        apart |= {
            (min(m, index[o]), max(m, index[o])) for o in model.apart_from or () if o in index
        }
        together |= {(m, index[o]) for o in model.together_with or () if o in index}
    bases = [(m, base_of[m]) for m in sorted(used) if base_of and base_of[m] >= 0]
    return Company(tuple(sorted(apart)), tuple(sorted(together)), tuple(bases))
