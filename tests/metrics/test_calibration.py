import random

import numpy as np
import pytest

from contract.confidence import EDGES
from contract.errors import UsageError
from metrics import calibration
from metrics.cells import by_version
from tests.figures import cell, day, document, random_cells


def by_hand(rows, edges, ratio):
    """The rule of docs/design.md#evaluationjson, word by word: rows of (confidence bucket, right) of one predicted class."""
    support, supported_from, threshold = 0, None, None
    filled = [b for b in range(len(edges) - 1) if any(bucket == b for bucket, _ in rows)]
    for b in range(len(edges) - 2, -1, -1):
        right = sum(1 for bucket, ok in rows if bucket == b and ok)
        wrong = sum(1 for bucket, ok in rows if bucket == b and not ok)
        if right + wrong == 0:
            continue
        if right == 0 or wrong / right > ratio:
            threshold = edges[b + 1]
            break
        support, supported_from = support + right + wrong, edges[b]
    else:
        threshold = edges[filled[0]] if filled else None
    return (threshold, supported_from, support) if support else (None, None, 0)


@pytest.mark.parametrize("seed", range(60))
def test_thresholds_follow_the_rule(seed):
    rng = random.Random(seed)
    buckets = rng.sample(range(20), rng.randint(0, 8))
    rows = [(b, rng.random() < rng.choice([0.85, 0.95, 1])) for b in buckets for _ in range(rng.randint(1, 25))]
    count, wrong = np.zeros((1, 20), int), np.zeros((1, 20), int)
    for b, right in rows:
        count[0, b] += 1
        wrong[0, b] += not right
    found = calibration.thresholds(count, wrong, EDGES, 0.1)
    assert tuple(x[0] for x in found) == by_hand(rows, EDGES, 0.1)


def test_buckets_leave_out_rows_without_a_bin_and_unlabelled_ones():
    cells = [cell("a", "a", 0.97, n=9), cell("a", "b", 0.97), cell("a", "b", None), cell("a", None, 0.97),
             cell("a", "b", 0.05)]
    found = document(day(cells))["versions"]["1"]
    assert found["confidence_buckets"] == [
        {"predicted": "a", "low": 1 / 20, "high": 2 / 20, "count": 1, "wrong": 1},
        {"predicted": "a", "low": 19 / 20, "high": 1.0, "count": 10, "wrong": 1}]
    assert found["confidence_thresholds"] == [
        {"predicted": "a", "threshold": None, "supported_from": None, "support": 0},
        {"predicted": "b", "threshold": None, "supported_from": None, "support": 0}]


def test_one_wrong_in_ten_right_is_accepted():
    cells = [cell("a", "a", 0.97, n=10), cell("a", "b", 0.97), cell("a", "b", 0.3)]
    found = document(day(cells))["versions"]["1"]["confidence_thresholds"][0]
    assert found == {"predicted": "a", "threshold": 0.35, "supported_from": 0.95, "support": 11}


def test_coarser_buckets_add_the_finest_up():
    cells = random_cells(3)
    fine, coarse = (document(day(cells), bucket_edges=e)["versions"]["1"]["confidence_buckets"]
                    for e in (None, [0.5, 0.9]))
    assert {(r["low"], r["high"]) for r in coarse} == {(0, 0.5), (0.5, 0.9), (0.9, 1)}
    for row in coarse:
        inside = [r for r in fine if r["predicted"] == row["predicted"] and row["low"] <= r["low"] < row["high"]]
        assert (sum(r["count"] for r in inside), sum(r["wrong"] for r in inside)) == (row["count"], row["wrong"])


@pytest.mark.parametrize("edges", [[0, 0.33, 1], [0.5, 0.4], [-0.5], [0.5, 0.5]])
def test_edges_that_counts_do_not_know_are_refused(edges):
    with pytest.raises(UsageError, match="expected rising multiples of 0.05"):
        calibration.edges_of(edges)


def test_calibration_error_by_hand_and_beside_what_chance_shows():
    cells = [cell("a", "a", 0.92, n=50), cell("a", "b", 0.92, n=50), cell("b", "b", 0.42, n=100)]
    found = document(day(cells))["versions"]["1"]["calibration"]
    assert found["ece"] == pytest.approx((100 * 0.42 + 100 * 0.58) / 200, abs=1e-6)
    assert found["ece_95_if_calibrated"] < 0.12 < found["ece"]
    assert [(r["low"], r["count"], round(r["accuracy"]["value"], 6)) for r in found["reliability"]] == [
        (0.4, 100, 1.0), (0.9, 100, 0.5)]


def test_a_calibrated_model_exceeds_the_95_percent_value_in_about_5_percent():
    rng, exceeded = np.random.default_rng(5), 0
    for _ in range(200):
        cells = [cell("a", x, c / 20 + 0.025, n=int(n)) for c in range(4, 20) for right in
                 [rng.binomial(40, c / 20 + 0.025)] for x, n in (("a", right), ("b", 40 - right)) if n]
        found = document(day(cells))["versions"]["1"]["calibration"]
        exceeded += found["ece"] > found["ece_95_if_calibrated"]
    assert 2 <= exceeded <= 20


def test_class_calibration_agrees_with_the_one_over_all_classes():
    cells = [cell("a", x, c / 20, n=n) for c in range(8, 20) for x, n in (("a", 3 * c), ("b", 20))]
    (only,) = by_version(day(cells).tables["cells"]).values()
    whole, of_class = calibration.calibration(only, 0.95), calibration.class_calibration(only)[0]
    assert of_class["ece"] == pytest.approx(whole["ece"])
    assert of_class["ece_95_if_calibrated"] == pytest.approx(whole["ece_95_if_calibrated"], rel=0.1)
