"""What a replica's actor sees of its node."""

from __future__ import annotations

import pytest

from runtime.ray.replica import visible_devices


def test_gpus_are_named_as_the_node_names_them() -> None:
    """A node that was started with some of its machine's GPUs counts its own."""
    assert visible_devices([2, 3], None) == "2,3"
    assert visible_devices([0, 1], "4,GPU-5ab,6") == "4,GPU-5ab"
    with pytest.raises(ValueError, match="the plan uses GPU 3"):
        visible_devices([2, 3], "4,5,6")
