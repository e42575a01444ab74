"""The pure parts: what is left of a list of probabilities, near copies against brute force, folds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.suspects.confident import find_wrong
from jobs.suspects.cross_fit import fold_of
from jobs.suspects.near import find_conflicts
from jobs.suspects.probabilities import Judged, spread

CLASSES = ["cat", "dog", "eel", "fox"]


def test_what_a_list_leaves_over_is_shared_by_the_classes_it_does_not_name():
    assert spread({"cat": 0.5, "dog": 0.3}, CLASSES, CLASSES) == pytest.approx([0.5, 0.3, 0.1, 0.1])


def test_a_class_that_the_version_does_not_know_gets_nothing_and_one_of_another_dataset_falls_away():
    assert spread({"cat": 0.6, "owl": 0.2}, CLASSES, ["cat", "dog", "owl"]) == pytest.approx([0.75, 0.25, 0, 0])
    assert spread({"owl": 1.0}, CLASSES, ["owl"]) is None
    assert spread({}, CLASSES, []) is None


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from(CLASSES), st.floats(0, 1), max_size=4))
def test_probabilities_sum_to_one_and_keep_their_order(said):
    found = spread(said, CLASSES, CLASSES)
    if found is not None:
        assert math.isclose(found.sum(), 1) and (found >= 0).all()
        named = sorted(said, key=said.get)
        assert all(found[CLASSES.index(a)] <= found[CLASSES.index(b)] + 1e-12 for a, b in zip(named, named[1:], strict=False))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2)), max_size=12), st.integers(0, 4))
def test_near_copies_are_those_of_a_search_over_all_pairs(rows, bits):
    hashes, labels = [h for h, _ in rows], np.array([label for _, label in rows], np.int64)
    found = find_conflicts(hashes, labels, bits)
    for a in range(len(rows)):
        others = [b for b in range(len(rows)) if labels[b] != labels[a] and bin(hashes[a] ^ hashes[b]).count("1") <= bits]
        assert (a in found) == bool(others)
        if others:
            nearest = min(bin(hashes[a] ^ hashes[b]).count("1") for b in others)
            assert found[a] in others and bin(hashes[a] ^ hashes[found[a]]).count("1") == nearest


def test_confident_learning_asks_more_of_a_class_whose_answers_are_surer():
    """The rule of the paper, by hand: given cat, and p(dog) above what pictures given dog have on average."""
    given_ = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    p_dog = np.array([0.1, 0.2, 0.1, 0.85, 0.8, 0.9, 0.8, 0.7])
    found = find_wrong(given_, np.stack([1 - p_dog, p_dog], 1))
    assert found.wrong.tolist() == [False, False, False, True, False, False, False, False]
    assert found.likely[3] == 1 and found.score[3] == pytest.approx(0.15)


def test_a_class_that_no_row_was_given_falls_away():
    p = np.array([[0.6, 0.1, 0.3], [0.1, 0.2, 0.7], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
    found = find_wrong(np.array([0, 2, 0, 2]), p)
    assert not found.wrong.any() and found.score == pytest.approx([0.6 / 0.9, 0.7 / 0.8, 0.5 / 0.7, 0.6 / 0.8])
    assert set(found.likely) <= {0, 2}


def test_folds_are_by_hash_and_about_even():
    rng = np.random.default_rng(1)
    hashes = [rng.bytes(32).hex() for _ in range(2000)]
    counted = np.bincount([fold_of(sha, 5) for sha in hashes], minlength=5)
    assert counted.min() > 320 and fold_of(hashes[0], 5) == fold_of(hashes[0], 5)


def test_a_judge_counts_the_given_labels_that_it_names():
    judged = Judged("version 1", np.array([0, 2]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    assert judged.count_agreeing(np.array([0, 0, 1])) == 1
    assert Judged("nobody", np.empty(0, np.int64), np.empty((0, 2))).count_agreeing(np.array([0])) == 0
