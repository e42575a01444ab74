"""Directions of embeddings against scikit-learn, and how often chance is called a change along them."""

import numpy as np
import pytest

from metrics.pictures.embedding import compare_embeddings, count_embeddings, find_directions


def test_directions_are_those_of_scikit_learn_and_histograms_add():
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(3)
    train = rng.normal(size=(200, 20)) * np.linspace(3, 0.1, 20)
    space = find_directions(train)
    pca = PCA(8, whiten=True, svd_solver="full").fit(train)
    ours = (train - np.array(space["mean"])) @ np.array(space["directions"]).T
    assert np.abs(ours) == pytest.approx(np.abs(pca.transform(train)), abs=1e-8)
    a, b = rng.normal(size=(50, 20)), rng.normal(size=(70, 20))
    added = {name: [x + y for x, y in zip(counts, count_embeddings(b, space)[name], strict=True)]
             for name, counts in count_embeddings(a, space).items()}
    assert added == count_embeddings(np.vstack([a, b]), space)


def test_embeddings_of_the_same_kind_are_called_in_one_of_twenty_at_most():
    rng, called = np.random.default_rng(4), 0
    for _ in range(24):
        space = find_directions(rng.normal(size=(100, 40)))
        held_out, day = (count_embeddings(rng.normal(size=(n, 40)), space) for n in (80, 60))
        called += compare_embeddings(held_out, day, 0.05)["changed"]
    assert called <= 5, "at 5%, 6 or more of 24 come once in 1,000 times"
    moved = count_embeddings(rng.normal(0.5, 1, size=(60, 40)), space)
    assert compare_embeddings(held_out, moved, 0.05)["changed"]
