"""Routing policies of the user's own, found by name: ``module:name`` or ``folder/file.py:name``."""

from __future__ import annotations

import operator
import sys
import traceback
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from runtime.policies import RoutingPolicy, View

MEND = "write module:name or path/to/file.py:name"


class OwnPolicy:
    """A policy that came from the user's code: its faults are told in sentences.

    Parameters
    ----------
    origin : str
        Where it was found, for those sentences.
    name : str
        Name in logs and tables.
    rule : callable
        ``rule(view) -> replica``.
    """

    def __init__(self, origin: str, name: str, rule: Callable[[View], Any]) -> None:
        self.origin = origin
        self.name = name
        self._rule = rule

    def choose(self, view: View) -> int:
        """Ask the user's rule.

        Raises
        ------
        ValueError
            Where the rule raises, or returns what is no number of a replica.
        """
        try:
            chosen = self._rule(view)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # it may exit, too
            raise ValueError(
                f"{self.origin}:{_line(error)} choosing a replica {_raised(error)}; mend the policy"
            ) from error
        try:
            return operator.index(chosen)
        except TypeError:
            raise ValueError(
                f"{self.origin}: returned {chosen!r} instead of the number of a replica; "
                "return one of view.replicas()"
            ) from None


def load_policy(origin: str) -> RoutingPolicy:
    """Import a policy: an object with ``choose(view)``, a class of such, or a function of `view`.

    Parameters
    ----------
    origin : str
        ``module:name`` (modules of the current folder are found too) or ``path/to/file.py:name``.

    Raises
    ------
    ValueError
        With a sentence on what is wrong: no such module, file or name, code that does not run,
        or an object that is no policy.
    """
    place, colon, name = origin.rpartition(":")
    if not (colon and place and name):
        raise ValueError(f"{origin!r} names no routing policy; {MEND}")
    module = _import_file(place) if place.endswith(".py") else _import_module(place)
    found = _attribute(origin, module, name)
    if found is _ABSENT:
        near = get_close_matches(name, vars(module), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"define it in {place}"
        raise ValueError(f"{origin}: {place} has no {name!r}; {hint}")
    if isinstance(found, type):
        try:
            found = found()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise ValueError(
                f"{origin}: {name}() {_raised(error)}; "
                "let the class be made without arguments, or name an instance"
            ) from error
    rule = _attribute(origin, found, "choose")
    rule = found if rule is _ABSENT else rule
    if not callable(rule):
        raise ValueError(
            f"{origin}: is {type(found).__name__}, no routing policy; "
            "name an object with a method choose(view), or a function of view"
        )
    shown = _attribute(origin, found, "name")
    return OwnPolicy(origin, shown if isinstance(shown, str) else name, rule)


_ABSENT = object()


def _attribute(origin: str, holder: Any, name: str) -> Any:
    """Take an attribute, which the user's code may compute."""
    try:
        return getattr(holder, name, _ABSENT)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ValueError(
            f"{origin}: looking up {name!r} {_raised(error)}; mend the policy"
        ) from error


def _import_file(place: str) -> ModuleType:
    path = Path(place)
    try:
        there = path.is_file()
    except (OSError, ValueError) as error:  # a name too long, or with a NUL in it
        raise ValueError(f"{place}: {getattr(error, 'strerror', error)}; {MEND}") from error
    if not there:
        raise ValueError(f"{place}: there is no such file; {MEND}")
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ValueError(_cannot_import(place, error)) from error
    return module


def _import_module(place: str) -> ModuleType:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return import_module(place)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ValueError(_cannot_import(place, error)) from error
    finally:
        sys.path.remove(here)


def _cannot_import(place: str, error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{place}: line {error.lineno}: is no valid Python ({error.msg}); mend it"
    return f"{place}: importing it {_raised(error)}; mend it"


def _line(error: BaseException) -> str:
    """Name the last line of the user's own file that was running."""
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is the call from here
    own = [f.lineno for f in frames if f.filename == frames[0].filename]
    return f" line {own[-1]}:" if own else ""


def _raised(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"ended the program (SystemExit: {error})"
    return f"raised {type(error).__name__}: {error}"
