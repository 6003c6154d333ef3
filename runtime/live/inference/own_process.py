"""A model in a process of its own, as serving engines run: replicas share a GPU, not a Python."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from runtime.live.inference import Engine
from runtime.live.kinds import Kind
from runtime.live.replies import Asked


class OwnProcess:
    """Loads a model in a new process, and hands it one call after the other.

    Loading begins at once and goes on beside others; whatever is asked first waits for it. The
    process ends with this one, however that ends.

    Parameters
    ----------
    load : callable
        Makes the engine; must be picklable, with what it is bound to.
    """

    def __init__(self, load: Callable[[], Engine | None]) -> None:
        context = multiprocessing.get_context("spawn")  # CUDA bears no fork
        self._pipe, other = context.Pipe()
        self._lock = threading.Lock()
        self._process = context.Process(target=_work, args=(load, other), daemon=True)
        self._process.start()
        other.close()
        self._called: tuple[Kind, Mapping[str, Any], str | None] | None = None

    def wait(self) -> None:
        """Wait until it is loaded.

        Raises
        ------
        ValueError
            With what loading it said was wrong.
        RuntimeError
            Where the process has ended.
        """
        with self._lock:
            if self._called is None:
                self._called = self._received()

    @property
    def kind(self) -> Kind:
        """Interface by which it is called."""
        return self._known()[0]

    @property
    def body(self) -> Mapping[str, Any]:
        """What a call sends besides, or in place of, the fields of its kind."""
        return self._known()[1]

    @property
    def output(self) -> str | None:
        """Place of the output in the answer, None for that of its kind."""
        return self._known()[2]

    def answer(self, asked: Asked) -> Any:
        """Infer in the process; calls at once wait for each other.

        Raises
        ------
        ValueError
            Where the call is at fault.
        RuntimeError
            Where the process has ended.
        """
        self.wait()
        with self._lock:
            try:
                self._pipe.send(asked)
            except OSError:
                raise self._ended() from None
            return self._received()

    def _known(self) -> tuple[Kind, Mapping[str, Any], str | None]:
        self.wait()
        assert self._called is not None
        return self._called

    def _received(self) -> Any:
        try:
            fault, value = self._pipe.recv()
        except (EOFError, OSError):
            raise self._ended() from None
        if fault is not None:
            raise ValueError(fault)
        return value

    def _ended(self) -> RuntimeError:
        self._process.join(1.0)
        return RuntimeError(f"the process of a model ended (code {self._process.exitcode})")


def _work(load: Callable[[], Engine | None], pipe: Connection) -> None:
    """Answer until the other end is closed; a fault of a call is said, any other ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent has it, too, and closes the pipe
    try:
        engine = load()
        if engine is None:
            raise ValueError("there is nothing that infers in the place of this model")
    except ValueError as error:
        pipe.send((str(error), None))
        return
    pipe.send((None, (engine.kind, dict(engine.body), engine.output)))
    while True:
        try:
            asked = pipe.recv()
        except EOFError:
            return
        said: tuple[str | None, Any]
        try:
            said = None, engine.answer(asked)
        except ValueError as error:
            said = str(error), None
        pipe.send(said)
