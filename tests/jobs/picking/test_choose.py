"""The choice among pictures: what stands for most that the model is unsure of and no label stands for; nothing nearly twice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.picking import choose as choosing
from jobs.picking.choose import choose, find_far, make_look_of_hashes, take_from_each, weigh

FAR = np.random.default_rng(0).integers(-2**63, 2**63 - 1, 2000, dtype=np.int64)  # random hashes: about 32 bits apart


def make_look(n, seed=1, size=6):
    return np.random.default_rng(seed).normal(size=(n, size))


def choose_by_hand(look, weight, items, known):
    """Each time every picture is tried."""
    both = np.concatenate([look, known])
    both = (both - both.mean(0)) / np.linalg.norm(both - both.mean(0), axis=1, keepdims=True)
    alike, n = np.exp((both @ both.T - 1) / choosing.REACH), len(look)
    chosen = []
    while len(chosen) < items:
        stood_for = [alike[:n, [*chosen, place, *range(n, len(both))]].max(1) for place in range(n)]
        worth = [weight @ of if place not in chosen else -1 for place, of in enumerate(stood_for)]
        chosen.append(int(np.argmax(worth)))
    return chosen


@pytest.mark.parametrize("seed", range(4))
def test_each_pick_adds_most_to_what_is_stood_for(seed, monkeypatch):
    """Compared two together, so that most gains are bounds of before."""
    monkeypatch.setattr(choosing, "TOGETHER", 2)
    weight, known = np.random.default_rng(seed).random(40), make_look(5 * (seed % 2), seed + 50)
    found = choose(make_look(40, seed), weight, FAR[:40], 15, 2, known)
    assert found == choose_by_hand(make_look(40, seed), weight, 15, known)


@given(st.integers(0, 60), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_so_many_as_were_asked_come_none_of_them_twice_and_fewer_are_the_beginning_of_more(items, seed):
    unsure = np.random.default_rng(seed).random(40)
    chosen = choose(make_look(40), unsure, FAR[:40], items, 2)
    assert len(set(chosen)) == len(chosen) == min(items, 40)
    assert choose(make_look(40), unsure, FAR[:40], 60, 2)[:items] == chosen


def make_groups(sizes, seed=3):
    """Groups of pictures that look alike, in directions of their own: their numbers, and how they look."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    return group, np.eye(len(sizes))[group] * 10 + make_look(len(group), seed, len(sizes))


def test_one_of_each_group_comes():
    group, look = make_groups([20, 20, 25, 25, 30, 30, 35, 40])
    assert sorted(group[choose(look, np.ones(len(group)), FAR[:len(group)], 8, 2)].tolist()) == list(range(8))


def test_groups_with_labels_come_last():
    group, look = make_groups([20] * 8)
    known = look[np.isin(group, (0, 3, 6))][::7]
    chosen = group[choose(look, np.ones(len(group)), FAR[:len(group)], 5, 2, known)].tolist()
    assert sorted(chosen) == [1, 2, 4, 5, 7]


def test_what_the_model_is_unsure_of_pulls_the_choice():
    """Three groups of one size, for one choice: the model is surer of two."""
    group, look = make_groups([30] * 3)
    for unsure_group in range(3):
        unsure = np.where(group == unsure_group, 0.9, 0.001)
        assert group[choose(look, unsure, FAR[:90], 1, 2)].tolist() == [unsure_group]


def test_doubt_counts_once_a_version_learnt_from_such_pictures():
    unsure = np.array([0.0, 0.25, 1.0])
    assert weigh(unsure, True).tolist() == [0, 0.25, 1] and weigh(unsure, False).tolist() == [1, 1, 1]


def test_what_all_pictures_have_in_common_changes_nothing_and_neither_does_strength():
    group, look = make_groups([20] * 5)
    chosen = choose(look, np.ones(100), FAR[:100], 10, 2)
    assert choose(look * 7 + 1000, np.ones(100), FAR[:100], 10, 2) == chosen


def test_of_nearly_equal_pictures_one_comes():
    near = np.array([FAR[0], FAR[0] ^ 3, FAR[1], FAR[1] ^ 1, FAR[2]])  # two bits, one bit apart
    chosen = choose(make_look(5), np.ones(5), near, 5, 2)
    assert sorted({0: "a", 1: "a", 2: "b", 3: "b", 4: "c"}[n] for n in chosen) == ["a", "b", "c"]
    assert len(choose(make_look(5), np.ones(5), near, 5, 1)) == 4


def test_awkward_pools():
    assert choose(make_look(0), np.zeros(0), FAR[:0], 5, 2) == [] == choose(make_look(5), np.ones(5), FAR[:5], 0, 2)
    assert len(choose(np.ones((9, 3)), np.ones(9), FAR[:9], 5, 0)) == 5  # all look alike, by another hash
    assert len(choose(make_look(9), np.zeros(9), FAR[:9], 5, 2)) == 5  # the model is sure of all
    assert len(choose(make_look(9), np.ones(9), FAR[:9], 5, 2, make_look(9))) == 5  # all look like what has a label
    assert choose(np.ones((9, 3)), np.zeros(9), np.repeat(FAR[:1], 9), 5, 0) == [0]


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
