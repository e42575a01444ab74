"""The choice among pictures: distances are those of the whole gradients, and nothing comes that is nearly there already."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.picking.choose import Pool, choose, find_far, make_look_of_hashes, make_unsure, take_from_each

FAR = np.random.default_rng(0).integers(-2**63, 2**63 - 1, 2000, dtype=np.int64)  # random hashes: about 32 bits apart


def make_pool(n, seed=1, classes=4, size=6, near=None):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), n)
    p[np.arange(n), p.argmax(1)] -= 1
    return Pool(p, rng.normal(size=(n, size)), FAR[:n] if near is None else np.asarray(near, np.int64))


def test_distances_are_those_of_the_whole_gradients():
    pool = make_pool(30)
    gradients = np.stack([np.outer(u, h).ravel() for u, h in zip(pool.unsure, pool.look, strict=True)])
    assert pool.square() == pytest.approx((gradients**2).sum(1))
    for place in (0, 7, 29):
        assert pool.measure_from(place, pool.square()) == pytest.approx(((gradients - gradients[place])**2).sum(1))


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_more_pictures_begin_with_the_same_ones_and_none_comes_twice(one, other, seed):
    pool, (few, many) = make_pool(40), sorted((one, other))
    chosen = choose(pool, many, seed, 2)
    assert choose(pool, few, seed, 2) == chosen[:few]
    assert len(set(chosen)) == len(chosen) == min(many, 40)


def test_another_seed_chooses_otherwise_and_the_same_one_alike():
    pool = make_pool(200)
    assert choose(pool, 20, 1, 2) == choose(pool, 20, 1, 2) != choose(pool, 20, 2, 2)


def test_each_is_drawn_in_proportion_to_its_squared_distance_from_those_chosen():
    """On a line: beside 0 and the longest, at 10, those at 1, 2 and 8 are 1, 4 and 4 away."""
    pool = Pool(np.ones((4, 1)), np.array([[1.0], [2.0], [8.0], [10.0]]), FAR[:4])
    second = np.bincount([choose(pool, 2, seed, 0)[1] for seed in range(4000)], minlength=4)
    assert choose(pool, 1, 1, 0) == [3] and second[3] == 0
    assert second[:3] / 4000 == pytest.approx(np.array([1, 4, 4]) / 9, abs=0.03)


def test_of_nearly_equal_pictures_one_comes():
    near = [FAR[0], FAR[0] ^ 3, FAR[1], FAR[1] ^ 1, FAR[2]]  # two bits, one bit apart
    chosen = choose(make_pool(5, near=near), 5, 1, 2)
    assert sorted({0: "a", 1: "a", 2: "b", 3: "b", 4: "c"}[n] for n in chosen) == ["a", "b", "c"]
    assert len(choose(make_pool(5, near=near), 5, 1, 1)) == 4


def test_nothing_comes_of_an_empty_pool_and_one_of_pictures_that_do_not_differ():
    assert choose(make_pool(0), 5, 1, 2) == [] == choose(make_pool(5), 0, 1, 2)
    same = Pool(np.ones((9, 2)), np.ones((9, 3)), FAR[:9])
    assert len(choose(same, 5, 1, 0)) == 1


def test_a_label_that_is_rarely_predicted_comes_where_the_model_is_unsure_of_it():
    """One in 500 is of class rare; the others waver between two classes and look alike."""
    rng = np.random.default_rng(3)
    answers = [("a", ["a", "b"], [0.55, 0.45])] * 499 + [("rare", ["rare", "a"], [0.5, 0.4])]
    pool = Pool(make_unsure(answers), 1 + rng.normal(0, 0.1, (500, 8)), FAR[:500])
    assert all(499 in choose(pool, 15, seed, 2) for seed in range(10))


def test_sure_answers_come_last():
    """100 pictures that look alike in 10 groups: the model is sure of half of each."""
    rng = np.random.default_rng(4)
    look = np.repeat(rng.normal(size=(10, 16)), 10, 0)
    sure = np.arange(100) % 2 == 0
    answers = [("a", ["a", "b"], [0.999, 0.001] if s else [0.5, 0.5]) for s in sure]
    assert not any(sure[choose(Pool(make_unsure(answers), look, FAR[:100]), 10, 1, 2)])


def test_a_hash_becomes_its_bits():
    look = make_look_of_hashes(np.array([0, -1, 1, -(2**63)], np.int64))
    assert look.tolist() == [[-1.0] * 64, [1.0] * 64, [-1.0] * 63 + [1.0], [1.0] + [-1.0] * 63]
    one, other = make_look_of_hashes(np.array([FAR[0], FAR[0] ^ 0b1011], np.int64))
    assert ((one - other)**2).sum() == 4 * 3


def test_what_was_not_logged_is_nothing():
    assert make_unsure([("b", ["b", "a"], [0.75, 0.25]), ("c", [], [])]).tolist() == [[0.25, -0.25, 0.0], [0.0, 0.0, -1.0]]


@given(st.lists(st.integers(-2**63, 2**63 - 1), max_size=20), st.lists(st.integers(-2**63, 2**63 - 1), max_size=20),
       st.integers(0, 40))
def test_far_is_more_bits_than_asked(near, others, bits):
    by_hand = [all(bin((a ^ b) & (2**64 - 1)).count("1") > bits for b in others) for a in near]
    assert find_far(np.array(near, np.int64), others, bits).tolist() == by_hand


def test_the_least_sure_of_each_label_are_taken_in_turn():
    margin = np.array([0.1, 0.2, 0.3, 0.4, 0.9, 0.95])
    predicted = ["a", "a", "a", "a", "b", "c"]
    assert take_from_each(margin, predicted, 4) == [0, 4, 5, 1]
    assert take_from_each(margin, predicted, 99) == [0, 4, 5, 1, 2, 3]
