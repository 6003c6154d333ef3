import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cli.views.servers import group_mean, group_servers, lanes
from tests.runtime.scenes import make_scene

blocks = st.lists(st.tuples(st.integers(0, 7), st.integers(1, 4)), max_size=12)


@given(blocks)
def test_blocks_of_one_lane_never_overlap(made):
    """Blocks that share a GPU lie in different lanes, and no lane below is free."""
    start = np.array([s for s, _ in made], dtype=np.int64)
    length = np.array([k for _, k in made], dtype=np.int64)
    lane = lanes(start, length)
    covered = [{(int(r), g) for g in range(s, s + k)} for r, (s, k) in zip(lane, made, strict=True)]
    assert len(set().union(*covered)) == length.sum()
    deepest = np.bincount([g for s, k in made for g in range(s, s + k)], minlength=1).max()
    assert lane.max(initial=-1) + 1 == deepest


def test_servers_alike_are_one_group():
    """Every server is in one group, and the servers of a group hold the same blocks."""
    scene = make_scene(20, contents=3)
    groups = group_servers(scene)
    assert len(groups) == 3
    assert sorted(s for g in groups for s in g.servers) == list(range(20))
    placement = scene.plan.placement
    for group in groups:
        for replicas, server in zip(group.replicas, group.servers, strict=True):
            assert (placement.server[replicas] == server).all()
        models = scene.replica_model[group.replicas]
        starts = placement.start[group.replicas]
        assert (models == models[0]).all()
        assert (starts == starts[0]).all()


def test_few_servers_stay_apart():
    """Up to a dozen servers are drawn one by one, in order, even where two hold the same."""
    groups = group_servers(make_scene(6, contents=1))
    assert [g.servers.tolist() for g in groups] == [[s] for s in range(6)]


def test_group_mean_averages_over_servers():
    """A group's figure for a GPU is the mean over the GPUs at that place in its servers."""
    scene = make_scene(20, contents=2)
    per_gpu = np.arange(160, dtype=float)
    group = group_servers(scene)[0]
    expected = per_gpu.reshape(20, 8)[group.servers].mean(axis=0)
    np.testing.assert_allclose(group_mean(scene, group, per_gpu), expected)
