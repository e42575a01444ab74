"""The sequential test against its definition, written out, and against simulation."""

import math

import numpy as np
import pytest

from metrics.canary import sequential
from metrics.canary.sequential import EXCESSES, find_lower, is_above, measure_evidence


@pytest.mark.parametrize(("hits", "n", "bound"), [(0, 7, 0.02), (3, 20, 0.02), (9, 12, 0.5), (40, 50, 0.9), (1, 1, 0.3)])
def test_evidence_is_the_mean_of_likelihood_ratios(hits, n, bound):
    ratios = []
    for u in EXCESSES:
        p = bound + (1 - bound) * u
        ratios.append((p / bound) ** hits * ((1 - p) / (1 - bound)) ** (n - hits))
    assert measure_evidence(hits, n, bound) == pytest.approx(math.log(np.mean(ratios)))


def test_one_more_row_leaves_the_expected_evidence_as_it_was_at_the_bound_and_lowers_it_below():
    for bound in (0.02, 0.5):
        before = math.exp(measure_evidence(3, 20, bound))
        hit, miss = math.exp(measure_evidence(4, 21, bound)), math.exp(measure_evidence(3, 21, bound))
        assert bound * hit + (1 - bound) * miss == pytest.approx(before)
        assert bound / 2 * hit + (1 - bound / 2) * miss < before


def test_whoever_looks_after_every_row_is_wrong_as_rarely_as_the_level_says():
    level, runs, length, bound = 0.05, 600, 1500, 0.1
    rng, wrong = np.random.default_rng(7), 0
    for _ in range(runs):
        hits = np.cumsum(rng.random(length) < bound)
        wrong += any(is_above(int(hits[n - 1]), n, bound, level) for n in range(5, length, 15))
    assert 0 < wrong / runs <= level
    assert find_lower(0, 10, level) == 0


def test_the_bound_lies_below_the_share_and_is_where_the_test_turns():
    low = find_lower(60, 100, 0.01)
    assert low < 0.6 and is_above(60, 100, low - 1e-6, 0.01) and not is_above(60, 100, low + 1e-6, 0.01)
    assert find_lower(600, 1000, 0.01) > low


def test_the_ends_of_the_scale():
    assert measure_evidence(5, 5, 1.0) == 0 and measure_evidence(0, 0, 0.3) == 0
    assert measure_evidence(1, 100, 0.0) == math.inf and measure_evidence(0, 100, 0.0) == 0
    assert sequential.EXCESSES[-1] == pytest.approx(0.95)
