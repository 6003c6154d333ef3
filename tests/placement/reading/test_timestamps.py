"""Whole columns of time stamps read as one stamp after the other would be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from placement.reading.faults import FaultList
from placement.reading.timestamps import Clock

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
