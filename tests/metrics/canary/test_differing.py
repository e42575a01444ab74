"""The test of disagreement against its definition, written out, and against the exact chance of being wrong."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import binom

from benchmarks import canary as simulation
from contract.canary.documents import Expected
from metrics.canary.differing import find_product, is_more
from metrics.canary.sequential import EXCESSES, measure_evidence, measure_evidences


@pytest.mark.parametrize("level", [1.0, 0.2, 0.01, 1e-5])
def test_two_uniform_numbers_have_a_product_that_small_with_the_chance_of_the_level(level):
    product = find_product(level)
    chance, _ = quad(lambda u: min(1.0, product / u), 0, 1, points=[product])
    assert chance == pytest.approx(level, rel=1e-6)


def largest_product(hits, n, expected, tolerance):
    """Over a fine grid of shares: the exact P value of the assessment by the mean of likelihood ratios, where that is above 1."""
    found = 0.0
    for p in np.linspace(0, 1, 1001)[1:]:
        bound, evidence = p + tolerance, 1.0
        if bound < 1:
            evidence = np.mean([math.exp(hits * math.log(q / bound) + (n - hits) * math.log((1 - q) / (1 - bound)))
                                for q in (bound + (1 - bound) * u for u in EXCESSES)])
        found = max(found, binom.cdf(expected.differ, expected.n, p) / max(evidence, 1.0))
    return found


@pytest.mark.parametrize(("differ", "of", "tolerance"), [(20, 200, 0.1), (0, 30, 0.05), (150, 300, 0.1), (3, 20, 0.0)])
def test_it_says_so_where_the_product_is_small_enough_for_every_share(differ, of, tolerance):
    """Around the number of hits at which it turns, which is found by bisection."""
    expected, level, n = Expected(n=of, differ=differ), 0.01, 120
    low, high = 0, n
    assert is_more(high, n, expected, tolerance, level) and not is_more(low, n, expected, tolerance, level)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_more(middle, n, expected, tolerance, level) else (middle, high)
    limit = find_product(level)
    assert largest_product(high, n, expected, tolerance) <= limit * 1.001
    assert largest_product(high - 2, n, expected, tolerance) > limit  # pieces instead of a share cost one hit at the most


@pytest.mark.parametrize(("share", "tolerance"), [(0.1, 0.1), (0.5, 0.0), (0.3, 0.2)])
def test_a_candidate_at_the_bound_is_wrongly_found_with_the_exact_chance_of_the_level_at_most(share, tolerance):
    """Every assessment of 12 rows and every course of 30 answers, looked at after each: no simulation."""
    level, of, length, live = 0.3, 12, 30, share + tolerance
    wrong = 0.0
    for differ in range(of + 1):
        walks = np.array([1.0])  # chance of so many hits, of courses that were not found yet
        for n in range(1, length + 1):
            walks = np.append(walks * (1 - live), 0) + np.insert(walks * live, 0, 0)
            found = [is_more(hits, n, Expected(n=of, differ=differ), tolerance, level) for hits in range(n + 1)]
            wrong += binom.pmf(differ, of, share) * walks[found].sum()
            walks[found] = 0
    assert 0.01 < wrong <= level


def test_it_stays_silent_where_nothing_speaks_against_the_candidate():
    assert not is_more(0, 0, Expected(n=10, differ=0), 0.1, 0.01)
    assert not is_more(50, 50, Expected(n=5, differ=5), 0.0, 0.01)
    assert not is_more(200, 400, Expected(n=300, differ=150), 0.1, 0.01)
    assert is_more(200, 400, Expected(n=300, differ=15), 0.1, 0.01)


def test_evidence_of_several_bounds_is_that_of_each():
    bounds = np.array([0.01, 0.2, 0.5, 0.999, 1.0])
    for hits, n in ((0, 9), (9, 9), (30, 200), (0, 0)):
        assert measure_evidences(hits, n, bounds) == pytest.approx([measure_evidence(hits, n, b) for b in bounds])


def test_the_bound_of_any_test_is_the_level_where_nothing_differs_and_rises_with_what_does():
    assert simulation.bound_power(0.1, 0.2, 0.1, 100, shares=1) == pytest.approx(simulation.LEVEL, rel=1e-6)
    powers = [simulation.bound_power(0.1, differs, 0.1, 200, shares=9) for differs in (0.25, 0.3, 0.4)]
    assert 0.01 < powers[0] < powers[1] < powers[2] < 1


def test_the_bound_is_that_of_a_test_by_hand_where_the_assessment_says_nothing_new():
    """Of one share that both have, it is the binomial test of the answers alone: the assessment is as likely under both."""
    n, p, differs = 60, 0.1, 0.4
    hits = np.arange(n + 1)
    tail = binom.sf(hits - 1, n, p + 0.1)
    first = int(hits[tail <= simulation.LEVEL][0])
    partly = (simulation.LEVEL - tail[first]) / binom.pmf(first - 1, n, p + 0.1)
    by_hand = binom.sf(first - 1, n, differs) + partly * binom.pmf(first - 1, n, differs)
    assert simulation.bound_power(p, differs, 0.1, n, shares=1) == pytest.approx(by_hand, rel=1e-6)
