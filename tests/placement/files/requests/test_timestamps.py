"""Whole columns of time stamps read as one stamp after the other would be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.files.requests.timestamps import Clock
from placement.support.faults import SHOWN_FAULTS, FaultList

ZONES = (None, UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8)))


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("letter", [False, True])
def test_a_column_is_read_as_its_stamps_are(zone: timezone | None, letter: bool) -> None:
    """Microseconds, zone and start of a column are those that Python reads from each stamp."""
    rng = np.random.default_rng(0)
    moments = [
        datetime(2026, 3, 1, tzinfo=zone) + timedelta(microseconds=int(us))
        for us in np.sort(rng.integers(10**13, size=300))
    ]
    texts = [m.isoformat() for m in moments]
    if letter:
        texts = [t.replace("+00:00", "Z") for t in texts]
    faults = FaultList("trace.csv")
    clock = Clock(faults)
    found = np.concatenate([clock.read(texts[:200], str), clock.read(texts[200:], str)])
    assert not faults
    expected = [(m - moments[0]) // timedelta(microseconds=1) for m in moments]
    np.testing.assert_array_equal(found - found[0], expected)
    assert clock.start(int(found[0])) == moments[0]
    assert clock.start(int(found[0])).utcoffset() == moments[0].utcoffset()


@pytest.mark.parametrize("second", ["2026-03-01T00:00:01", "2026-03-01T00:00:01+01:00"])
@pytest.mark.parametrize("together", [False, True])
def test_another_offset_is_a_fault_wherever_it_comes(second: str, together: bool) -> None:
    """A stamp of another zone is found in the same column and in a later batch."""
    faults = FaultList("trace.csv")
    clock = Clock(faults)
    first = "2026-03-01T00:00:00+00:00"
    for batch in [[first, second]] if together else [[first], [second]]:
        clock.read(batch, str)
    assert "where the first has" in str(faults.faults[0])


def moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def test_columns_have_the_calendar_of_python() -> None:
    """Every month from 0 to 13, every day from 0 to 32, hours, minutes and seconds beyond a day's.

    One stamp in a column that is right otherwise: read to the second, or refused.
    """
    stamps = [
        f"{year}-{month:02}-{day:02}T12:00:00"
        for year in ("0000", "0001", "1900", "2000", "2023", "2024", "9999")
        for month in range(14)
        for day in range(33)
    ]
    times = [(h, 59, 59) for h in range(26)] + [(23, n, 0) for n in range(62)]
    times += [(23, 0, n) for n in range(62)]
    stamps += ["2024-05-06T{:02}:{:02}:{:02}".format(*t) for t in times]
    right = datetime(2024, 2, 29, 1, 2, 3)
    for stamp in stamps:
        faults = FaultList("trace.csv")
        found = Clock(faults).read([right.isoformat(), stamp], str)
        expected = moment(stamp)
        assert bool(faults) == (expected is None), stamp
        if expected is not None:
            assert found[1] - found[0] == (expected - right) // timedelta(microseconds=1), stamp


DATES = st.one_of(
    st.datetimes().map(lambda t: t.isoformat()),
    st.sampled_from(
        ["0000-01-01T00:00:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999",
         "10000-01-01T00:00:00", "+99999-01-01T00:00:00", "-001-01-01T00:00:00",
         "2026-02-30T00:00:00", "2026-01-01T24:00:00", "2026-01-01T23:59:60", "2026-1-1T0:0:0",
         "2026-01-01T00:00:00,5", "2026-01-01T00:00:00.", "2026-01-01 00:00:00", "2026-01-01T00",
         "20260101T000000", "2026-W01-1", "2026-01-01", "\u0662026-01-01T00:00:00", "1969-12-31",
         "1767225600", "", "2026-01-01T00:00"]
    ),
    st.from_regex(r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9](:[0-6][0-9]){2}", fullmatch=True),
)  # fmt: skip
FRACTIONS = st.one_of(st.just(""), st.from_regex(r"\.[0-9]{1,12}", fullmatch=True))
OFFSETS = st.sampled_from(["", "", "Z", "+00:00", "-00:00", "+05:30", "-23:59", "+24:00", "z", " "])
BLANKS = st.sampled_from(["", "", "", " ", "\n", "\t", "\u2028"])
STAMPS = st.tuples(BLANKS, DATES, FRACTIONS, OFFSETS, BLANKS).map("".join)


UNIFORM = st.integers(0, 6).flatmap(
    lambda digits: st.lists(
        st.from_regex(
            r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9](:[0-6][0-9]){2}"
            + (rf"\.[0-9]{{{digits}}}" if digits else "")
            + r"(\+01:00)?",
            fullmatch=True,
        ),
        min_size=1,
        max_size=4,
    )
)
"""Stamps of one length, more or less, of which many are moments."""


@given(stamps=st.one_of(st.lists(STAMPS, min_size=1, max_size=4), UNIFORM))
@settings(max_examples=400, deadline=None)
def test_both_ways_of_reading_accept_the_same_stamps(stamps: list[str]) -> None:
    """The whole column at once, or one after the other: the same moments, or both refuse."""

    def read(way: str) -> tuple[list[int], object, bool]:
        clock = Clock(FaultList("trace.csv"))
        if way == "many":  # as a long column whose stamps have several lengths
            found = clock._read_fast(stamps)
            found = clock._read_each(stamps, str) if found is None else found
        elif way == "one by one":
            found = clock._read_each(stamps, str)
        else:
            found = clock.read(stamps if way == "list" else pl.Series(stamps), str)
        return found.tolist(), clock.zone, bool(clock.faults)

    slow = read("one by one")
    for way in ("list", "series", "many"):
        assert read(way) == slow
    moments, _, refused = slow
    if not refused:
        assert Clock(FaultList("")).start(moments[0]).year >= 1


@pytest.mark.parametrize(
    "kind", [pl.Date, *(pl.Datetime(u) for u in ("ms", "us", "ns")), pl.Datetime("us", "UTC")]
)
def test_moments_that_no_calendar_has_are_refused(kind: pl.DataType) -> None:
    """Tables can hold counts far beyond the year 9999; what fits is read to the microsecond."""
    wide = pl.Series([0, 2**30, -(2**30)], dtype=pl.Int32 if kind == pl.Date else pl.Int64)
    if kind != pl.Date:
        wide = wide * 2**32
    faults = FaultList("trace.parquet")
    found = Clock(faults).read(wide.cast(kind), lambda i: f"row {i + 1}")  # type: ignore[arg-type]
    assert found[0] == 0
    if kind == pl.Datetime("ns"):  # all of its moments are within the calendar
        assert not faults
        assert found.tolist() == [0, *(int(n) * 2**62 // 1000 for n in (1, -1))]
        return
    assert [f.key for f in faults.faults] == ["row 2", "row 3"]
    assert "outside the years 1 to 9999" in str(faults.faults[0])


@given(
    moments=st.lists(st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)), min_size=1),
    unit=st.sampled_from(["ms", "us", "ns"]),
    zone=st.sampled_from([None, "UTC", "Asia/Kathmandu"]),
)
@settings(max_examples=60, deadline=None)
def test_moments_of_a_table_are_those_that_were_put_in(
    moments: list[datetime], unit: Literal["ms", "us", "ns"], zone: str | None
) -> None:
    """In whatever unit and zone it holds them; days in whole ones."""
    column = pl.Series(moments, dtype=pl.Datetime("us")).cast(pl.Datetime(unit))
    faults = FaultList("trace.parquet")
    if zone is not None:
        column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    found = Clock(faults).read(column, str)
    days = Clock(faults).read(column.dt.replace_time_zone(None).dt.date(), str)
    assert not faults
    finest = timedelta(microseconds=1000 if unit == "ms" else 1)
    epoch = datetime(1970, 1, 1)
    expected = [(m - epoch) // finest * finest // timedelta(microseconds=1) for m in moments]
    assert found.tolist() == expected
    if zone != "Asia/Kathmandu":
        day = timedelta(days=1)
        assert days.tolist() == [(m - epoch) // day * 86_400_000_000 for m in moments]


def test_a_column_of_impossible_moments_is_counted_not_listed() -> None:
    """Twenty sentences however many rows there are."""
    faults = FaultList("trace.parquet")
    column = pl.Series([2**62] * 500, dtype=pl.Int64).cast(pl.Datetime("us"))
    Clock(faults).read(column, lambda i: f"row {i + 1}")  # type: ignore[arg-type]
    assert (len(faults.faults), faults.more) == (SHOWN_FAULTS, 500 - SHOWN_FAULTS)


@pytest.mark.parametrize(
    "stamp", ["2026-W01-1", "2026W01", "20260101T00", "1767225600", " 2026-01-01T00:00:00 ", ""]
)
def test_dates_are_written_out(stamp: str) -> None:
    """Weeks of a year and bare numbers are none, though Python reads some; spaces do not matter."""
    faults = FaultList("trace.csv")
    Clock(faults).read([stamp], str)
    assert bool(faults) == (stamp.strip()[:7] not in ("2026-01", "2026010"))
