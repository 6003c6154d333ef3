"""Axes: round ticks, and numbers as people write them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from placement.problem.cluster import IntArray
from placement.support.escaping import visible


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round values from `low` to `high`, in steps of 1, 2 or 5 times 10^n.

    Parameters
    ----------
    low, high : float
        Ends of the axis.
    count : int
        Steps at most, and at least two fifths of so many.

    Returns
    -------
    list of float
        Ascending multiples of the step, none outside.
    """
    if high <= low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis: powers of ten, with 2 and 5 where they are few."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = (1.0,) if len(decades) > 5 else (1.0, 2.0, 5.0)
    values = [m * 10.0**d for d in decades for m in marks]
    return [v for v in values if low * 0.999 <= v <= high * 1.001]


def plain(value: float) -> str:
    """Three significant digits without an exponent where that stays readable."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "–"
    if value and (abs(value) >= 1e7 or abs(value) < 1e-3):
        return f"{value:.2e}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def percent(share: float, digits: int = 1) -> str:
    """A fraction as percent."""
    return f"{100 * share:.{digits}f} %"


def seconds(value: float) -> str:
    """A time in seconds with its unit."""
    return "–" if math.isnan(value) else f"{plain(value)} s"


def ranges(numbers: IntArray | Sequence[int], most: int = 6) -> str:
    """Ascending integers as ranges, e.g. ``0–3, 7``; the rest beyond `most` ranges is counted."""
    values = [int(n) for n in numbers]
    runs: list[list[int]] = []
    for n in values:
        if runs and n == runs[-1][1] + 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    text = [f"{a}" if a == b else f"{a}–{b}" for a, b in runs[:most]]
    hidden = sum(b - a + 1 for a, b in runs[most:])
    return ", ".join(text) + (f" and {hidden} more" if hidden else "")


def shorten(text: str, width: float, per_character: float = 6.6) -> str:
    """Cut a label to the pixels there are; nothing where not even two letters fit.

    The middle goes: names of one family differ at their ends.

    Parameters
    ----------
    text : str
        The label; control characters are made visible first.
    width : float
        Pixels.
    per_character : float
        Pixels that a character takes on average.
    """
    text = visible(text)
    room = int(width / per_character)
    if len(text) <= room:
        return text
    if room < 3:
        return ""
    tail = (room - 1) // 2
    return f"{text[: room - 1 - tail]}…{text[len(text) - tail :]}"
