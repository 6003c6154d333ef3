"""Live runs in virtual time: the simulator is the oracle, and failures lose nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from placement.problem.cluster import Cluster
from placement.problem.solution import Placement
from placement.problem.workload import Node, Workflow, Workload
from runtime.arrays import Problem
from runtime.engines.reference import run_reference
from runtime.live.backoff import RetryParams
from runtime.live.breaker import BreakerParams
from runtime.live.journal import Done, Failed, Past
from runtime.live.station import Patience
from runtime.live.transport import CallError
from runtime.result import Course
from runtime.simulate import Dispatch, prepare_run
from tests.runtime.cases import chain, model, random_case, trace_of, without_ties
from tests.runtime.live.virtual import (
    FunctionTransport,
    emulated,
    make_executor,
    problem_of,
    run_virtually,
    two_replicas,
)

POLICIES = ("plan", "locality", "earliest", "least-loaded")


def run_live(problem: Problem, policy: Any, make: Any = emulated, **options: Any) -> Course:
    async def main() -> Course:
        course: Course = await make_executor(problem, policy, make(problem), **options).run()
        return course

    return run_virtually(main())


@pytest.mark.parametrize("policy", POLICIES)
def test_servers_that_keep_the_law_give_the_course_of_the_simulator(policy: str) -> None:
    """Every execution on the same replica at the same times, for every policy."""
    compared = 0
    for seed in range(60):
        case = without_ties(random_case(seed, network=False), seed)
        problem, rule = problem_of(case, policy)
        if problem.shares_gpus or problem.batches:
            continue
        simulated = run_reference(problem, rule)
        live = run_live(problem, rule)
        assert live.replica.tolist() == simulated.replica.tolist()
        for name in ("ready_s", "start_s", "end_s"):
            np.testing.assert_allclose(
                getattr(live, name), getattr(simulated, name), rtol=0, atol=1e-7
            )
        compared += len(live.replica)
    assert compared > 300


def test_shared_gpus_and_batches_give_the_course_of_the_simulator() -> None:
    """Where no policy has a choice, also with time slices, batches, prefill and blocks."""
    compared = sliced = batching = 0
    for seed in range(300):
        case = without_ties(random_case(seed, network=False, sharing="time-sliced"), seed)
        if len(np.unique(case.placement.model)) < len(case.placement.model):
            continue
        problem, rule = problem_of(case, "plan")
        simulated = run_reference(problem, rule)
        live = run_live(problem, rule)
        assert live.replica.tolist() == simulated.replica.tolist()
        for name in ("ready_s", "start_s", "end_s"):
            np.testing.assert_allclose(
                getattr(live, name), getattr(simulated, name), rtol=0, atol=1e-6
            )
        compared += len(live.replica)
        sliced += problem.sliced and problem.shares_gpus
        batching += problem.batches
    assert compared > 500
    assert sliced > 5
    assert batching > 5


def failing(problem: Problem, when: Any) -> FunctionTransport:
    """Servers of which `when(execution, replica, now_s, earlier)` says whether a call fails."""
    sound = emulated(problem)
    counts: dict[int, int] = {}

    async def answer(execution: int, replica: int) -> Any:
        counts[execution] = counts.get(execution, 0) + 1
        now_s = asyncio.get_running_loop().time()
        error = when(execution, replica, now_s, counts[execution] - 1)
        if error is not None:
            raise error
        return await sound._answer(execution, replica)

    return FunctionTransport(answer)


def gone() -> CallError:
    return CallError("no connection (gone)", retryable=True)


def test_a_replica_that_dies_is_left_alone_and_comes_back() -> None:
    """Its circuit opens after three failures, others serve meanwhile, and a trial closes it."""
    problem, rule = two_replicas(80)
    times: dict[int, list[float]] = {0: [], 1: []}

    def when(execution: int, replica: int, now_s: float, earlier: int) -> CallError | None:
        times[replica].append(now_s)
        return gone() if replica == 0 and 5 <= now_s < 40 else None

    async def main() -> Any:
        executor = make_executor(problem, rule, failing(problem, when))
        return await executor.run(), executor.tally

    course, tally = run_virtually(main())
    assert (course.replica >= 0).all()
    assert tally.failed == {}
    assert tally.opened_of[0] >= 2
    assert tally.opened_of[1] == 0
    dead = [t for t in times[0] if 5 <= t < 40]
    assert len(dead) == tally.faults_of[0] <= 3 + 6  # three, and a trial after 1, 2, 4, 8, ... s
    assert any(t >= 40 for t in times[0])


def test_whoever_waits_at_a_dead_replica_is_served_elsewhere_at_once() -> None:
    """A queue does not sit out the pause of its replica."""
    problem, rule = two_replicas(20, gap_s=0.0)

    def when(execution: int, replica: int, now_s: float, earlier: int) -> CallError | None:
        return gone() if replica == 0 else None

    async def main() -> Any:
        patience = Patience(breaker=BreakerParams(threshold=1, cooldown_s=1e4, longest_s=1e4))
        executor = make_executor(problem, rule, failing(problem, when), patience=patience)
        return await executor.run(), executor.tally

    course, tally = run_virtually(main())
    assert set(course.replica.tolist()) == {1}
    assert tally.calls_of == [1, 40]
    # One replica does all the work without a pause, but for the retry of the call that failed.
    assert course.end_s.max() == pytest.approx(40 * 0.4)


def test_a_model_of_which_no_replica_answers_fails_its_requests_and_no_others() -> None:
    """Nobody waits for ever, and every request is accounted for."""
    workload = Workload(
        (model("dead"), model("alive")), (chain(1), Workflow("other", "other", (Node("n", 1),)))
    )
    trace = trace_of(workload, np.arange(20.0), np.arange(20) % 2, np.full(20, 0.4))
    cluster = Cluster.homogeneous(2, 2, 80.0)
    placement = Placement.sorted(np.array([0, 1]), np.array([0, 0]), np.array([0, 1]))
    problem, rule = prepare_run(
        workload, trace, cluster, placement, dispatch=Dispatch(policy="earliest")
    )

    def when(execution: int, replica: int, now_s: float, earlier: int) -> CallError | None:
        return gone() if replica == 0 else None

    async def main() -> Any:
        executor = make_executor(
            problem, rule, failing(problem, when), patience=Patience(give_up_s=5.0)
        )
        return await executor.run(), executor.tally

    course, tally = run_virtually(main())
    assert (course.replica >= 0).tolist() == [r % 2 == 1 for r in range(20)]
    assert set(tally.failed) == {r for r in range(20) if r % 2 == 0}
    assert "no replica of model 'dead' has answered for 5 s" in set(tally.failed.values())
    assert tally.unbegun < 10


def test_a_failed_call_is_tried_again_after_growing_waits() -> None:
    """As often as asked and no oftener, with the waits that the seed gives."""
    problem, rule = two_replicas(1)
    retry = RetryParams(retries=3, first_s=1.0, seed=7)
    at: list[float] = []

    def when(execution: int, replica: int, now_s: float, earlier: int) -> CallError | None:
        if execution == 1:
            return None
        at.append(now_s)
        return CallError("busy", retryable=True, at_fault=False) if earlier < 3 else None

    patience = Patience(retry=retry)
    course = run_live(problem, rule, lambda p: failing(p, when), patience=patience)
    assert np.diff(at).tolist() == pytest.approx([retry.wait_s(0, k) for k in (1, 2, 3)])
    assert (course.replica >= 0).all()
    assert course.ready_s[0] == 0.0
    assert course.start_s[0] == pytest.approx(at[-1])


@pytest.mark.parametrize("retryable", [True, False])
def test_a_call_that_keeps_failing_fails_its_request_with_the_reason(retryable: bool) -> None:
    """After the last try, or at once where trying again is of no use; children never run."""
    problem, rule = two_replicas(3)

    def when(execution: int, replica: int, now_s: float, earlier: int) -> CallError | None:
        wrong = CallError("the prompt is too long", retryable=retryable, at_fault=False)
        return wrong if execution == 2 else None

    async def main() -> Any:
        patience = Patience(retry=RetryParams(retries=2))
        executor = make_executor(problem, rule, failing(problem, when), patience=patience)
        return await executor.run(), executor.tally

    course, tally = run_virtually(main())
    assert (course.replica >= 0).tolist() == [True, True, False, False, True, True]
    assert list(tally.failed) == [2]
    assert "the prompt is too long" in tally.failed[2]
    assert sum(tally.calls_of) == 4 + (3 if retryable else 1)


@pytest.mark.parametrize("slots", [1, 3])
def test_no_replica_has_more_calls_under_way_than_it_takes(slots: int) -> None:
    """First come first served, up to max_concurrency at once."""
    problem, rule = two_replicas(30, slots=slots, gap_s=0.01)
    under_way, most = [0, 0], [0, 0]
    order: dict[int, list[int]] = {0: [], 1: []}

    async def answer(execution: int, replica: int) -> str:
        order[replica].append(execution)
        under_way[replica] += 1
        most[replica] = max(most[replica], under_way[replica])
        await asyncio.sleep(0.4)
        under_way[replica] -= 1
        return ""

    course = run_live(problem, rule, lambda p: FunctionTransport(answer))
    assert most == [slots, slots]
    for p in (0, 1):
        mine = [e for e in order[p] if e % 2 == 0]
        assert mine == sorted(mine)
        assert np.array_equal(course.start_s[order[p]], np.sort(course.start_s[order[p]]))


def test_draining_begins_nothing_new_and_finishes_what_was_begun() -> None:
    """Requests of which a call was sent run to their end; the others are counted as not begun."""
    problem, rule = two_replicas(50, gap_s=0.1)

    async def main() -> Any:
        executor = make_executor(problem, rule, emulated(problem))
        asyncio.get_running_loop().call_later(2.05, executor.drain)
        return await executor.run(), executor.tally

    course, tally = run_virtually(main())
    ran = (course.replica >= 0).reshape(-1, 2)
    assert (ran[:, 0] == ran[:, 1]).all()
    begun = int(ran[:, 0].sum())
    assert 0 < begun < 20  # two replicas serve five calls a second between them
    assert tally.unbegun == 50 - begun
    assert tally.failed == {}
    assert course.start_s[0::2][ran[:, 0]].max() <= 2.05


class Book:
    """A journal in memory."""

    def __init__(self) -> None:
        self.lines: list[Done | Failed] = []

    def add(self, line: Done | Failed) -> None:
        self.lines.append(line)

    def past(self) -> Past:
        past = Past()
        for line in self.lines:
            if isinstance(line, Done):
                past.done[line.execution] = line
                past.at_s = max(past.at_s, line.end_s)
            else:
                past.failed[line.execution] = line
        return past


@pytest.mark.parametrize("cut", [0, 1, 7, 25, 39, 40])
def test_a_run_that_goes_on_repeats_nothing_and_loses_nothing(cut: int) -> None:
    """Cut after any line of the journal, the rest is done once, from where it was."""
    problem, rule = two_replicas(20, gap_s=0.3)
    whole = Book()
    run_live(problem, rule, recorder=whole)
    assert len(whole.lines) == 40
    first = Book()
    first.lines = whole.lines[:cut]
    second = Book()

    async def main() -> Any:
        transport = emulated(problem)
        executor = make_executor(problem, rule, transport, recorder=second, past=first.past())
        return await executor.run(), executor.tally, transport.sent

    course, tally, sent = run_virtually(main())
    done = {line.execution for line in first.lines}
    assert sorted(e for e, _ in sent) == sorted(set(range(40)) - done)
    assert tally.resumed == cut
    assert (course.replica >= 0).all()
    for line in first.lines:
        assert isinstance(line, Done)
        assert course.end_s[line.execution] == line.end_s
    parents = course.end_s[0::2]
    assert (course.start_s[1::2] >= parents).all()


def test_a_failure_of_before_stays_a_failure() -> None:
    """What failed for good is not tried again when the run goes on."""
    problem, rule = two_replicas(4)
    past = Past(failed={0: Failed(execution=0, at_s=1.0, tries=1, failed="no")}, at_s=1.0)

    async def main() -> Any:
        transport = emulated(problem)
        executor = make_executor(problem, rule, transport, past=past)
        return await executor.run(), executor.tally, transport.sent

    course, tally, sent = run_virtually(main())
    assert sorted(e for e, _ in sent) == [2, 3, 4, 5, 6, 7]
    assert tally.failed == {0: "no"}
    assert (course.replica >= 0).tolist() == [False, False] + [True] * 6


def test_children_get_what_their_parents_said() -> None:
    """The text of a call is its parents' outputs."""
    problem, rule = two_replicas(3)
    texts: dict[int, str] = {}

    class Transport(FunctionTransport):
        async def send(self, call: Any) -> Any:
            execution = int(call.headers["Idempotency-Key"].rpartition("-")[2])
            texts[execution] = call.body["text"]
            return f"output {execution}"

    run_live(problem, rule, lambda p: Transport(lambda e, r: asyncio.sleep(0)))
    assert texts[1] == "output 0"
    assert texts[3] == "output 2"
    assert texts[0] == "request r0, node a"


def test_a_full_disk_ends_the_run() -> None:
    """A journal that cannot be written is no run that can go on."""
    problem, rule = two_replicas(3)

    class Full:
        def add(self, line: Any) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run_live(problem, rule, recorder=Full())
