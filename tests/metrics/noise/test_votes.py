"""What votes add up to, against drawing every pair and triple of votes by hand."""

from itertools import permutations

import numpy as np
import pytest

from metrics.noise.votes import GROUPS, add_up, collect_votes, deal


def draw(rng, items=60, classes=4):
    votes = [rng.integers(0, classes, rng.integers(1, 5)).tolist() for _ in range(items)]
    return votes, rng.integers(0, classes, items), rng.choice([0.1, 0.5, 1.0], items), rng.random(items)


def by_hand(votes, predicted, weight, low, classes):
    """The sums of metrics.noise.votes.Moments over items, each draw of votes alike."""
    scalar = ("items", "hits", "paired", "agree", "both", "paired_hits", "tripled", "all_agree", "rejected",
              "rejected_agree", "low", "low_agree")
    by_class = ("predicted", "predicted_hits", "paired_predicted", "paired_predicted_squared", "paired_predicted_agree", "one",
                "two", "three", "low_votes", "rejected_votes")
    found = dict.fromkeys(scalar, 0.0) | {name: np.zeros(classes) for name in by_class}
    for of_item, p, w, is_low in zip(votes, predicted, weight, low, strict=True):
        hit = sum(v == p for v in of_item) / len(of_item)
        found["items"] += w
        found["hits"] += w * hit
        found["predicted"][p] += w
        found["predicted_hits"][p] += w * hit
        pairs, triples = list(permutations(of_item, 2)), list(permutations(of_item, 3))
        for a, b in pairs:
            one = w / len(pairs)
            found["paired"] += one
            found["agree"] += one * (a == b)
            found["both"] += one * (a == b == p)
            found["paired_hits"] += one * (a == p)
            found["paired_predicted"][p] += one
            found["paired_predicted_agree"][p] += one * (a == b)
            found["low"] += one * is_low
            found["low_agree"] += one * is_low * (a == b)
            found["low_votes"][a] += one * is_low
        found["paired_predicted_squared"][p] += w * w * bool(pairs)
        for a, b, c in triples:
            one = w / len(triples)
            found["tripled"] += one
            found["all_agree"] += one * (a == b == c)
            found["rejected"] += one * (a != p)
            found["rejected_agree"] += one * (a != p) * (b == c)
            found["one"][a] += one
            found["two"][a] += one * (a == b)
            found["three"][a] += one * (a == b == c)
            found["rejected_votes"][b] += one * (a != p)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_sums_are_those_of_every_draw(seed):
    rng = np.random.default_rng(seed)
    votes, predicted, probability, confidence = draw(rng)
    item = np.repeat(np.arange(len(votes)), [len(v) for v in votes])
    found = add_up(collect_votes(4, item, np.concatenate(votes).astype(int), predicted, probability, confidence))
    low = confidence < np.median(confidence)
    expected = by_hand(votes, predicted, 1 / probability, low, 4)
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name)[0], value, err_msg=name)
    without = [i for i in range(len(votes)) if i != 7]  # 60 items: each is a group of its own
    left = by_hand([votes[i] for i in without], predicted[without], 1 / probability[without], low[without], 4)
    for name, value in left.items():
        np.testing.assert_allclose(getattr(found, name)[1 + deal(60, 60)[7]], value, atol=1e-9, err_msg=name)


def test_groups_are_at_most_a_hundred_and_kish_tells_the_size():
    n = 1000
    found = add_up(collect_votes(2, np.arange(n), np.zeros(n, int), np.zeros(n, int), np.where(np.arange(n) < 500, 1.0, 0.5),
                                 np.full(n, np.nan)))
    assert len(found.items) == GROUPS + 1
    assert found.sizes[0] == pytest.approx((500 + 1000) ** 2 / (500 + 2000)) and found.sizes[1:] == (0, 0)
    assert found.low[0] == 0  # no confidence, no less confident half


@pytest.mark.parametrize("items", [1, 99, 1000, 12345])
def test_groups_are_dealt_evenly_and_do_not_follow_the_order_of_rows(items):
    groups = min(GROUPS, items)
    dealt = deal(items, groups)
    sizes = np.bincount(dealt, minlength=groups)
    assert sizes.max() - sizes.min() <= 1 and (deal(items, groups) == dealt).all()
    if items >= 1000:  # a group has as many rows of the first half as chance gives it, not exactly half of its own
        first = np.bincount(dealt[:items // 2], minlength=groups) / sizes
        chance = 0.25 / (items / groups)
        assert first.var() == pytest.approx(chance, rel=0.5)
