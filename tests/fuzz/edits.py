"""Structured mutations: one change each, anywhere in a document of plain data."""

from __future__ import annotations

import copy
import unicodedata
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

from tests.fuzz.values import NUMBERS, STAMPS, TEXTS, Pairs, Raw, odd_value

Spot = tuple[Any, Any]
"""A container, and the key or index of a value in it."""


def edit(rng: Random, data: Any, kind: str, *, gentle: bool) -> Any:
    """Change one thing of a document; returns it, for the whole may be replaced."""
    spots = list(_spots(data))
    if not spots or (rng.random() < 0.01 and not gentle):
        return odd_value(rng)
    spot = _weighted(rng, spots)
    change = rng.choice(GENTLE if gentle else CHANGES)
    change(rng, spot, spots, kind)
    return data


def _spots(data: Any) -> Iterator[Spot]:
    if isinstance(data, Pairs):
        for _, value in data.items_now():
            yield from _spots(value)
        return
    if isinstance(data, dict | list):
        for key in list(data) if isinstance(data, dict) else range(len(data)):
            yield data, key
            yield from _spots(data[key])


def _weighted(rng: Random, spots: list[Spot]) -> Spot:
    """Spots of long lists are many alike; those above them are as likely as all of these."""
    if rng.random() < 0.3:
        return rng.choice(spots[: max(1, len(spots) // 8)])
    return rng.choice(spots)


def _delete(rng: Random, spot: Spot, spots: list[Spot], kind: str) -> None:
    del spot[0][spot[1]]


def _odd(rng: Random, spot: Spot, spots: list[Spot], kind: str) -> None:
    holder, key = spot
    if isinstance(holder[key], int | float) and rng.random() < 0.7:
        holder[key] = rng.choice(NUMBERS)
    elif isinstance(holder[key], str) and rng.random() < 0.7:
        holder[key] = rng.choice(STAMPS if key == "timestamp" else TEXTS)
    else:
        holder[key] = odd_value(rng)


def _tweak(rng: Random, spot: Spot, spots: list[Spot], kind: str) -> None:
    """A value near the one that stands there."""
    holder, key = spot
    value = holder[key]
    if isinstance(value, bool):
        holder[key] = rng.choice([not value, int(value), str(value).lower()])
    elif isinstance(value, int | float):
        value = value if -1e300 < value < 1e300 else 1e300
        holder[key] = rng.choice(
            [value + 1, value - 1, -value, value * 2, value * 1.5, value * 1e-6, value * 1e6,
            value / 7,
             str(value), float(value), bool(value), [value], value * 1.0000001, value * (1 - 1e-12)]
        )  # fmt: skip
    elif isinstance(value, str):
        holder[key] = _near(rng, value)
    elif isinstance(value, list):
        change = rng.randrange(5)
        if change == 0:
            rng.shuffle(value)
        elif change == 1 and value:
            value.extend(copy.deepcopy(value) * rng.choice([1, 30]))
        elif change == 2:
            value.append(odd_value(rng))
        elif change == 3:
            value.reverse()
        else:
            holder[key] = {str(i): v for i, v in enumerate(value)}
    elif isinstance(value, dict):
        holder[key] = rng.choice([list(value.values()), list(value), dict(reversed(value.items()))])


def _near(rng: Random, text: str) -> str:
    return rng.choice(
        [text.upper(), text + " ", " " + text, text + "s", text[:-1], text[::-1], text * 2,
        text + "\n",
         unicodedata.normalize("NFD", text), text.replace("a", "а"), text + "\u200b",
         "\ufeff" + text, text.replace("_", "-"), text.title(), text + "\x1b[0m"]
    )  # fmt: skip


def _rename(rng: Random, spot: Spot, spots: list[Spot], kind: str) -> None:
    holder, key = spot
    if isinstance(holder, dict):
        new = rng.choice([_near(rng, str(key)), rng.choice(TEXTS), rng.choice(field_names(kind))])
        items = [(new if k == key else k, v) for k, v in holder.items()]
        holder.clear()
        holder.update(items)


def _copy(rng: Random, spot: Spot, spots: list[Spot], kind: str) -> None:
    other, key = rng.choice(spots)
    spot[0][spot[1]] = copy.deepcopy(other[key])


def _swap(rng: Random, spot: Spot, spots: list[Spot], kind: str) -> None:
    """Two values change places: ids, ends of edges, servers of replicas."""
    holder, key = spot
    same = [s for s in spots if s[1] == key and s[0] is not holder]
    other, at = rng.choice(same or spots)
    holder[key], other[at] = copy.deepcopy(other[at]), copy.deepcopy(holder[key])


def _double(rng: Random, spot: Spot, spots: list[Spot], kind: str) -> None:
    """A key or an element stands twice."""
    holder, key = spot
    if isinstance(holder, list):
        holder.insert(rng.randint(0, len(holder)), copy.deepcopy(holder[key]))
    elif isinstance(holder[key], dict):
        pairs = Pairs(holder[key].items())
        if pairs:
            name, value = rng.choice(pairs)
            pairs.append((name, rng.choice([value, odd_value(rng)])))
        holder[key] = pairs


def _add(rng: Random, spot: Spot, spots: list[Spot], kind: str) -> None:
    """A field that is known somewhere, or nowhere, with a value at an edge."""
    holder, key = spot
    inside = holder[key] if isinstance(holder[key], dict) else holder
    if isinstance(inside, dict):
        name = rng.choice([*field_names(kind), rng.choice(TEXTS), "zzz"])
        inside[name] = rng.choice(NUMBERS) if rng.random() < 0.5 else odd_value(rng)


def _wrap(rng: Random, spot: Spot, spots: list[Spot], kind: str) -> None:
    holder, key = spot
    value = holder[key]
    holder[key] = rng.choice([[value], {"value": value}, [value, value], {str(key): value}])


def _unwrap(rng: Random, spot: Spot, spots: list[Spot], kind: str) -> None:
    holder, key = spot
    value = holder[key]
    if isinstance(value, dict) and value:
        holder[key] = rng.choice(list(value.values()))
    elif isinstance(value, list) and value:
        holder[key] = rng.choice(value)


def _empty(rng: Random, spot: Spot, spots: list[Spot], kind: str) -> None:
    holder, key = spot
    holder[key] = type(holder[key])() if isinstance(holder[key], dict | list | str) else None


def _edge_number(rng: Random, spot: Spot, spots: list[Spot], kind: str) -> None:
    """A figure anywhere becomes one at an edge: most documents stay readable."""
    figures = [s for s in spots if type(s[0][s[1]]) in (int, float)]
    if figures:
        holder, key = rng.choice(figures)
        holder[key] = rng.choice(NUMBERS)


def _within(rng: Random, spot: Spot, spots: list[Spot], kind: str) -> None:
    """A figure becomes one that the schema still allows: what can be read goes on to be solved."""
    limits = bounds(kind)
    known = [s for s in spots if s[1] in limits and type(s[0]) is dict]
    times = [s for s in spots if s[1] == "node_execution_times" and s[0][s[1]]]
    if times and (not known or rng.random() < 0.8):
        holder, key = rng.choice(times)
        if isinstance(holder[key], dict):
            holder[key][rng.choice(list(holder[key]))] = rng.choice(SECONDS)
    elif known:
        holder, key = rng.choice(known)
        low, high, whole = limits[key]
        inside = [low, low + 1, high, (low + high) / 2, max(low, 1e-12), max(low, 1e-300)]
        inside += [max(low, 1e-6), (low + 1) * 1.5, min(high, 1e4), min(high, 3), min(high, 17)]
        value = rng.choice([1, 2, 3, 8] if key in LARGE and rng.random() < 0.9 else inside)
        holder[key] = int(value) if whole else value


LARGE = ("count", "gpus", "gpus_required", "max_concurrency")
"""What takes long at its greatest, and so seldom is."""
SECONDS = (
    0,
    0.0,
    1e-300,
    1e-12,
    1e-9,
    1e-6,
    1e-3,
    1,
    60,
    3600,
    1e5,
    1e6,
    1e8,
    1e9,
    1.0000001,
    5e-324,
)


def _new_edge(rng: Random, spot: Spot, spots: list[Spot], kind: str) -> None:
    """An edge between any two nodes: cycles, loops, duplicates."""
    flows = [
        h[k] for h, k in spots if isinstance(h[k], dict) and isinstance(h[k].get("nodes"), list)
    ]
    if not flows:
        _swap(rng, spot, spots, kind)
        return
    flow = rng.choice(flows)
    ids = [n["id"] for n in flow["nodes"] if isinstance(n, dict) and "id" in n] or ["x"]
    edge = {"from": rng.choice(ids), "to": rng.choice(ids)}
    if isinstance(flow.get("edges"), list):
        flow["edges"].append(edge)
    else:
        flow["edges"] = [edge]


CHANGES = (
    _delete, _odd, _odd, _odd, _tweak, _tweak, _tweak, _rename, _copy, _swap, _swap, _double, _add,
    _add, _wrap, _unwrap, _empty, _edge_number, _edge_number, _edge_number, _new_edge,
)  # fmt: skip
GENTLE = (_within, _within, _within, _within, _swap, _new_edge, _delete)
"""What often leaves a document that can be read."""


@cache
def field_names(kind: str) -> tuple[str, ...]:
    """Every field that the schema of a kind of file names: new ones are tried as they come."""
    from placement.files.json_schema import FILE_KINDS, json_schema

    names: set[str] = set()

    def gather(schema: Any) -> None:
        if isinstance(schema, dict):
            names.update(schema.get("properties", {}))
            for part in schema.values():
                gather(part)
        elif isinstance(schema, list):
            for part in schema:
                gather(part)

    for known in (kind,) if kind in FILE_KINDS else FILE_KINDS:
        gather(json_schema(known))
    return tuple(sorted(names))


@cache
def bounds(kind: str) -> dict[str, tuple[float, float, bool]]:
    """Least and greatest value of every field that holds numbers, and whether they are whole."""
    from placement.files.json_schema import FILE_KINDS, json_schema

    found: dict[str, tuple[float, float, bool]] = {}

    def gather(schema: Any) -> None:
        if isinstance(schema, dict):
            for name, part in schema.get("properties", {}).items():
                for choice in part.get("anyOf", [part]):
                    if choice.get("type") in ("number", "integer"):
                        above = choice.get("exclusiveMinimum", 0) + 1e-12
                        low = choice.get("minimum", above)
                        whole = choice["type"] == "integer"
                        found[name] = (low, choice.get("maximum", 1e12), whole)
            for part in schema.values():
                gather(part)
        elif isinstance(schema, list):
            for part in schema:
                gather(part)

    for known in (kind,) if kind in FILE_KINDS else ():
        gather(json_schema(known))
    return found


def raw_free(data: Any) -> Any:
    """The document with raw text as plain text, for formats that hold no raw text."""
    if isinstance(data, Raw):
        return str(data)
    if isinstance(data, Pairs):
        return {str(k): raw_free(v) for k, v in data.items_now()}
    if isinstance(data, dict):
        return {str(k): raw_free(v) for k, v in data.items()}
    if isinstance(data, list):
        return [raw_free(v) for v in data]
    return data
