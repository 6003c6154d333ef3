"""A document against its schema: pydantic's verdict turned into sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache, partial
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from placement.files.base_entry import Entry
from placement.files.syntax.document import Document, PlacedFault, raise_faults
from placement.files.syntax.yaml_text import dotted_place
from placement.files.unread_fields import UnreadFields
from placement.support.equality import ByContent
from placement.support.faults import Place, Spot, nearest, show

EntryT = TypeVar("EntryT", bound=Entry)

MOST_EXPLAINED = 100
"""Faults of shape that are put in words; further ones are counted."""

LONGEST_FIELD = 40
"""A longer name is no misspelling of any field."""

_EXPECTED = {
    "float_type": ("a number", "write a number, without quotes"),
    "int_type": ("a whole number", "write a whole number, without quotes or decimals"),
    "string_type": ("text", "write it in quotes"),
    "bool_type": ("true or false", "write true or false"),
    "list_type": ("a list", "write a list"),
    "dict_type": ("a mapping", "write a mapping"),
    "model_type": ("a mapping", "write its fields as a mapping"),
    "model_attributes_type": ("a mapping", "write its fields as a mapping"),
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def check_shape(
    kind: type[EntryT],
    document: Document,
    more: Callable[[Any], list[PlacedFault]] = lambda data: [],
) -> tuple[EntryT, list[PlacedFault]]:
    """Validate the data of a document.

    Parameters
    ----------
    kind : type
        Schema of the whole document.
    document : Document
    more : callable, optional
        Finds further faults in data whose shape is wrong elsewhere, to be reported with it.

    Returns
    -------
    entry : instance of `kind`
        Fields that nothing reads are left out, with an `InputWarning` for each.
    misspelt : list of PlacedFault
        Unknown fields that look like an optional one, to be reported with what else is wrong.

    Raises
    ------
    InputError
        With every fault of shape, misspelt fields among them.
    """
    data = document.data
    try:
        entry = kind.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        faults = [_explain(detail, data) for detail in details[:MOST_EXPLAINED]]
        faults += _misspelt_faults(kind, document, faults) + more(data)
        raise_faults(document, faults, len(details[MOST_EXPLAINED:]))
        raise AssertionError("a validation error without a fault") from error
    return entry, _misspelt_faults(kind, document, [])


def well_shaped(kind: type[EntryT], entries: Any) -> dict[str, EntryT]:
    """Give the entries of a mapping whose own shape is right."""
    found = {}
    for key, data in entries.items() if isinstance(entries, dict) else ():
        with suppress(ValidationError):
            found[str(key)] = kind.model_validate(data)
    return found


def _misspelt_faults(
    kind: type[Entry], document: Document, known: list[PlacedFault]
) -> list[PlacedFault]:
    """Faults of fields that look like an absent one; the others get a warning."""
    missing = {f.place for f in known if f.wrong == "is missing"}
    faults = []
    unread = UnreadFields(document.path)
    for place, key, entry in _unknown(kind, document.data, ()):
        fields = _fields_of(entry)
        holder = _at(document.data, place)
        meant = close_field(key, tuple(name for name in fields.known if name not in holder))
        here = (*place, key)
        if meant is None:
            unread.add((entry, key), partial(_spot, document, here), fields.known)
        elif (*place, meant) not in missing:
            wrong = "is no field that is known here"
            faults.append(PlacedFault(here, wrong, f"did you mean {meant!r}?"))
    if not known:
        unread.warn()
    return faults


def _spot(document: Document, place: Place) -> Spot:
    return Spot(document, place, dotted_place(place))


def _explain(detail: Any, data: Any) -> PlacedFault:
    kind: str = detail["type"]
    place = _real_place(detail["loc"], data)
    value = detail["input"]
    context = detail.get("ctx", {})
    if kind == "missing":
        name = str(detail["loc"][-1])
        holder = _at(data, place)
        present = [str(k) for k in holder] if isinstance(holder, dict) else []
        close = nearest(name, present)
        return PlacedFault(
            (*place, name),
            "is missing",
            f"add it, or did you misspell it as {close!r}?" if close else "add it",
        )
    if kind in _EXPECTED:
        expected, mend = _EXPECTED[kind]
        if not place:
            return PlacedFault(place, f"holds {show(value)}, not {expected}", "check the file")
        return PlacedFault(place, f"is {show(value)}, not {expected}", mend)
    if kind == "finite_number":
        return PlacedFault(place, f"is {show(value)}, no finite number", "write a finite number")
    if kind in _BOUNDS:
        name, word = _BOUNDS[kind]
        bound = f"{context[name]:g}"
        return PlacedFault(place, f"is {show(value)}", f"it must be {word} {bound}")
    if kind in ("too_short", "string_too_short"):
        return PlacedFault(place, "is empty", "give at least one entry, or a name")
    if kind == "string_too_long":
        return PlacedFault(place, "is far too long for a name", "shorten it")
    if kind == "value_error":
        sentence = str(context.get("error", detail["msg"]))
        return PlacedFault(place, f"is {show(value)}", f"it {sentence}")
    return PlacedFault(place, f"is {show(value)}: {detail['msg']}", "see docs/configuration.md")


def _real_place(loc: tuple[str | int, ...], data: Any) -> Place:
    """Keep of pydantic's location what the data have: it adds marks for keys and unions."""
    place: list[str | int] = []
    for part in loc:
        has = (
            part in data
            if isinstance(data, dict)
            else (isinstance(data, list) and isinstance(part, int) and part < len(data))
        )
        if not has:
            break
        data = data[part]
        place.append(part)
    return tuple(place)


@dataclass(frozen=True, eq=False)
class _Fields(ByContent):
    """Names of the fields of a schema, and those that hold further schemas."""

    known: dict[str, None]  # in their order
    nested: tuple[tuple[str, type[BaseModel], type | None], ...]


@cache
def _fields_of(entry: type[BaseModel]) -> _Fields:
    fields = {f.alias or name: f for name, f in entry.model_fields.items()}
    inner = {name: _entry_of(f.annotation) for name, f in fields.items()}
    nested = tuple((name, e, container) for name, (e, container) in inner.items() if e)
    return _Fields(dict.fromkeys(fields), nested)


def _unknown(
    entry: type[BaseModel], data: Any, place: Place
) -> Iterator[tuple[Place, str, type[BaseModel]]]:
    """Find fields that are not in the schema: where, the field, and the schema that lacks it."""
    if not isinstance(data, dict):
        return
    fields = _fields_of(entry)
    for key in data:
        if key not in fields.known:
            yield place, key, entry
    for name, inner, container in fields.nested:
        value = data.get(name)
        if container is None:
            yield from _unknown(inner, value, (*place, name))
        elif container is list and isinstance(value, list):
            for i, item in enumerate(value):
                yield from _unknown(inner, item, (*place, name, i))
        elif container is dict and isinstance(value, dict):
            for key, item in value.items():
                yield from _unknown(inner, item, (*place, name, key))


def _at(data: Any, place: Place) -> Any:
    for part in place:
        data = data[part]
    return data


@lru_cache(10_000)
def close_field(key: str, absent: tuple[str, ...]) -> str | None:
    """Name the absent field that `key` nearly spells; another word is no misspelling."""
    if not absent or len(key) > LONGEST_FIELD:
        return None
    found = get_close_matches(key.lower().replace("-", "_"), absent, n=1, cutoff=0.8)
    return found[0] if found else None


def _entry_of(kind: Any) -> tuple[type[BaseModel] | None, type | None]:
    """Find the schema inside an annotation, and whether a list or mapping holds it."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind, None
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType, Annotated):
        return next((r for a in arguments if (r := _entry_of(a))[0]), (None, None))
    if origin in (list, dict):
        inner, container = _entry_of(arguments[-1])
        return (inner, origin) if inner is not None and container is None else (None, None)
    return None, None
