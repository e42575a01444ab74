from math import comb

import numpy as np
import pytest
from scipy.stats import binomtest, t

from benchmarks import interval_coverage
from metrics import intervals
from metrics.averages import SCORES, averages, linear_variance, statistics
from metrics.per_class import Confusion


def test_wilson_equals_scipy_and_reaches_the_ends():
    for right, n in [(0, 10), (3, 10), (10, 10), (299, 300)]:
        expected = binomtest(right, n).proportion_ci(0.95, method="wilson")
        assert tuple(map(float, intervals.wilson(right, n))) == pytest.approx((expected.low, expected.high))
    assert float(intervals.wilson(10, 10)[1]) == 1.0 and float(intervals.wilson(0, 10)[0]) == 0.0


@pytest.mark.parametrize("n", [10, 30, 300])
def test_wilson_covers_at_its_level_over_truths_from_half_to_one(n):
    truth = np.linspace(0.5, 0.99, 400)
    rights = np.arange(n + 1)
    low, high = intervals.wilson(rights, n)
    p = np.array([[comb(n, k) * t**k * (1 - t) ** (n - k) for k in range(n + 1)] for t in truth])
    covered = (p * ((low <= truth[:, None]) & (truth[:, None] <= high))).sum(1).mean()
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("paired", [True, False])
def test_intervals_of_differences_cover(paired):
    rng, covered, n = np.random.default_rng(1), 0, 200
    for _ in range(400):
        if paired:
            table = rng.multinomial(n, [0.75, 0.12, 0.06, 0.07])
            low, high = intervals.paired_interval(*table.tolist())
        else:
            low, high = intervals.newcombe(rng.binomial(n, 0.87), n, rng.binomial(n, 0.81), n)
        covered += low <= 0.06 <= high
    assert 0.92 <= covered / 400 <= 0.985


def test_newcombes_published_examples():
    assert intervals.newcombe(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    low, high = intervals.paired_interval(160_000, 19_000, 7_000, 13_000)  # whose margins multiply beyond 64 bits
    assert low < 12_000 / 199_000 < high < low + 0.004
    assert intervals.paired_interval(20, 12, 2, 16) == pytest.approx((0.0562, 0.3292), abs=1e-4)


def confusion_of(counts):
    label, predicted = np.nonzero(counts)
    return Confusion([str(i) for i in range(len(counts))], label, predicted, counts[label, predicted])


TRUTH = np.array([[0.3, 0.03, 0.02], [0.04, 0.2, 0.03], [0.05, 0.03, 0.3]])
TRUTH = TRUTH / TRUTH.sum()


@pytest.mark.parametrize("name", interval_coverage.CASES)
def test_intervals_of_averages_cover(name):
    """300 seeded runs, so some points beside the 91.8 to 98.6% of 2,000 (docs/log.md#figures)."""
    found = interval_coverage.row(name, runs=300)
    assert all(0.9 <= share <= 1 for share in found["covered"].values()), found
    assert found["zero_width"] == 0


def test_no_average_has_an_interval_of_zero_width_at_100_percent():
    for counts in (np.array([[40]]), np.diag([20, 20]), np.diag([100, 3, 1])):
        shown = averages(confusion_of(counts), 0.95)
        for figure in (shown["balanced_accuracy"], *(shown[kind][s] for kind in ("macro", "weighted") for s in SCORES)):
            assert figure["value"] == figure["high"] == 1 and figure["low"] < 0.98
    rare = averages(confusion_of(np.diag([100, 3, 1])), 0.95)
    assert rare["macro"]["recall"]["low"] < 0.7 < rare["weighted"]["recall"]["low"]  # three classes, one of them one row


def test_the_linear_limit_has_the_variance_of_the_bootstrap():
    rng = np.random.default_rng(3)
    counts = rng.multinomial(20_000, TRUTH.ravel()).reshape(3, 3)
    draws = rng.poisson(counts, (4000, 3, 3))
    replicates = statistics(np.diagonal(draws, axis1=1, axis2=2), draws.sum(2), draws.sum(1))
    assert np.sqrt(linear_variance(confusion_of(counts))) == pytest.approx(replicates.std(0), rel=0.05)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 10, 29, 364, 1000])
@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95, 0.999])
def test_the_quantile_of_t_is_scipys(degrees, confidence):
    assert intervals.t_of(confidence, degrees) == pytest.approx(t.ppf(0.5 + confidence / 2, degrees), rel=1e-11)


def test_jackknife_of_a_mean_is_students_interval():
    x = np.random.default_rng(4).normal(size=12)
    without = [(x.sum() - v) / 11 for v in x]
    expected = t.interval(0.95, 11, x.mean(), x.std(ddof=1) / np.sqrt(12))
    assert intervals.jackknife(x.mean(), without) == pytest.approx(expected)
