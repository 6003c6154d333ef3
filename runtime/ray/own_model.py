"""A user's class that serves a model, found by name; a file travels to the nodes as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from placement.problem.workload import Model
from runtime.live.kinds import KINDS, Kind
from runtime.live.replies import Asked

MEND = "write MODEL=module:Class or MODEL=path/to/file.py:Class"


@dataclass(frozen=True)
class OwnModel:
    """A class of the user's, to be made on the node that serves it.

    Parameters
    ----------
    place : str
        Module, or path of the file.
    name : str
        Of the class.
    source : str or None
        Text of the file; None for a module, which every node must have.
    """

    place: str
    name: str
    source: str | None

    def make(self, model: Model) -> OwnEngine:
        """Import the class and make one of it.

        Raises
        ------
        ValueError
            With a sentence, where its code does not run.
        """
        where = f"{self.place}:{self.name}"
        try:
            if self.source is None:
                found = getattr(import_module(self.place), self.name)
            else:
                names: dict[str, Any] = {"__name__": Path(self.place).stem, "__file__": self.place}
                exec(compile(self.source, self.place, "exec"), names)
                found = names[self.name]
            return OwnEngine(where, found(model))
        except Exception as error:
            raise ValueError(
                f"{where}: making it raised {type(error).__name__}: {error}; mend it"
            ) from error


class OwnEngine:
    """What the user's class says of itself, with defaults: `runtime.live.inference.Engine`.

    Parameters
    ----------
    where : str
        Where the class was found, for sentences.
    made : any
        With ``answer(asked)``, and, where they differ from those of a chat, `kind`, `body` and
        `output`.
    """

    def __init__(self, where: str, made: Any) -> None:
        self._made = made
        if not callable(getattr(made, "answer", None)):
            raise TypeError("it has no method answer(asked)")
        self.kind: Kind = getattr(made, "kind", "chat")
        if self.kind not in KINDS:
            raise TypeError(f"its kind is {self.kind!r}, none of {', '.join(KINDS)}")
        self.body: Mapping[str, Any] = getattr(made, "body", {})
        self.output: str | None = getattr(made, "output", None)

    def answer(self, asked: Asked) -> Any:
        """Infer."""
        return self._made.answer(asked)


def own_model(place: str) -> OwnModel:
    """Read ``module:Class`` or ``path/to/file.py:Class``.

    Raises
    ------
    ValueError
        With a sentence, where it is neither or the file cannot be read.
    """
    where, _, name = place.rpartition(":")
    if not where or not name.isidentifier():
        raise ValueError(f"{place!r} names no class; {MEND}")
    if not where.endswith(".py"):
        return OwnModel(where, name, None)
    try:
        return OwnModel(where, name, Path(where).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{where}: {getattr(error, 'strerror', error)}; {MEND}") from error
