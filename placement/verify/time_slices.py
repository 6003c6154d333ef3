"""What time slices take off the GPUs of a server, in rows that every plan keeps.

n loaded replicas bear at most kept(n) of a GPU's cap (`placement.problem.shared_capacity`).
Where a plan without its idle replicas is worth the same, all that stand and can be loaded count;
elsewhere a column of each says whether it may carry load.
"""

from __future__ import annotations

from placement.problem.shared_capacity import (
    can_load,
    kept_at_most,
    most_together,
    sliced_gpus,
)
from placement.verify.matrix_program import Program
from placement.verify.scaled_problem import Scaled

Terms = list[tuple[int, float]]


class Slices:
    """What sharing takes off the GPUs of servers of one type; nothing where it takes nothing."""

    def __init__(self, scaled: Scaled, t: int) -> None:
        instance, kind = scaled.instance, scaled.types[t]
        self.kept = kept_at_most(instance, max(1, most_together(instance, kind)))
        self._sliced = sliced_gpus(instance, kind)
        self._idle_are_spare = instance.idle_are_spare
        self._gpus = scaled.gpus
        self.counted = frozenset(
            m for m in scaled.used if can_load(instance, m, scaled.speed(t, m))
        )

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

    def in_sum(
        self, program: Program, gpus: int, numbers: dict[int, int], loads: dict[int, Terms]
    ) -> None:
        """Add what some GPUs lose in sum (`placement.problem.shared_capacity.SlicedGpus`).

        Of the n replicas of a model a stand alone and carry a; the others carry s <= pair (n - a).
        The GPUs without one that stands alone, G' = G - sum k a, bear
        sum k s <= pair G' - further (sum k (n - a) - 2 G'), and hold `most` a GPU.

        Parameters
        ----------
        program : Program
            Takes columns and rows.
        gpus : int
            Of all servers that are summed.
        numbers : dict of model to column
            Replicas.
        loads : dict of model to terms
            What they carry, over the cap.
        """
        sliced = self._sliced
        if sliced is None:
            return
        worked: Terms = []
        room: Terms = []
        for m, n in numbers.items():
            if m not in self.counted:
                continue
            k = float(self._gpus[m])
            alone = program.column(0.0, float(gpus // int(k)), whole=True)
            shared = program.column(0.0, float(gpus))
            program.row([*loads.get(m, []), (alone, -1.0), (shared, -1.0)], 0.0)
            program.row([(shared, 1.0), (alone, sliced.pair), (n, -sliced.pair)], 0.0)
            # G' loses k for one that stands alone; the others cover k for one that does not.
            worked += [(shared, k), (n, k * sliced.further)]
            worked.append((alone, k * (sliced.pair + sliced.further)))
            room += [(n, k), (alone, k * (sliced.most - 1))]
        program.row(worked, (sliced.pair + 2 * sliced.further) * gpus)
        if self._idle_are_spare:
            program.row(room, float(sliced.most * gpus))
