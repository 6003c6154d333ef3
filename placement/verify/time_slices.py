"""What time slices take off the GPUs of a server, in rows that every plan keeps.

n loaded replicas bear at most kept(n) of a GPU's cap (`placement.problem.shared_capacity`).
Where a plan without its idle replicas is worth the same, all that stand and can be loaded count;
elsewhere a column of each says whether it may carry load.
"""

from __future__ import annotations

from placement.problem.shared_capacity import (
    can_load,
    kept_at_most,
    loss_per_replica,
    most_together,
)
from placement.verify.matrix_program import Program
from placement.verify.scaled_problem import Scaled

Terms = list[tuple[int, float]]


class Slices:
    """What sharing takes off the GPUs of servers of one type; nothing where it takes nothing."""

    def __init__(self, scaled: Scaled, t: int) -> None:
        instance, kind = scaled.instance, scaled.types[t]
        self.kept = kept_at_most(instance, max(1, most_together(instance, kind)))
        self.lost = loss_per_replica(instance, kind)
        self._idle_are_spare = instance.idle_are_spare
        self.counted = frozenset(m for m in scaled.used if can_load(instance, m, scaled.speeds[t]))

    def carrier(self, program: Program, m: int, stands: int) -> int:
        """Column that is 1 where a replica may carry load.

        Parameters
        ----------
        program : Program
            Takes the column, where it is another one.
        m : int
            Model of the replica.
        stands : int
            Column that is 1 where the replica stands.
        """
        if self._idle_are_spare or m not in self.counted or self.kept[-1] >= 1:
            return stands
        carries = program.column(0.0, 1.0, whole=True)
        program.row([(carries, 1.0), (stands, -1.0)], 0.0)
        return carries

    def gpu(self, program: Program, standing: dict[int, list[int]]) -> Terms:
        """Share of the cap that one GPU loses, as terms beside its loads.

        Parameters
        ----------
        standing : dict of model to columns
            Replicas that may cover the GPU and carry load (`carrier`), each 0 or 1.
        """
        held = [(x, 1.0) for m, columns in standing.items() if m in self.counted for x in columns]
        most = min(len(self.kept) - 1, len(held))
        terms: Terms = []
        for j in range(1, most):
            if self.kept[j + 1] < self.kept[j]:
                more = program.column(0.0, 1.0, whole=True)
                program.row([*held, (more, -float(most - j))], float(j))
                terms.append((more, self.kept[j] - self.kept[j + 1]))
        return terms

    def in_sum(self, program: Program, gpus: float, numbers: Terms, loads: Terms) -> None:
        """Add sum k h <= G - d (sum k n - G): what G GPUs lose in sum.

        Parameters
        ----------
        program : Program
            Takes the row.
        gpus : float
            Of all servers that are summed.
        numbers : terms
            Replicas of the counted models, each times its GPUs.
        loads : terms
            Their loads, over the cap, each times its GPUs.
        """
        if self.lost > 0:
            taken = [(n, self.lost * k) for n, k in numbers]
            program.row([*loads, *taken], gpus * (1 + self.lost))
