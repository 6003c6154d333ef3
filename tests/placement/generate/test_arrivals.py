"""Arrivals follow the law they claim, by tests of statistics with fixed seeds."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from placement.generate.arrivals import arrival_times, at_rate, read_arrivals
from placement.support.faults import InputError

AZURE = Path(__file__).parents[4] / "shared" / "data" / "azure-llm-2023"


@pytest.mark.parametrize("seed", range(5))
def test_poisson_gaps_are_exponential_and_counts_poisson(seed: int) -> None:
    """Kolmogorov-Smirnov on the gaps, dispersion of the counts, no correlation of neighbours."""
    rate, n = 2.5, 20_000
    times = arrival_times("poisson", n, rate, seed=seed)
    gaps = np.diff(times)
    assert times[0] == 0.0
    assert len(times) == n
    assert stats.kstest(gaps, "expon", args=(0, 1 / rate)).pvalue > 0.001
    counts = np.histogram(times, np.arange(0, times[-1], 4.0))[0]
    # Variance over mean of Poisson counts times (bins - 1) is chi-squared.
    spread = counts.var(ddof=1) / counts.mean() * (len(counts) - 1)
    assert 0.001 < stats.chi2.cdf(spread, len(counts) - 1) < 0.999
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 4 / np.sqrt(n)


@pytest.mark.parametrize("burstiness", [0.5, 1.0, 2.0, 4.0])
def test_bursty_gaps_have_the_coefficient_of_variation_asked_for(burstiness: float) -> None:
    """Gamma gaps: the mean is 1 / rate, the deviation `burstiness` times that; 1 is Poisson."""
    gaps = np.diff(arrival_times("bursty", 200_000, 4.0, seed=3, burstiness=burstiness))
    assert gaps.mean() == pytest.approx(0.25, rel=4 * burstiness / np.sqrt(len(gaps)))
    assert gaps.std() / gaps.mean() == pytest.approx(burstiness, rel=0.05)
    if burstiness > 2:
        return  # many gaps are smaller than the rounding of the times they are differences of
    law = "expon" if burstiness == 1.0 else "gamma"
    shape = 1 / burstiness**2
    args = (0, 0.25) if burstiness == 1.0 else (shape, 0, 0.25 / shape)
    assert stats.kstest(gaps[:20_000], law, args=args).pvalue > 0.001


def test_the_same_seed_gives_the_same_times_and_another_seed_others() -> None:
    """Nothing but the seed decides."""
    a, b, c = (arrival_times("poisson", 100, 1.0, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a[1:] != c[1:]).all()


HEADER = "id,TIMESTAMP,tokens\n"
ROWS = (
    "1,2023-11-16 18:15:46.6805900,374\n"
    "2,2023-11-16 18:15:50.9951690,396\n"
    "3,2023-11-16 18:15:48.0000000,1\n"
)


@pytest.mark.parametrize(
    "text", ["id\n" + ROWS, HEADER + ROWS, ROWS, "\n" + HEADER + ROWS.replace("\n", "\r\n\n")]
)
def test_recorded_times_are_taken_from_the_column_that_has_them(text: str, tmp_path: Path) -> None:
    """With header or without, seven digits, in order, the first at 0; blank lines are nothing."""
    path = tmp_path / "arrivals.csv"
    path.write_bytes(text.encode())
    np.testing.assert_allclose(read_arrivals(path), [0.0, 1.31941, 4.314579], atol=1e-9)
    np.testing.assert_allclose(read_arrivals(path, 2), [0.0, 1.31941], atol=1e-9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "has no column of time stamps"),
        (HEADER, "has no column of time stamps"),
        (HEADER + ROWS + "4,later,5\n", "line 5: is 'later', no time stamp"),
        (HEADER + ROWS + "4\n", "line 5: has no time stamp"),
        (HEADER + ROWS + "4,2023-11-16 18:15:46Z,5\n", r"line 5: .*offset \+00:00"),
        (HEADER + ROWS, "holds 3 arrivals, not 4"),
    ],
)
def test_bad_arrival_files_are_refused_in_words(text: str, words: str, tmp_path: Path) -> None:
    """Nothing is dropped or guessed: the line at fault is named."""
    path = tmp_path / "arrivals.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_arrivals(path, 4)
    with pytest.raises(InputError, match="does not exist"):
        read_arrivals(tmp_path / "none.csv")


def test_the_rate_stretches_the_gaps_and_keeps_their_pattern() -> None:
    """Requests over the span give the rate; every gap grows by one factor."""
    times = np.array([0.0, 1.0, 1.5, 4.0])
    stretched = at_rate(times, 0.25)
    assert len(times) / stretched[-1] == pytest.approx(0.25)
    np.testing.assert_allclose(np.diff(stretched) / np.diff(times), 4.0)
    np.testing.assert_array_equal(at_rate(np.zeros(3), 1.0), np.zeros(3))


@pytest.mark.shared
@pytest.mark.skipif(not AZURE.is_dir(), reason="the real data is not beside the project")
@pytest.mark.parametrize("kind", ["code", "conv"])
def test_real_traces_lose_no_arrival(kind: str) -> None:
    """Every row below the header is an arrival, and the span is that of the first and last."""
    path = AZURE / f"AzureLLMInferenceTrace_{kind}.csv"
    rows = path.read_text().split()[1:]  # date and time are two words
    times = read_arrivals(path)
    assert len(times) == len(path.read_text().splitlines()) - 1
    first, last = rows[1].split(",")[0], rows[-1].split(",")[0]

    def seconds(clock: str) -> float:
        h, m, s = clock.split(":")
        return 3600 * int(h) + 60 * int(m) + float(s)

    assert times[-1] == pytest.approx(seconds(last) - seconds(first), abs=1e-5)
