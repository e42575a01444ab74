"""The choice among pictures: one of each cluster, weighted by how unsure the model is, and nothing nearly twice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.picking.choose import _assign, _find_centres, choose, find_far, make_look_of_hashes, take_from_each

FAR = np.random.default_rng(0).integers(-2**63, 2**63 - 1, 2000, dtype=np.int64)  # random hashes: about 32 bits apart


def make_look(n, seed=1, size=6):
    return np.random.default_rng(seed).normal(size=(n, size))


@given(st.integers(0, 60), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_so_many_as_were_asked_come_none_of_them_twice_and_a_second_time_the_same(items, seed):
    unsure = np.random.default_rng(seed).random(40)
    chosen = choose(make_look(40), unsure, FAR[:40], items, seed, 2)
    assert len(set(chosen)) == len(chosen) == min(items, 40)
    assert choose(make_look(40), unsure, FAR[:40], items, seed, 2) == chosen


def test_one_of_each_group_comes():
    """Eight groups that lie far apart, of 5 to 40 pictures."""
    group = np.repeat(np.arange(8), [5, 10, 15, 20, 25, 30, 35, 40])
    look = make_look(8, seed=2)[group] * 50 + make_look(len(group), seed=3)
    for seed in range(5):
        assert sorted(group[choose(look, np.ones(len(group)), FAR[:len(group)], 8, seed, 2)].tolist()) == list(range(8))


def test_k_means_ends_where_scikit_learn_does_from_the_same_start():
    from sklearn.cluster import KMeans

    look, weight = make_look(300), np.random.default_rng(5).random(300)
    ours = _find_centres(look, weight, 4, np.random.default_rng(1))
    theirs = KMeans(4, init=ours, n_init=1).fit(look, sample_weight=weight)
    moved = KMeans(4, init=ours, n_init=1, max_iter=1).fit(look, sample_weight=weight)
    assert moved.inertia_ == pytest.approx(theirs.inertia_, rel=0.02)  # it has converged, or nearly so after MOST_ITERATIONS
    cluster, squares = _assign(look, ours)
    by_hand = ((look[:, None] - ours[None]) ** 2).sum(2)
    assert (cluster == by_hand.argmin(1)).all() and squares == pytest.approx(by_hand.min(1))


def test_what_the_model_is_unsure_of_pulls_the_choice():
    """Two groups far apart, for one choice: all of one group is sure, whichever is larger."""
    group = np.repeat([0, 1], [90, 10])
    look = np.array([[0.0], [100.0]])[group] + make_look(100, size=1)
    for unsure_group in (0, 1):
        unsure = np.where(group == unsure_group, 0.9, 0.001)
        assert group[choose(look, unsure, FAR[:100], 1, 1, 2)].tolist() == [unsure_group]


def test_in_a_cluster_the_picture_nearest_to_its_weighted_centre_comes():
    look = np.array([[0.0], [1.0], [2.0], [10.0]])
    assert choose(look, np.array([1.0, 1.0, 1.0, 0.0]), FAR[:4], 1, 1, 2) == [1]
    assert choose(look, np.array([0.0, 0.0, 0.0, 1.0]), FAR[:4], 1, 1, 2) == [3]


def test_of_nearly_equal_pictures_one_comes():
    near = np.array([FAR[0], FAR[0] ^ 3, FAR[1], FAR[1] ^ 1, FAR[2]])  # two bits, one bit apart
    chosen = choose(make_look(5), np.ones(5), near, 5, 1, 2)
    assert sorted({0: "a", 1: "a", 2: "b", 3: "b", 4: "c"}[n] for n in chosen) == ["a", "b", "c"]
    assert len(choose(make_look(5), np.ones(5), near, 5, 1, 1)) == 4


def test_awkward_pools():
    assert choose(make_look(0), np.zeros(0), FAR[:0], 5, 1, 2) == [] == choose(make_look(5), np.ones(5), FAR[:5], 0, 1, 2)
    assert len(choose(np.ones((9, 3)), np.ones(9), FAR[:9], 5, 1, 0)) == 5  # all look alike, by another hash
    assert len(choose(make_look(9), np.zeros(9), FAR[:9], 5, 1, 2)) == 5  # the model is sure of all
    assert choose(np.ones((9, 3)), np.zeros(9), np.repeat(FAR[:1], 9), 5, 1, 0) == [0]


def test_a_label_that_is_rarely_predicted_comes_where_it_looks_otherwise():
    """One in 500, as unsure as the others."""
    look = np.concatenate([make_look(499), np.full((1, 6), 12.0)])
    assert all(499 in choose(look, np.full(500, 0.5), FAR[:500], 15, seed, 2) for seed in range(10))


def test_a_hash_becomes_its_bits():
    look = make_look_of_hashes(np.array([0, -1, 1, -(2**63)], np.int64))
    assert look.tolist() == [[-1.0] * 64, [1.0] * 64, [-1.0] * 63 + [1.0], [1.0] + [-1.0] * 63]
    one, other = make_look_of_hashes(np.array([FAR[0], FAR[0] ^ 0b1011], np.int64))
    assert ((one - other)**2).sum() == 4 * 3


@given(st.lists(st.integers(-2**63, 2**63 - 1), max_size=20), st.lists(st.integers(-2**63, 2**63 - 1), max_size=20),
       st.integers(0, 40))
def test_far_is_more_bits_than_asked(near, others, bits):
    by_hand = [all(bin((a ^ b) & (2**64 - 1)).count("1") > bits for b in others) for a in near]
    assert find_far(np.array(near, np.int64), others, bits).tolist() == by_hand


def test_the_least_sure_of_each_label_are_taken_in_turn():
    unsure = np.array([0.9, 0.8, 0.7, 0.6, 0.1, 0.05])
    predicted = ["a", "a", "a", "a", "b", "c"]
    assert take_from_each(unsure, predicted, 4) == [0, 4, 5, 1]
    assert take_from_each(unsure, predicted, 99) == [0, 4, 5, 1, 2, 3]
