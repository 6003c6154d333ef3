"""Who waits is told when code is compiled, and only then."""

from __future__ import annotations

import numba as nb

from placement.support.compilation import announced, watching


def test_a_compilation_is_told_once_and_a_second_call_not() -> None:
    """What is compiled, then that it is done; nested functions and later calls say nothing."""

    @nb.njit
    def inner(x: int) -> int:
        return x + 1

    @nb.njit
    def outer(x: int) -> int:
        return 2 * inner(x)

    told: list[str | None] = []
    with watching(told.append):
        for _ in range(2):
            with announced("the loop"):
                assert outer(20) == 42
    assert told == ["the loop", None]
    with announced("the loop"):
        outer(1.0)
    assert told == ["the loop", None], "nobody watches any longer"
