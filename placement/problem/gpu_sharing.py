"""What each of the replicas that share a GPU gets of it.

A call of a model with ``gpu_fraction`` u occupies the GPU during the part u of its time alone, and
leaves it to others while the host is at work. Replicas with work in service on one GPU are then the
customers of a closed queueing network: each goes round between its host (a delay of 1 - u) and the
GPU (a demand of u), and the GPU serves those that want it evenly, k of them at the rate eta(k) in
all: the machine repairman with processor sharing. That network has a product form (Baskett,
Chandy, Muntz and Palacios, JACM 22, 1975), whatever the laws of the times. With the constant of
the set S of replicas,

    G(S) = sum over k of  [x^k] prod_(j in S) (1 - u_j + u_j x)  *  prod_(i <= k) i / eta(i),

replica r goes round at G(S - r) / G(S), where 1 is its pace alone. For equal replicas and eta = 1
this is exact mean value analysis (Reiser and Lavenberg, JACM 27, 1980): R(n) = u (1 + Q(n - 1)),
X(n) = n / (1 - u + R(n)), Q(n) = X(n) R(n), each at the pace X(n) / n. With u = 1 for all, it is
eta(n) / n.
"""

from __future__ import annotations

from collections.abc import Sequence


def paces(fractions: Sequence[float], kept: Sequence[float]) -> list[float]:
    """Pace of each of the replicas that share a GPU, against its pace alone.

    Parameters
    ----------
    fractions : sequence of float, length n
        ``gpu_fraction`` of each.
    kept : sequence of float
        ``kept[k]``: what k of them that want the GPU at once get of it together, eta(k).
    """
    n = len(fractions)
    if n == 1:
        return [1.0]
    whole = _constant(fractions, kept)
    # Scaled so that u = 1 gives 1 for every set: no product can overflow.
    return [
        kept[n] / n * (_constant([*fractions[:r], *fractions[r + 1 :]], kept) / whole)
        for r in range(n)
    ]


def _constant(fractions: Sequence[float], kept: Sequence[float]) -> float:
    """G(S) over the product of i / eta(i) for i up to the size of S."""
    chance = [1.0]
    for u in fractions:
        stays = [c * (1.0 - u) for c in chance] + [0.0]
        wants = [0.0] + [c * u for c in chance]
        chance = [a + b for a, b in zip(stays, wants, strict=True)]
    value = chance[0]
    for k in range(1, len(chance)):
        value = chance[k] + value * (kept[k] / k)
    return value
