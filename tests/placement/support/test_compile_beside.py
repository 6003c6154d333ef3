"""Whoever waits for another process to compile waits no longer than there is time."""

import pytest

from placement.support import compile_beside


class Other:
    """A process that has ended at the look after so many."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def poll(self) -> int | None:
        """None while it runs."""
        self.looks -= 1
        return None if self.looks >= 0 else 0


@pytest.mark.parametrize(("looks", "asked", "ended"), [(0, 0, True), (2, 5, True), (9, 3, False)])
def test_the_wait_ends_with_the_process_or_with_the_time(
    monkeypatch: pytest.MonkeyPatch, looks: int, asked: int, ended: bool
) -> None:
    """It says which; nobody is asked for time once the process has ended."""
    monkeypatch.setattr(compile_beside, "compiler", lambda module: Other(looks))
    monkeypatch.setattr(compile_beside, "LOOK_S", 0.0)
    left = [True] * asked

    def in_time() -> bool:
        return bool(left) and left.pop()

    assert compile_beside.awaited("a.module", "the code", in_time) is ended


def test_one_process_compiles_a_module() -> None:
    """The second who asks gets the same one; a module that does nothing ends by itself."""
    first = compile_beside.compiler("this")
    assert compile_beside.compiler("this") is first
    assert first.wait() == 0
