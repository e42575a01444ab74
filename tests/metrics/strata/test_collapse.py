from dataclasses import replace

import numpy as np
import pytest

from metrics.strata.collapse import LEAST, expect_shares, group_strata
from metrics.strata.strata import RIGHT, SILENT, SUMS, WRONG, Strata


def make(predicted, bins, feedback, n, names=("cat", "dog", "owl", "fox"), **given):
    """Strata with so many audit labels each, of equal weights."""
    n = np.asarray(n, float)
    right = given.pop("right", np.zeros(len(n)))
    columns = {"size": 10 * n + 5, "n": n, "right": right, "weight": n, "weight_squared": n, "weight_right": right,
               "weight_squared_right": right, "other": np.zeros(len(n)), "other_right": np.zeros(len(n))} | given
    return Strata(list(names), np.asarray(predicted), np.asarray(bins), np.asarray(feedback), **columns)


def make_many(seed, mean):
    rng = np.random.default_rng(seed)
    predicted, bins, feedback = (a.ravel() for a in np.indices((4, 20, 3)))
    n = rng.poisson(mean, len(bins))
    other = rng.poisson(20, len(bins))
    return make(predicted, bins, feedback, n, right=rng.binomial(n, 0.8), other=other, other_right=rng.binomial(other, 0.7))


@pytest.mark.parametrize("mean", [0.01, 0.3, 2, 50])
@pytest.mark.parametrize("seed", range(5))
def test_each_group_has_at_least_20_labels_and_none_is_lost(seed, mean):
    strata = make_many(seed, mean)
    groups = group_strata(strata)
    merged = strata.merge(groups)
    assert sorted(set(groups)) == list(range(len(merged)))
    assert (merged.n >= LEAST).all() or len(merged) == 1
    for name in SUMS:
        assert getattr(merged, name).sum() == getattr(strata, name).sum()


def test_groups_do_not_look_at_what_the_audit_says():
    strata = make_many(1, 3)
    other = replace(strata, right=strata.n * 0, weight_right=strata.n * 0, weight_squared_right=strata.n * 0)
    assert (group_strata(strata) == group_strata(other)).all()


def test_feedback_parts_groups_that_have_enough_labels():
    strata = make([0, 0, 0, 0], [1, 1, 18, 18], [WRONG, SILENT, SILENT, RIGHT], [20, 60, 300, 21])
    assert group_strata(strata).tolist() == [0, 1, 2, 3]


def test_a_group_with_too_few_labels_takes_its_neighbour():
    strata = make([0, 1, 2, 0, 1], [1, 9, 3, 18, 19], [WRONG, WRONG, SILENT, SILENT, RIGHT], [5, 6, 9, 100, 19])
    groups = group_strata(strata)
    assert groups.tolist() == [0, 0, 0, 1, 1], "both that are called wrong, the unsure one; the sure one with those right"


def test_the_line_goes_by_what_other_labels_say_and_else_by_confidence():
    silent = make([0, 1, 0, 1], [4, 4, 15, -1], [SILENT] * 4, [1] * 4)
    assert expect_shares(silent)[[0, 1, 2]] == pytest.approx([0.225, 0.225, 0.775])
    assert expect_shares(silent)[3] == 0, "a row without a confidence"
    told = replace(silent, other=np.array([1000, 1000, 1000, 0]), other_right=np.array([900, 100, 500, 0]))
    assert expect_shares(told)[[0, 1, 2]] == pytest.approx([0.9, 0.1, 0.5], abs=0.02)


def test_a_class_that_was_never_labelled_elsewhere_is_taken_as_its_bin():
    strata = make([0, 1], [10, 10], [SILENT, SILENT], [1, 1], other=np.array([500, 0]), other_right=np.array([250, 0]))
    assert expect_shares(strata) == pytest.approx([0.5, 0.5], abs=0.02)
