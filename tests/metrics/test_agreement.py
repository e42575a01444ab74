import random

import krippendorff
import pytest

from metrics.agreement import alpha, labelers
from tests.figures import table


def coincidences(items):
    """Rows of the coincidences table of items, each a list of votes, by definition: ordered pairs of two votes."""
    return [{"label": a, "other_label": b, "votes": len(votes), "n": 1} for votes in items if len(votes) > 1
            for i, a in enumerate(votes) for j, b in enumerate(votes) if i != j]


@pytest.mark.parametrize("seed", range(8))
def test_alpha_equals_the_krippendorff_package(seed):
    rng = random.Random(seed)
    items = [[rng.choice("abc" if rng.random() < 0.5 else "a") for _ in range(rng.randint(0, 5))] for _ in range(40)]
    counts = [[votes.count(x) for x in "abc"] for votes in items]
    expected = krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
    assert alpha(table("coincidences", coincidences(items)))["value"] == pytest.approx(expected)


def test_alpha_says_why_it_is_null():
    assert alpha(table("coincidences", []))["reason"] == "no prediction has two deciding votes"
    same = alpha(table("coincidences", coincidences([["a", "a"], ["a", "a", "a"]])))
    assert same == {"value": None, "votes": 5, "labels": 1, "reason": "all votes name the same label"}


def test_labelers_with_the_nameless_first():
    rows = [{"labeler": "zoe", "votes": 30, "agreements": 29, "pairs": 10, "agreeing_pairs": 9},
            {"labeler": None, "votes": 4, "agreements": 0, "pairs": 2, "agreeing_pairs": 0},
            {"labeler": "alone", "votes": 8, "agreements": 8, "pairs": 0, "agreeing_pairs": 0}]
    found = labelers(table("people", rows), 0.95)
    assert [(r["labeler"], r["votes"], r["agreement"]["value"]) for r in found] == [
        (None, 4, 0.0), ("alone", 8, None), ("zoe", 30, 0.9)]
    assert "nobody else judged" in found[1]["agreement"]["reason"]  # a lone vote always agrees with the consensus, which it is
    assert found[2]["agreement"]["low"] == pytest.approx(0.596, abs=1e-3)
