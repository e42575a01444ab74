import itertools
from math import comb

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from metrics.significance import exact_tests


def test_exact_tails_equal_sums_of_the_binomial_and_scipy():
    for n, bound in itertools.product((1, 7, 40), (0.1, 0.9)):
        p = [comb(n, k) * bound**k * (1 - bound) ** (n - k) for k in range(n + 1)]
        for right in range(n + 1):
            found = float(exact_tests.p_at_least(right, n, bound))
            assert found == pytest.approx(sum(p[:right + 1])) == pytest.approx(binom.cdf(right, n, bound))
            assert found == pytest.approx(binomtest(right, n, bound, alternative="less").pvalue)


def test_shares_against_a_bound_are_those_of_scipy_one_by_one():
    right, n = [0, 3, 9, 270, 0], [5, 10, 9, 300, 0]
    *rows, empty = exact_tests.shares_against(0.85, right, n, 0.9)
    assert empty == {"value": None, "low": None, "high": None, "p": None}
    for row, r, m in zip(rows, right, n, strict=False):
        tested = binomtest(r, m, 0.85, alternative="less")
        expected = binomtest(r, m).proportion_ci(0.9, method="wilson")
        assert list(row.values()) == pytest.approx([r / m, expected.low, expected.high, tested.pvalue])


def test_holm_by_its_definition():
    found = exact_tests.holm([0.04, 0.001, 0.03, 0.5])
    assert found.tolist() == pytest.approx([0.09, 0.004, 0.09, 0.5])
    assert exact_tests.holm([]).tolist() == []


def test_holm_rejects_what_the_steps_of_its_paper_reject():
    rng = np.random.default_rng(1)
    for _ in range(200):
        p = rng.random(rng.integers(1, 12)) ** 3
        adjusted, rejected = exact_tests.holm(p), set()
        for step, i in enumerate(np.argsort(p)):  # Holm 1979: stop at the first that is not below alpha / (what is left)
            if p[i] > 0.05 / (len(p) - step):
                break
            rejected.add(int(i))
        assert set(np.flatnonzero(adjusted <= 0.05).tolist()) == rejected


def test_mcnemar_equals_the_sign_test():
    found = exact_tests.mcnemar(3, 12)
    assert found["two_sided"] == pytest.approx(binomtest(3, 15).pvalue)
    assert found["a_worse"] == pytest.approx(binomtest(3, 15, alternative="less").pvalue)
    assert found["b_worse"] == pytest.approx(binomtest(12, 15, alternative="less").pvalue)
    assert exact_tests.mcnemar(0, 0)["two_sided"] == 1.0


def test_a_shared_level_is_bonferronis():
    assert exact_tests.divide_level(0.05, 10) == pytest.approx(0.005) and exact_tests.divide_level(0.05, 0) == 0.05
