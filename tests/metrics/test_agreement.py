import random

import krippendorff
import numpy as np
import pyarrow as pa
import pytest

from contract.counts import canonical
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
    assert same == {"value": None, "low": None, "high": None, "votes": 5, "labels": 1, "reason": "all votes name the same label"}


def days_of(rng, days, items, error):
    """Items of three labels, labelled by two to four people each of whom errs so often; on some days more."""
    made = []
    for _ in range(days):
        often = error * rng.uniform(0.5, 1.5)
        truth = rng.choice(3, items, p=[0.6, 0.3, 0.1])
        made.append([[("abc"[x] if rng.random() >= often else "abc"[rng.integers(3)]) for _ in range(rng.integers(2, 5))]
                     for x in truth])
    return made


@pytest.mark.parametrize("error", [0.3, 0.05, 0.002])
def test_the_interval_of_alpha_covers_and_has_a_width(error):
    rng, covered = np.random.default_rng(1), 0
    truth = alpha(table("coincidences", coincidences(sum(days_of(rng, 300, 40, error), []))))["value"]
    for _ in range(60):
        days = [table("coincidences", coincidences(day)) for day in days_of(rng, 14, 40, error)]
        found = alpha(canonical("coincidences", pa.concat_tables(days)), days)
        assert found["low"] < found["high"]
        covered += found["low"] <= truth <= found["high"]
    assert covered >= 53  # of 60; 57 expected


def test_one_day_gives_alpha_no_interval_and_says_so():
    day = table("coincidences", coincidences([["a", "a"], ["a", "b"], ["b", "b"]]))
    found = alpha(day, [day])
    assert found["value"] is not None and found["low"] is None and "fewer than two days" in found["reason"]


def test_labelers_with_the_nameless_first():
    rows = [{"labeler": "zoe", "votes": 30, "agreements": 29, "pairs": 10, "agreeing_pairs": 9},
            {"labeler": None, "votes": 4, "agreements": 0, "pairs": 2, "agreeing_pairs": 0},
            {"labeler": "alone", "votes": 8, "agreements": 8, "pairs": 0, "agreeing_pairs": 0}]
    found = labelers(table("people", rows), 0.95)
    assert [(r["labeler"], r["votes"], r["agreement"]["value"]) for r in found] == [
        (None, 4, 0.0), ("alone", 8, None), ("zoe", 30, 0.9)]
    assert "nobody else judged" in found[1]["agreement"]["reason"]  # a lone vote always agrees with the consensus, which it is
    assert found[2]["agreement"]["low"] == pytest.approx(0.596, abs=1e-3)
