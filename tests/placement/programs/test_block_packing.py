"""Whether blocks fit on a server, against all ways to lay them out."""

from itertools import product

import numpy as np

from placement.problem.cluster import ServerType
from placement.programs.block_packing import blocks_fit


def test_blocks_that_take_long_to_lay_down_count_as_fitting() -> None:
    """Seventeen blocks of which a GPU holds two fit on eight for whoever gives up, and do not."""
    server, blocks = ServerType("s", 1, 8, 80.0), ((1, 30.0),) * 17
    assert blocks_fit(server, blocks, 17, 3)
    assert not blocks_fit(server, blocks, 17, 10_000)


def test_fitting_is_that_of_all_ways_to_lay_blocks_out() -> None:
    """Blocks fit exactly where one of all combinations of first GPUs keeps the memory."""
    rng = np.random.default_rng(0)
    answers = set()
    for _ in range(40):
        server = ServerType("s", 1, 3, 80.0)
        blocks = tuple((int(rng.integers(1, 4)), float(rng.choice([20, 35, 45]))) for _ in "abc")
        limit = int(rng.integers(1, 4))
        found = False
        for starts in product(*(range(server.gpus - k + 1) for k, _ in blocks)):
            on = [
                [need for (k, need), i in zip(blocks, starts, strict=True) if i <= g < i + k]
                for g in range(server.gpus)
            ]
            found |= all(sum(held) <= 80.0 and len(held) <= limit for held in on)
        assert blocks_fit(server, blocks, limit) == found
        answers.add(found)
    assert answers == {True, False}
