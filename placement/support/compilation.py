"""Tells whoever waits that code is being compiled, which happens once per machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Watcher = Callable[[str | None], None]
"""Called with what is being compiled, when that begins, and with None when it is done."""

_watchers: list[Watcher] = []


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Let a watcher know of every compilation while this context lasts."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


class NotCompiled(Exception):  # noqa: N818 - a state, not a fault
    """Code that was to be loaded would have to be compiled."""


@contextmanager
def only_loaded() -> Iterator[None]:
    """Raise `NotCompiled` where calls inside this context would compile."""
    from numba.core import event  # whoever loads compiled code has loaded numba

    class Compilation(event.Listener):
        def on_start(self, event: object) -> None:
            raise NotCompiled

        def on_end(self, event: object) -> None:
            """Nothing that began has got this far."""

    with event.install_listener("numba:compile", Compilation()):
        yield


@contextmanager
def announced(what: str, *, at_once: bool = False) -> Iterator[None]:
    """Tell the watchers where calls inside this context compile, and not load what was kept.

    Parameters
    ----------
    what : str
        Name of the code, as a sentence about it would have it: ``the event loop``.
    at_once : bool
        It is known that something is being compiled, here or elsewhere.
    """
    if not _watchers:
        yield
        return
    if at_once:
        _tell(what)
        try:
            yield
        finally:
            _tell(None)
        return
    from numba.core import event  # whoever announces a compilation has loaded numba

    class Compilation(event.Listener):
        began = False

        def on_start(self, event: object) -> None:
            if not self.began:
                self.began = True
                _tell(what)

        def on_end(self, event: object) -> None:
            """One function of many is done; the context says when all are."""

    listener = Compilation()
    try:
        with event.install_listener("numba:compile", listener):
            yield
    finally:
        if listener.began:
            _tell(None)


def _tell(what: str | None) -> None:
    for watcher in _watchers:
        watcher(what)
