"""Both forms against crowd-kit: the same start, clipping and number of iterations give the same chances."""

import numpy as np
import pytest
from crowdkit.aggregation import DawidSkene, OneCoinDawidSkene

from metrics.labelers.form import alternate
from metrics.labelers.full import Full
from metrics.labelers.one_coin import OneCoin
from metrics.labelers.votes import Index
from tests.metrics.labelers.crowds import make_crowd

CROWDS = {
    "few classes": make_crowd(1, people=8, items=150),
    "two classes, one rare": make_crowd(2, classes=2, prior=[0.95, 0.05], votes=3),
    "some worse than chance": make_crowd(3, skill=(0.05, 0.95), people=9, items=150, votes=5),
    "answers lean to one class": make_crowd(4, classes=5, people=8, items=150, bias=0.8, skill=(0.4, 0.9)),
    "many classes, few votes each": make_crowd(5, classes=25, people=10, items=120, votes=3),
}


def run_ours(form, block, iterations):
    """The chances of the last expectation of so many: those by the parameters of one update fewer."""
    found = alternate(form, lambda parameters: form.expect(block, parameters), None, iterations - 1, -np.inf, len(block.item))
    chances = form.find_chances(block, found.parameters)
    return chances[0] if isinstance(chances, tuple) else chances


@pytest.mark.parametrize("name", CROWDS)
@pytest.mark.parametrize("iterations", [1, 8])
def test_chances_are_those_of_crowd_kit(name, iterations):
    crowd = CROWDS[name]
    index = Index.of([crowd.votes])
    block = index.encode(crowd.votes)
    given = np.bincount(index.labeler[block.pair]).astype(float)
    for form, theirs in ((Full(index), DawidSkene), (OneCoin(index, given), OneCoinDawidSkene)):
        expected = theirs(n_iter=iterations, tol=-np.inf).fit_predict_proba(crowd.frame()).loc[range(block.items), index.classes]
        assert np.abs(run_ours(form, block, iterations) - expected.to_numpy()).max() < 1e-6


def test_smoothing_moves_the_chances():
    """crowd-kit has none, so the comparison above says nothing of it."""
    crowd = CROWDS["few classes"]
    index = Index.of([crowd.votes])
    block = index.encode(crowd.votes)
    plain, smoothed = (run_ours(Full(index, s), block, 30) for s in (0.0, 0.01))
    assert np.abs(plain - smoothed).max() > 1e-3
