from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.formats.slots import Slot
from cli.launching.gpu_memory import STATIC, TAKEN, memory_parts

GPUS = 4


@st.composite
def filled_servers(draw):
    """Replicas on one or two servers of four GPUs, whose memory is never exceeded."""
    used = defaultdict(float)
    slots = []
    for replica in range(draw(st.integers(1, 8))):
        k = draw(st.integers(1, GPUS))
        first = draw(st.integers(0, GPUS - k))
        server = draw(st.integers(0, 1))
        gpus = tuple(range(first, first + k))
        room = min(1.0 - used[server, g] for g in gpus)
        share = draw(st.floats(0, 1)) * room
        for g in gpus:
            used[server, g] += share
        slots.append(Slot(replica, "m", server, "t", replica, gpus, gpus, 1.0, share, 0.0))
    return sorted(slots, key=lambda s: (s.server, s.local_gpus[0], s.replica)), used


@given(filled_servers())
def test_parts_leave_room_on_every_gpu_and_for_every_cache(case):
    """At most TAKEN of any GPU, and more than the model states wherever the plan leaves room."""
    slots, used = case
    total, static = defaultdict(float), defaultdict(float)
    for slot, part in zip(slots, memory_parts(slots), strict=True):
        gpus = [(slot.server, g) for g in slot.local_gpus]
        fullest = max(used[gpu] for gpu in gpus)
        assert part.is_short == pytest.approx(fullest > TAKEN)
        if fullest <= TAKEN:
            assert part.of_gpu >= slot.memory_share - 1e-4
        # What SGLang takes: a fraction of what the least free of its GPUs has when it starts.
        took = part.of_free * min(1 - static[gpu] for gpu in gpus)
        assert took == pytest.approx(part.of_gpu * STATIC / TAKEN, abs=2e-3)
        for gpu in gpus:
            total[gpu] += part.of_gpu
            static[gpu] += took
    for gpu in total:
        assert total[gpu] <= TAKEN + 1e-9
        assert static[gpu] <= STATIC + 2e-3


def test_a_replica_alone_takes_all_that_servers_may():
    """Whatever its model states; and two take their parts in proportion."""
    alone = Slot(0, "m", 0, "t", 0, (0,), (0,), 8.0, 0.1, 0.0)
    assert memory_parts([alone])[0].of_gpu == TAKEN
    a = Slot(0, "a", 0, "t", 0, (0,), (0,), 41.0, 41 / 80, 0.0)
    b = Slot(1, "b", 0, "t", 1, (0,), (0,), 10.0, 10 / 80, 0.0)
    parts = memory_parts([a, b])
    assert parts[0].of_gpu / parts[1].of_gpu == pytest.approx(4.1, rel=1e-3)
    assert parts[0].of_gpu > 41 / 80
    assert parts[1].of_gpu > 10 / 80
