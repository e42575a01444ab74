"""The threshold for a target, by walking down with scipy's tests; never one whose set is not told."""

import numpy as np
import pytest
from scipy import stats

from contract.confidence import NO_BIN
from metrics.automatic.graded import Graded, Part
from metrics.automatic.targets import choose_threshold, p_below
from metrics.selection.origin_sums import Sums

SCALE = 2**16


def graded(counts, weights=None):
    """`counts`: bin -> (predictions, right, wrong), divided among two classes; `weights`: of right and wrong rows, 1 / p."""
    places = {"a": {}, "b": {}}
    for k, (n, right, wrong) in counts.items():
        for name, (all_, r, w) in {"a": (n // 2, right // 2, wrong // 2),
                                   "b": (n - n // 2, right - right // 2, wrong - wrong // 2)}.items():
            if weights is None:
                sums = Sums(r + w, r)
            else:
                x, y = (int(SCALE * v) for v in weights)
                sums = Sums(r + w, r, r + w, r * x + w * y, r * x * x + w * y * y, r * x, r * x * x)
            places[name][k] = Part(all_, sums)
    return Graded("audit", weights is not None, places)


def walk(counts, target, level=0.05):
    """The lowest bin by the rule, with scipy.stats alone; None where no set of bins is told."""
    right = wrong = 0
    found = None
    for k in range(19, -1, -1):
        more = counts.get(k, (0, 0, 0))
        right, wrong = right + more[1], wrong + more[2]
        if more[1] + more[2] == 0:
            continue
        if found is None and (right + wrong == 0 or target ** (right + wrong) > level):
            continue
        # the chance of so few mistakes or fewer, were the accuracy no better than the target
        if stats.binom.cdf(wrong, right + wrong, 1 - target) > level:
            break
        found = k
    return found


@pytest.mark.parametrize("seed", range(30))
def test_it_is_the_lowest_of_a_walk_with_scipy(seed):
    rng = np.random.default_rng(seed)
    counts = {NO_BIN: (7, 3, 3)}
    for k in range(20):
        n = int(rng.integers(0, 400)) if rng.random() < 0.8 else 0
        labelled = int(rng.integers(0, n + 1))
        wrong = int(rng.binomial(labelled, min(1, 0.35 * (1 - k / 20) ** 2)))
        counts[k] = (n, labelled - wrong, wrong)
    for target in (0.9, 0.95, 0.98, 0.99):
        found, k = choose_threshold(graded(counts), target, 0.95), walk(counts, target)
        assert found["threshold"] == (None if k is None else k / 20)
        accepted = 0 if k is None else sum(n for at, (n, _, _) in counts.items() if at >= k)
        assert found["accepted"] == accepted
        assert found["share"] == pytest.approx(accepted / sum(n for n, _, _ in counts.values()))
        assert (found["reason"] is None) == (k is not None)


def test_too_few_labels_promise_nothing_and_say_how_many_would():
    found = choose_threshold(graded({19: (500, 58, 0)}), 0.95, 0.95)
    assert found["threshold"] is None and "59 accepted answers with a label, all right, would tell" in found["reason"]
    assert choose_threshold(graded({19: (500, 59, 0)}), 0.95, 0.95)["threshold"] == 0.95


def test_a_bin_that_nobody_labelled_is_not_accepted_on_the_word_of_others():
    counts = {19: (500, 400, 0), 18: (300, 0, 0), 17: (200, 100, 0), 16: (900, 0, 0)}
    found = choose_threshold(graded(counts), 0.95, 0.95)
    assert (found["threshold"], found["accepted"]) == (0.85, 1000)  # down to a bin with labels, and no further


def test_no_labels_at_all():
    found = choose_threshold(Graded(None, False, {}), 0.95, 0.95)
    assert (found["threshold"], found["accepted"], found["share"], found["accuracy"]["value"]) == (None, 0, None, None)


def test_a_bad_top_bin_ends_it_though_the_rest_is_good():
    """A fixed sequence stops at the first set that is not told; skipping one would need a correction."""
    counts = {19: (100, 80, 20), 18: (5000, 4990, 10)}
    assert choose_threshold(graded(counts), 0.95, 0.95)["threshold"] is None


def test_equal_weights_choose_what_counts_do_and_uneven_ones_are_more_careful():
    counts = {19: (500, 200, 1), 18: (500, 195, 5), 17: (500, 150, 50)}
    plain = choose_threshold(graded(counts), 0.95, 0.95)
    assert choose_threshold(graded(counts, (2, 2)), 0.95, 0.95)["threshold"] == plain["threshold"] == 0.9
    assert choose_threshold(graded(counts, (1, 8)), 0.95, 0.95)["threshold"] is None  # each mistake stands for eight


@pytest.mark.parametrize(("right", "wrong", "target"), [(400, 1, 0.95), (400, 4, 0.95), (900, 6, 0.98), (390, 0, 0.99)])
def test_the_tail_of_weighted_rows_is_the_beta_at_the_smaller_of_two_sizes(right, wrong, target):
    weights = np.array([1.0] * right + [3.0] * wrong)
    values = np.array([1.0] * right + [0.0] * wrong)
    share = np.average(values, weights=weights)
    variance = np.sum(weights**2 * (values - share) ** 2) / weights.sum() ** 2
    kish = weights.sum() ** 2 / np.sum(weights**2)
    size = min(share * (1 - share) / variance, kish) if wrong else kish
    tail = stats.beta.cdf(target, size * share, size * (1 - share) + 1)
    made = graded({19: (2000, right, wrong)}, (1, 3))
    assert p_below(made, made.from_bin[19].sums, target) == pytest.approx(tail)
    assert (choose_threshold(made, target, 0.95)["threshold"] is not None) == (tail <= 0.05)
