"""One origin's share against a bound: the exact test where rows weigh alike, a beta tail on n* where they do not."""

import numpy as np
import pytest
from scipy.stats import beta, binom, binomtest

from contract.counts import WEIGHT_SCALE
from metrics.selection.estimate import estimate
from metrics.selection.origin_sums import Sums
from metrics.significance.share_of_origin import invert_test, is_uneven, judge_share, p_of_share

LEVEL = 0.05 / 365


def strata(*parts, unweighted=(0, 0)):
    """Sums of (right, n, p) each; `unweighted`: (right, n) of rows without a known probability."""
    total = Sums(unweighted[1], unweighted[0])
    for right, n, p in parts:
        w = int(WEIGHT_SCALE / p)
        total += Sums(n, right, n, n * w, n * w * w, right * w, right * w * w)
    return total


@pytest.mark.parametrize(("right", "n"), [(0, 1), (0, 50), (45, 50), (50, 50), (180, 200), (1200, 1400)])
def test_rows_that_weigh_alike_are_tested_exactly(right, n):
    exact = binom.cdf(right, n, 0.9)
    for sums in (Sums(n, right), strata((right, n, 0.02)), strata((right, n, 0.5), unweighted=(3, 40))):
        found = judge_share(sums, 0.9, 0.95, LEVEL)
        assert found["p"] == pytest.approx(exact, rel=1e-9)
        assert (found["right"], found["n"], is_uneven(found)) == (right, n, False)


def test_unequal_weights_take_the_tail_at_the_linearised_size():
    sums = strata((190, 200, 0.02), (400, 600, 1.0))
    found = judge_share(sums, 0.9, 0.95, LEVEL)
    w, right = np.repeat([50.0, 50, 1, 1], [190, 10, 400, 200]), np.repeat([1.0, 0, 1, 0], [190, 10, 400, 200])
    v = (w * right).sum() / w.sum()
    size = v * (1 - v) / ((w * (right - v)) ** 2).sum() * w.sum() ** 2
    assert found["value"] == pytest.approx(v) and found["size"] == pytest.approx(size)
    assert found["n_effective"] == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert found["p"] == pytest.approx(beta.cdf(0.1, size - size * v, size * v + 1), rel=1e-9)
    assert found["right"] is None and found["n"] == 800


def test_the_share_is_the_one_that_the_estimate_shows():
    for sums in (strata((190, 200, 0.02), (400, 600, 1.0), unweighted=(0, 300)), Sums(200, 150), strata((9, 10, 0.5))):
        found, shown = judge_share(sums, 0.9, 0.95, LEVEL), estimate({"audit": sums}, 0.95)
        assert {k: found[k] for k in ("value", "low", "high", "n_effective", "weighted")} == {
            k: shown[k] for k in ("value", "low", "high", "n_effective", "weighted")}


@pytest.mark.parametrize(("right", "n"), [(0, 20), (15, 20), (20, 20), (1200, 1400)])
def test_the_interval_of_the_test_is_that_of_clopper_and_pearson(right, n):
    exact = binomtest(right, n).proportion_ci(1 - 2 * LEVEL, "exact")
    assert invert_test(right / n, n, LEVEL) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_it_fails_exactly_where_that_interval_ends_below_the_bound():
    for v in np.linspace(0.7, 0.99, 59):
        high = invert_test(v, 431.7, LEVEL)[1]
        assert (float(p_of_share(v, 431.7, 0.9)) <= LEVEL) == (high <= 0.9)


def test_few_heavy_rows_are_uneven_and_many_are_not():
    thin = judge_share(strata((3, 3, 0.0002), (500, 700, 0.5)), 0.9, 0.95, LEVEL)
    assert thin["n"] == 703 and thin["n_effective"] < 100 and is_uneven(thin)
    assert not is_uneven(judge_share(strata((190, 200, 0.02), (500, 700, 0.5)), 0.9, 0.95, LEVEL))
    assert not is_uneven(judge_share(Sums(40, 40), 0.9, 0.95, LEVEL))


def test_no_rows_have_no_share():
    found = judge_share(Sums(), 0.9, 0.95, LEVEL)
    assert (found["n"], found["value"], found["p"], found["level_high"]) == (0, None, None, None)
