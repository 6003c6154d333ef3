"""What routers see of a live run: by a plain count of all that came and went, and by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runtime.live.backlog import Backlog
from runtime.policies import View
from tests.runtime.cases import random_case
from tests.runtime.live.virtual import problem_of, two_replicas


def part_of(replica: int, busy: set[int], blocks: list[set[int]]) -> float:
    """What a replica gets of its GPUs beside busy ones: one of two 0.45, of n more 0.7 / n."""
    crowd = max(sum(g in blocks[q] for q in busy | {replica}) for g in blocks[replica])
    return (1.0, 0.9, 0.7)[min(crowd, 3) - 1] / crowd


def test_what_routers_expect_is_made_anew_from_all_that_came_and_went() -> None:
    """Drawn calls are routed, sent, ended and withdrawn; neighbours slow each other meanwhile."""
    full = shared = 0
    for seed in range(12):
        case = random_case(seed + 500, network=False)
        models = tuple(replace(m, gpu_fraction=1.0) for m in case.workload.models)
        sharing = replace(case.cluster.sharing, efficiency=(0.9, 0.7))
        case = replace(
            case,
            workload=replace(case.workload, models=models),
            cluster=replace(case.cluster, sharing=sharing),
        )
        problem, _ = problem_of(case, "earliest")
        rng, calls = np.random.default_rng(seed), len(problem.service_s)
        view = View(problem, [-1] * calls, [np.nan] * calls)
        backlog = Backlog(problem, view)
        replicas = range(problem.n_replicas)
        blocks = [
            set(range(g, g + k))
            for g, k in zip(problem.replica_first_gpu, problem.replica_gpus, strict=True)
        ]
        changed: list[float] = list(view.free_s)
        queued: list[list[int]] = [[] for _ in replicas]
        sent: list[dict[int, float]] = [{} for _ in replicas]

        now_s, waiting = 0.0, list(range(calls))
        for _ in range(60):
            now_s += float(rng.exponential(0.4))
            p, what = int(rng.integers(len(replicas))), rng.random()
            slots, slowdown = int(problem.replica_slots[p]), problem.slowdown[p]
            if what < 0.5 and waiting:
                queued[p].append(waiting.pop())
                changed[p] = now_s
                backlog.queue(queued[p][-1], p, now_s)
            elif what < 0.7 and queued[p]:
                busy = {q for q in replicas if queued[q] or sent[q]}
                e, pace = queued[p][0], part_of(p, busy, blocks) * problem.replica_speed[p]
                took = problem.service_s[e] * slowdown[min(len(sent[p]), slots - 1)] / pace
                backlog.send(e, p, now_s)
                sent[p][queued[p].pop(0)] = now_s + float(took)
            elif what < 0.8 and queued[p]:
                backlog.withdraw(queued[p].pop(), p)
            elif sent[p]:
                e = list(sent[p])[-1]
                backlog.finish(e, p, now_s)
                del sent[p][e]
                changed[p] = now_s
            backlog.estimate(replicas, now_s)
            busy = {q for q in replicas if queued[q] or sent[q]}
            for q in replicas:
                slots, slowdown = int(problem.replica_slots[q]), problem.slowdown[q]
                unfinished, part = len(queued[q]) + len(sent[q]), part_of(q, busy, blocks)
                speed = problem.replica_speed[q]
                assert view.unfinished[q] == unfinished
                assert view.stretch[q] == pytest.approx(
                    slowdown[min(unfinished, slots - 1)] / (part * speed)
                )
                free_s = changed[q]
                if unfinished >= slots:
                    work = sum(problem.service_s[e] for e in queued[q])
                    first = max(now_s, min(sent[q].values(), default=now_s))
                    free_s = first + work / speed * slowdown[slots - 1] / slots / part
                    full += bool(queued[q])
                    shared += part < 1
                assert view.free_s[q] == pytest.approx(free_s)
    assert full > 200
    assert shared > 200


def test_routers_expect_what_batches_and_queues_take() -> None:
    """By hand: two places, of which the second slows both to 1.5; three calls of 0.4 s, and an end.

    A call that waits takes its part of a full batch.
    """
    problem, _ = two_replicas(3, slots=2)
    problem = replace(problem, slowdown=np.array([[1.0, 1.5]] * problem.n_replicas))
    calls = len(problem.service_s)
    view = View(problem, [-1] * calls, [np.nan] * calls)
    backlog = Backlog(problem, view)

    def expect(now_s: float, stretch: float, free_s: float) -> None:
        backlog.estimate([0, 1], now_s)
        assert view.stretch[0] == stretch
        assert view.free_s[0] == pytest.approx(free_s)
        assert view.stretch[1] == 1.0  # of the other nothing has changed
        assert view.free_s[1] <= 0.0

    backlog.queue(0, 0, 1.0)
    expect(1.0, 1.5, 1.0)
    backlog.send(0, 0, 1.0)
    backlog.queue(1, 0, 1.1)
    backlog.send(1, 0, 1.1)
    expect(1.2, 1.5, 1.0 + 0.4)
    expect(1.45, 1.5, 1.45)
    backlog.queue(2, 0, 1.2)
    expect(1.2, 1.5, 1.4 + 0.4 * 1.5 / 2)
    backlog.finish(0, 0, 1.4)
    expect(1.4, 1.5, 1.1 + 0.4 * 1.5 + 0.3)
    backlog.withdraw(2, 0)
    expect(1.5, 1.5, 1.4)
    backlog.finish(1, 0, 1.7)
    expect(1.8, 1.0, 1.7)
