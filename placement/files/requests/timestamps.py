"""ISO 8601 time stamps as microseconds, a million in a blink."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any

import numpy as np
import polars as pl

from placement.problem.cluster import IntArray
from placement.support.faults import FaultList, Spot, show

EPOCH = datetime(1970, 1, 1)
FIRST_US, LAST_US = ((t - EPOCH) // timedelta(microseconds=1) for t in (datetime.min, datetime.max))
"""What a calendar date can be: the years 1 to 9999."""
_ISO_DATE = re.compile(r"\d{4}-?\d\d-?\d\d")
_OFFSET = re.compile(r"(?:Z|[+-]\d\d:\d\d)$")
_FASTEST = "%Y-%m-%dT%H:%M:%S%.f"
_FASTEST_FORM = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]+)?$"
"""What both readers take for the same moment: polars knows years beyond 9999 and leap seconds."""
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

    def read(self, stamps: Sequence[Any], place: Callable[[int], str | Spot]) -> IntArray:
        """Read stamps (text, or polars date-times) as microseconds since 1970, shape (B,).

        A stamp that is wrong is noted as a fault of ``place(i)`` and given as 0.
        """
        if isinstance(stamps, pl.Series) and stamps.dtype.is_temporal():
            return self._read_temporal(stamps, place)
        values = stamps.to_list() if isinstance(stamps, pl.Series) else stamps
        fast = self._read_fast(values)
        return self._read_each(values, place) if fast is None else fast

    def start(self, first_us: int) -> datetime:
        """Give the moment of a reading, in the zone of the trace."""
        return (EPOCH + timedelta(microseconds=first_us)).replace(tzinfo=self.zone)

    def _read_fast(self, stamps: Sequence[Any]) -> IntArray | None:
        """Read stamps that are all text of the most usual form, with one offset or none."""
        if set(map(type, stamps)) != {str}:
            return None
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
