"""Service affinity: the problem, and annealing over all machines or what one holds (compiled).

`x[k, s]` containers of service s stand on machine k. The gained affinity of a pair is its traffic
times the sum over machines of min(x_s / d_s, x_t / d_t), d being all containers of a service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from placement.problem.cluster import FloatArray, IntArray
from placement.support.machine_code import compiled

MOST_EVICTED = 6
"""Kinds of containers that a move may send back where they make room."""


class Services(NamedTuple):
    """Services with traffic, and whom each exchanges it with.

    Parameters
    ----------
    containers : int64, shape (S,)
    cpu, memory : float64, shape (S,)
        Of one container.
    ptr : int64, shape (S + 1,)
        Where the neighbours of each begin in `other`.
    other : int64
    traffic : float64
        With each neighbour.
    """

    containers: IntArray
    cpu: FloatArray
    memory: FloatArray
    ptr: IntArray
    other: IntArray
    traffic: FloatArray


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be placed where.

    Parameters
    ----------
    services : Services
        Those with traffic.
    others : IntArray
        Containers of the services without, shape (T,).
    others_cpu, others_memory : float64, shape (T,)
        Of one of theirs.
    cpu, memory : float64, shape (K,)
        Of the machines.
    """

    services: Services
    others: IntArray
    others_cpu: FloatArray
    others_memory: FloatArray
    cpu: FloatArray
    memory: FloatArray

    def gained(self, x: IntArray) -> float:
        """Affinity of a placement of the services with traffic, shape (K, S)."""
        s = self.services
        share = x / s.containers
        first = np.repeat(np.arange(len(s.containers)), np.diff(s.ptr))
        both_ways = s.traffic * np.minimum(share[:, first], share[:, s.other]).sum(axis=0)
        return float(both_ways.sum() / 2)

    def sizes(self) -> tuple[FloatArray, IntArray]:
        """Sizes of machines, shape (Z, 2), and how many there are of each."""
        found, counts = np.unique(
            np.column_stack([self.cpu, self.memory]), axis=0, return_counts=True
        )
        return found, counts


@compiled()
def gain(s, here, i, q):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Affinity that q more containers of service i add to what stands on one machine."""
    old, new, total = here[i] / s.containers[i], (here[i] + q) / s.containers[i], 0.0
    for e in range(s.ptr[i], s.ptr[i + 1]):
        share = here[s.other[e]] / s.containers[s.other[e]]
        total += s.traffic[e] * (min(new, share) - min(old, share))
    return total


@compiled()
def anneal(  # type: ignore[no-untyped-def]  # pragma: no cover
    s: Services,
    x: IntArray,
    free_cpu: FloatArray,
    free_memory: FloatArray,
    moves: int,
    hot: float,
    cold: float,
    seed: int,
):
    """Move containers between machines; the best placement of the last part is returned.

    A move takes some or all containers of a service from one machine to another, mostly to one
    that holds a neighbour; what does not fit there any more goes the other way.

    Parameters
    ----------
    s : Services
    x : int64, shape (K, S)
        Changed.
    free_cpu, free_memory : float64, shape (K,)
        Changed.
    moves : int
    hot, cold : float
        Temperatures at the ends.
    seed : int
    """
    np.random.seed(seed)
    machines, services = x.shape
    current, best, kept = 0.0, 0.0, x.copy()
    sent, number = np.zeros(MOST_EVICTED, np.int64), np.zeros(MOST_EVICTED, np.int64)
    for move in range(moves):
        i = np.random.randint(services)
        a, b = np.random.randint(machines), np.random.randint(machines)
        while x[a, i] == 0:
            a = (a + 1) % machines
        if np.random.random() < 0.7:
            e = s.ptr[i] + np.random.randint(s.ptr[i + 1] - s.ptr[i])
            while x[b, s.other[e]] == 0:
                b = (b + 1) % machines
        if a == b:
            continue
        q = x[a, i] if np.random.random() < 0.4 else 1 + np.random.randint(x[a, i])
        change = gain(s, x[a], i, -q)
        x[a, i] -= q
        change += gain(s, x[b], i, q)
        x[b, i] += q
        free_cpu[a] += q * s.cpu[i]
        free_memory[a] += q * s.memory[i]
        free_cpu[b] -= q * s.cpu[i]
        free_memory[b] -= q * s.memory[i]
        n, fits = 0, True
        while fits and (free_cpu[b] < 0 or free_memory[b] < 0):
            j, looked = np.random.randint(services), 0
            while looked < services and (x[b, j] == 0 or j == i):
                j = (j + 1) % services
                looked += 1
            fits = n < MOST_EVICTED and looked < services
            if fits:
                p = 1 + np.random.randint(x[b, j])
                change += gain(s, x[b], j, -p)
                x[b, j] -= p
                change += gain(s, x[a], j, p)
                x[a, j] += p
                free_cpu[b] += p * s.cpu[j]
                free_memory[b] += p * s.memory[j]
                free_cpu[a] -= p * s.cpu[j]
                free_memory[a] -= p * s.memory[j]
                sent[n], number[n] = j, p
                n += 1
        fits = fits and free_cpu[a] >= 0 and free_memory[a] >= 0
        temperature = hot * (cold / hot) ** (move / moves)
        if fits and (change >= 0 or np.random.random() < np.exp(change / temperature)):
            current += change
            if current > best and 2 * move > moves:
                best = current
                kept[:] = x
            continue
        for k in range(n):
            j, p = sent[k], number[k]
            x[b, j] += p
            x[a, j] -= p
            free_cpu[b] -= p * s.cpu[j]
            free_memory[b] -= p * s.memory[j]
            free_cpu[a] += p * s.cpu[j]
            free_memory[a] += p * s.memory[j]
        x[a, i] += q
        x[b, i] -= q
        free_cpu[a] -= q * s.cpu[i]
        free_memory[a] -= q * s.memory[i]
        free_cpu[b] += q * s.cpu[i]
        free_memory[b] += q * s.memory[i]
    return kept if best > 0 else x


@compiled()
def price(  # type: ignore[no-untyped-def]  # pragma: no cover
    s: Services,
    start: IntArray,
    prices: FloatArray,
    cpu: float,
    memory: float,
    moves: int,
    hot: float,
    cold: float,
    seed: int,
):
    """Look for the content of one machine that is worth most: affinity less prices of containers.

    Parameters
    ----------
    s : Services
    start : int64, shape (S,)
        A content that fits.
    prices : float64, shape (S,)
        Of a container.
    cpu, memory : float
        Of the machine.
    moves : int
    hot, cold : float
        Temperatures at the ends.
    seed : int

    Returns
    -------
    int64, shape (S,)
        The best content met.
    float
        Its worth over that of the start.
    """
    np.random.seed(seed)
    services = len(start)
    x, kept = start.copy(), start.copy()
    current, best = 0.0, 0.0
    used_cpu, used_memory = (x * s.cpu).sum(), (x * s.memory).sum()
    for move in range(moves):
        i = np.random.randint(services)
        if np.random.random() < 0.7:  # a neighbour of one that stands there
            j, looked = np.random.randint(services), 0
            while looked < services and x[j] == 0:
                j = (j + 1) % services
                looked += 1
            i = s.other[s.ptr[j] + np.random.randint(s.ptr[j + 1] - s.ptr[j])]
        room = s.containers[i] - x[i]
        if room > 0 and (x[i] == 0 or np.random.random() < 0.6):
            q = 1 + np.random.randint(room)
        else:
            q = -(1 + np.random.randint(x[i])) if x[i] > 0 else 0
        change = gain(s, x, i, q) - q * prices[i]
        x[i] += q
        used_cpu += q * s.cpu[i]
        used_memory += q * s.memory[i]
        dropped, p = -1, 0
        if used_cpu > cpu or used_memory > memory:
            j, looked = np.random.randint(services), 0
            while looked < services and (x[j] == 0 or j == i):
                j = (j + 1) % services
                looked += 1
            if looked < services:
                dropped, p = j, 1 + np.random.randint(x[j])
                change += gain(s, x, j, -p) + p * prices[j]
                x[j] -= p
                used_cpu -= p * s.cpu[j]
                used_memory -= p * s.memory[j]
        temperature = hot * (cold / hot) ** (move / moves)
        if (used_cpu <= cpu and used_memory <= memory) and (
            change >= 0 or np.random.random() < np.exp(change / temperature)
        ):
            current += change
            if current > best:
                best = current
                kept[:] = x
            continue
        if dropped >= 0:
            x[dropped] += p
            used_cpu += p * s.cpu[dropped]
            used_memory += p * s.memory[dropped]
        x[i] -= q
        used_cpu -= q * s.cpu[i]
        used_memory -= q * s.memory[i]
    return kept, best
