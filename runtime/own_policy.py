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
        except Exception as error:
            line = traceback.extract_tb(error.__traceback__)[-1].lineno
            raise ValueError(
                f"{self.origin}: line {line}: choosing a replica raised "
                f"{type(error).__name__}: {error}; mend the policy"
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
    if not hasattr(module, name):
        near = get_close_matches(name, vars(module), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"define it in {place}"
        raise ValueError(f"{origin}: {place} has no {name!r}; {hint}")
    found = getattr(module, name)
    if isinstance(found, type):
        try:
            found = found()
        except Exception as error:
            raise ValueError(
                f"{origin}: {name}() raised {type(error).__name__}: {error}; "
                "let the class be made without arguments, or name an instance"
            ) from error
    rule = getattr(found, "choose", found)
    if not callable(rule):
        raise ValueError(
            f"{origin}: is {type(found).__name__}, no routing policy; "
            "name an object with a method choose(view), or a function of view"
        )
    shown = getattr(found, "name", name)
    return OwnPolicy(origin, shown if isinstance(shown, str) else name, rule)


def _import_file(place: str) -> ModuleType:
    path = Path(place)
    if not path.is_file():
        raise ValueError(f"{place}: there is no such file; {MEND}")
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(_cannot_import(place, error)) from error
    return module


def _import_module(place: str) -> ModuleType:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return import_module(place)
    except Exception as error:
        raise ValueError(_cannot_import(place, error)) from error
    finally:
        sys.path.remove(here)


def _cannot_import(place: str, error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"{place}: line {error.lineno}: is no valid Python ({error.msg}); mend it"
    return f"{place}: importing it raised {type(error).__name__}: {error}; mend it"
