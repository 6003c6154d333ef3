"""ISO 8601 time stamps as microseconds, a million in a blink."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placement.problem.cluster import IntArray
from placement.support.faults import FaultList, Spot, show

if TYPE_CHECKING:
    import polars as pl

EPOCH = datetime(1970, 1, 1)
FIRST_US, LAST_US = ((t - EPOCH) // timedelta(microseconds=1) for t in (datetime.min, datetime.max))
"""What a calendar date can be: the years 1 to 9999."""
_ISO_DATE = re.compile(r"\d{4}-?\d\d-?\d\d")
_OFFSET = re.compile(r"(?:Z|[+-]\d\d:\d\d)$")
_FASTEST = "%Y-%m-%dT%H:%M:%S%.f"
_FASTEST_FORM = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]+)?$"
"""What both readers take for the same moment: polars knows years beyond 9999 and leap seconds."""
_UNIFORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(Z|[+-]\d\d:\d\d)?")
FAST_FROM = 20_000
"""Stamps of several lengths from which it is worth loading polars to read them."""
_MEND = "write ISO 8601, such as 2026-01-31T12:00:00.5"


@dataclass
class Clock:
    """Turns time stamps into local microseconds, and holds them to one offset to UTC.

    Parameters
    ----------
    faults : FaultList
        Where bad stamps are noted.
    zone : tzinfo or None
        Offset of the first stamp; None where it states none.
    """

    faults: FaultList
    zone: tzinfo | None = None
    _offset: timedelta | None = field(default=None, init=False)
    _started: bool = field(default=False, init=False)

    def read(
        self, stamps: Sequence[Any] | pl.Series, place: Callable[[int], str | Spot]
    ) -> IntArray:
        """Read stamps (text, or polars date-times) as microseconds since 1970, shape (B,).

        A stamp that is wrong is noted as a fault of ``place(i)`` and given as 0.
        """
        if isinstance(stamps, Sequence):
            alike = set(map(type, stamps)) == {str} and len(set(map(len, stamps))) == 1
            text = "".join(stamps) if alike else ""
        else:
            if stamps.dtype.is_temporal():
                return self._read_temporal(stamps, place)
            widths = stamps.str.len_bytes()
            alike = not stamps.null_count() and widths.min() == widths.max()
            text = stamps.str.join("")[0] if alike else ""
        fast = self._read_uniform(stamps[0], text) if text else None
        if fast is None:
            values = stamps if isinstance(stamps, Sequence) else stamps.to_list()
            fast = self._read_fast(values) if len(values) >= FAST_FROM else None
            return self._read_each(values, place) if fast is None else fast
        return fast

    def start(self, first_us: int) -> datetime:
        """Give the moment of a reading, in the zone of the trace."""
        return (EPOCH + timedelta(microseconds=first_us)).replace(tzinfo=self.zone)

    def _read_uniform(self, stamp: str, text: str) -> IntArray | None:
        """Read stamps of the most usual form that differ in nothing but their digits.

        `text` holds all of them end to end; they have one length, and `stamp` is the first.
        """
        found = _UNIFORM.fullmatch(stamp) if text.isascii() else None
        if found is None:
            return None
        first = _parse(stamp)
        offset = first.utcoffset() if first else None
        if first is None or (self._started and offset != self._offset):
            return None
        width = len(stamp)
        marks = np.frombuffer(text.encode(), dtype=np.uint8).reshape(-1, width)
        end = found.start(1) if found[1] else width
        fixed = [i for i in range(width) if i >= end or not stamp[i].isdigit()]
        if (marks[:, fixed] != marks[0, fixed]).any():
            return None
        digits = marks[:, :end] - np.uint8(ord("0"))
        digits[:, [i for i in fixed if i < end]] = 0
        if (digits > 9).any():
            return None
        micros = _microseconds(digits)
        if micros is not None and not self._started:
            self._started, self._offset, self.zone = True, offset, first.tzinfo
        return micros

    def _read_fast(self, stamps: Sequence[Any]) -> IntArray | None:
        """Read stamps that are all text of the most usual form, with one offset or none."""
        if set(map(type, stamps)) != {str}:
            return None
        import polars as pl  # a fifth of a second that only long traces need

        texts = pl.Series(stamps)
        zone = None
        if found := _OFFSET.search(stamps[0]):
            moment = _parse(stamps[0])
            if moment is None or not texts.str.ends_with(found[0]).all():
                return None
            zone = moment.tzinfo
            texts = texts.str.strip_suffix(found[0])
        offset = zone.utcoffset(None) if zone else None
        if self._started and offset != self._offset:
            return None
        if not texts.str.contains(_FASTEST_FORM).all():
            return None
        micros = texts.str.to_datetime(_FASTEST, time_unit="us", strict=False)
        found_us = micros.cast(pl.Int64).to_numpy()
        if micros.null_count() or found_us.min() < FIRST_US:  # polars has a year 0
            return None
        if not self._started:
            self._started, self._offset, self.zone = True, offset, zone
        return found_us

    def _read_temporal(self, stamps: pl.Series, place: Callable[[int], str | Spot]) -> IntArray:
        import polars as pl  # loaded by whoever made the series

        zone = getattr(stamps.dtype, "time_zone", None)
        self._started = True
        if zone is not None:
            # One column has one zone; in UTC its order and differences are plain numbers.
            stamps = stamps.dt.convert_time_zone("UTC")
            self.zone = pl.Series([EPOCH]).dt.replace_time_zone("UTC")[0].tzinfo
        if stamps.dtype == pl.Date:
            per_us, unit = 86_400_000_000, "days"
        else:
            unit = getattr(stamps.dtype, "time_unit", "us")
            per_us = {"ms": 1000, "us": 1}.get(unit, 0)
        counts = stamps.to_physical().cast(pl.Int64).to_numpy()
        if not per_us:
            return np.asarray(counts // 1000)  # nanoseconds reach from 1677 to 2262
        beyond = (counts < FIRST_US // per_us) | (counts > LAST_US // per_us)
        for n, i in enumerate(np.flatnonzero(beyond)):
            if self.faults.full:
                self.faults.count(int(beyond.sum()) - n)
                break
            wrong = f"is {counts[i]} {unit} since 1970, outside the years 1 to 9999"
            self.faults.add(place(int(i)), wrong, _MEND)
        return np.asarray(np.where(beyond, 0, counts) * per_us)

    def _read_each(self, stamps: Sequence[Any], place: Callable[[int], str | Spot]) -> IntArray:
        micros = np.zeros(len(stamps), dtype=np.int64)
        for i, stamp in enumerate(stamps):
            moment = _parse(stamp)
            if moment is None:
                wrong = "is missing" if stamp is None else f"is {show(stamp)}, no time stamp"
                self.faults.add(place(i), wrong, _MEND)
                continue
            offset = moment.utcoffset()
            if not self._started:
                self._started, self._offset, self.zone = True, offset, moment.tzinfo
            elif offset != self._offset:
                self.faults.add(
                    place(i),
                    f"is {show(stamp)}, {_offset(offset)}, where the first has "
                    f"{_offset(self._offset)}",
                    "write all time stamps in one time zone, best in UTC",
                )
            micros[i] = (moment.replace(tzinfo=None) - EPOCH) // timedelta(microseconds=1)
        return micros


def _microseconds(digits: NDArray[np.uint8]) -> IntArray | None:
    """Turn the digits of ``YYYY-MM-DDThh:mm:ss.ffffff``, shape (B, 19 to 26), into microseconds.

    None where one is no moment of the years 1 to 9999.
    """

    def number(first: int, last: int) -> IntArray:
        value = np.zeros(len(digits), dtype=np.int64)
        for i in range(first, last):
            value = value * 10 + digits[:, i]
        return value

    year, month, day = number(0, 4), number(5, 7), number(8, 10)
    hour, minute, second = number(11, 13), number(14, 16), number(17, 19)
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    begin, end = ((months + i).astype("datetime64[D]").astype(np.int64) for i in (0, 1))
    right = (year > 0) & (month > 0) & (month < 13) & (day > 0) & (day <= end - begin)
    if not (right & (hour < 24) & (minute < 60) & (second < 60)).all():
        return None
    seconds = (((begin + day - 1) * 24 + hour) * 60 + minute) * 60 + second
    width = digits.shape[1]
    micros: IntArray = seconds * 1_000_000 + number(20, width) * 10 ** max(0, 26 - width)
    return micros


def _parse(stamp: Any) -> datetime | None:
    # Python reads more than ISO dates here ("20250101T00"), but never a bare number.
    if not isinstance(stamp, str) or not _ISO_DATE.match(stamp.strip()):
        return None
    try:
        moment = datetime.fromisoformat(stamp.strip())
        moment.utcoffset()
    except ValueError:
        return None
    return moment


def _offset(offset: timedelta | None) -> str:
    if offset is None:
        return "no time zone"
    minutes = int(offset.total_seconds() // 60)
    sign = "-" if minutes < 0 else "+"
    return f"offset {sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
