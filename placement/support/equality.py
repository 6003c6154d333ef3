"""Equality and hashes of data that holds arrays: by content, where `==` of arrays has no truth."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Set
from dataclasses import fields
from typing import Any

import numpy as np


class ByContent:
    """Base of frozen dataclasses with arrays or dictionaries (``eq=False``).

    Two of one class are equal where all their fields are: arrays of the same shape and the same
    values (NaN equals NaN), containers item by item. Equal ones have equal hashes.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(
            _same(getattr(self, f.name), getattr(other, f.name))
            for f in fields(self)  # type: ignore[arg-type]
            if f.compare
        )

    def __hash__(self) -> int:
        own = fields(self)  # type: ignore[arg-type]
        return hash(tuple(_hashable(getattr(self, f.name)) for f in own if f.compare))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
            return False
        # Text and objects have no NaN.
        return np.array_equal(a, b, equal_nan=a.dtype.kind in "fc" and b.dtype.kind in "fc")
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(v, b[k]) for k, v in a.items())
    if isinstance(a, list | tuple) and type(a) is type(b):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


def _hashable(value: Any) -> Hashable:
    if isinstance(value, np.ndarray):
        # Equal numbers of other types have equal hashes as Python's own numbers; NaN has its own.
        values = value.ravel().tolist()
        return value.shape, tuple(None if v != v else v for v in values)
    if isinstance(value, Mapping):
        return frozenset((k, _hashable(v)) for k, v in value.items())
    if isinstance(value, Set):
        return frozenset(map(_hashable, value))
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    found: Hashable = value
    return found
