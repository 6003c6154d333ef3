"""CSV text: what a header may be, and rows that lack fields, named by their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from placement.files.syntax.csv_text import check_widths, explain_broken, read_header
from placement.support.faults import InputError


def written(folder: Path, text: str) -> Path:
    path = folder / "t.csv"
    path.write_bytes(text.encode())
    return path


def test_a_header_is_its_names(tmp_path: Path) -> None:
    """Quoted or not, whatever ends the line; a name with a comma is one name."""
    for end in ("\n", "\r\n", ""):
        path = written(tmp_path, 'a,"b,c",d' + end)
        assert read_header(path) == ["a", "b,c", "d"]
    assert read_header(written(tmp_path, "a;b,c\n")) == ["a;b", "c"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a;b\n", "line 1: is separated by semicolons"),
        ("a\tb\n", "line 1: is separated by tabs"),
        ("a,b,a,b\n", "column a: appears twice"),
        ("a,b\rc,d\r", "ends its lines with CR alone"),
    ],
)
def test_what_is_no_header_is_said(text: str, said: str, tmp_path: Path) -> None:
    """With what to do about it."""
    with pytest.raises(InputError, match=said):
        read_header(written(tmp_path, text))


def test_rows_of_another_width_are_named_by_the_line_on_which_they_begin(tmp_path: Path) -> None:
    """Also behind a field of several lines; blank lines are no rows."""
    path = written(tmp_path, 'a,b\n1,2\n\n"x\ny",3\n4\n5,6,7\n8,9\n')
    with pytest.raises(InputError) as found:
        check_widths(path, 2)
    assert [str(f).split(": ", 1)[1].split(";")[0] for f in found.value.faults] == [
        "line 6: has 1 fields, the header 2",
        "line 7: has 3 fields, the header 2",
    ]


def test_where_the_fast_reader_has_counted_only_what_it_can_miss_is_looked_at(
    tmp_path: Path,
) -> None:
    """As many commas as rows ask for are enough, unless a quote may hide one."""
    check_widths(written(tmp_path, "a,b\n1,2\n3,4\n"), 2, rows=2)
    with pytest.raises(InputError, match="line 3: has 1 fields"):
        check_widths(written(tmp_path, "a,b\n1,2\n3\n"), 2, rows=2)
    with pytest.raises(InputError, match="line 2: has 1 fields"):
        check_widths(written(tmp_path, 'a,b\n"1,2"\n'), 2, rows=1)
    check_widths(written(tmp_path, 'a,b\n"1,2",3\n'), 2, rows=1)


def test_what_broke_the_fast_reader_is_explained(tmp_path: Path) -> None:
    """By the row where that is why, by an open quote, else in the reader's own words."""
    error = ValueError("first\nsecond")
    assert "line 2: has 1 fields" in str(explain_broken(written(tmp_path, "a,b\n1\n"), 2, error))
    open_quote = explain_broken(written(tmp_path, 'a,b\n1,2\n3,"4\n'), 2, error)
    assert "line 3: is no valid CSV" in str(open_quote)
    other = str(explain_broken(written(tmp_path, "a,b\n1,2\n"), 2, error))
    assert "is no valid CSV (first)" in other
    assert "no reason given" in str(explain_broken(written(tmp_path, "a,b\n"), 2, ValueError()))
