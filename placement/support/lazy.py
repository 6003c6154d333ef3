"""Public names of a package that are imported when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


class LazyPackage(ModuleType):
    """A package that loads the module of a public name when the name is first asked for."""

    __offers__: Mapping[str, str]

    def __getattr__(self, name: str) -> Any:
        if name not in self.__offers__:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        found = getattr(import_module(self.__offers__[name]), name)
        self.__dict__[name] = found
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        # Python puts a module into its package under its name as soon as it is loaded; where that
        # is the name of a function, such as `solve`, the function keeps it.
        if not (isinstance(value, ModuleType) and name in self.__offers__):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__offers__})


def offer(package: str, offers: Mapping[str, str]) -> list[str]:
    """Let a package have names that stand in its modules, without importing these.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    offers : mapping of str to str
        The module of each name.

    Returns
    -------
    list of str
        The names, for ``__all__``.

    References
    ----------
    Python's data model, "Customizing module attribute access".
    """
    module = sys.modules[package]
    module.__dict__["__offers__"] = offers
    module.__class__ = LazyPackage
    return sorted(offers)
