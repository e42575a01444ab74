"""Figures corrected for selection against scikit-learn's with sample weights, and the coverage of their intervals."""

from collections import Counter

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from contract.counts import UNNAMED, DayCounts, empty_tables
from metrics import held_out
from metrics.selection.corrected import estimate_shares
from metrics.version import Rules, make_version_figures, margins_by_version
from metrics.window import WindowCounts

CLASSES = ["a", "b", "c"]


def make_rows(n, seed, unnamed=0.0, origin="audit"):
    """Rows whose probability of being asked goes with being right, as in samples that look for mistakes."""
    rng = np.random.default_rng(seed)
    label = rng.choice(CLASSES, n, p=[0.6, 0.3, 0.1])
    wrong = rng.random(n) < 0.2
    predicted = np.where(wrong, rng.permutation(label), label)
    p = np.where(predicted == label, rng.choice([1 / 4, 1 / 8], n), 1 / 2)
    called_wrong = (predicted != label) & (rng.random(n) < unnamed)
    label = np.where(called_wrong, UNNAMED, label)
    return held_out.HeldOutRows(predicted.tolist(), rng.uniform(0.2, 1, n), label.tolist(), [origin] * n, p)


def figures(rows):
    counts = DayCounts("2026-11-20", empty_tables() | {"cells": held_out.cells(rows, "1")}, dict.fromkeys(held_out.ROWS, 0))
    window = WindowCounts.of([counts])
    return make_version_figures(margins_by_version(window)["1"], window.origins["1"], CLASSES, Rules())


def test_corrected_classes_are_those_of_scikit_learn_with_sample_weights():
    rows = make_rows(600, 1)
    weight = np.floor(2**16 / rows.p)
    expected = precision_recall_fscore_support(rows.label, rows.predicted, labels=CLASSES, sample_weight=weight)
    got = figures(rows)["corrected"]["audit"]
    for i, row in enumerate(got["per_class"]):
        assert row["label"] == CLASSES[i]
        values = [row[name]["value"] for name in ("precision", "recall", "f1")]
        assert values == pytest.approx([column[i] for column in expected[:3]])
        assert all(row[n]["low"] <= row[n]["value"] <= row[n]["high"] for n in ("precision", "recall", "f1"))
    matrix = confusion_matrix(rows.label, rows.predicted, labels=CLASSES, sample_weight=weight) / weight.sum()
    shares = {(c["label"], c["predicted"]): c["share"] for c in got["confusion"]}
    assert shares == pytest.approx({(a, b): matrix[i, j] for i, a in enumerate(CLASSES) for j, b in enumerate(CLASSES)
                                    if matrix[i, j]})


def test_corrected_calibration_weighs_each_row():
    rows = make_rows(800, 2)
    weight, right = np.floor(2**16 / rows.p), np.array(rows.label) == np.array(rows.predicted)
    bins, error = (rows.confidence * 20 + 1e-12).astype(int).clip(0, 19), 0.0
    for b in np.unique(bins):
        mine = bins == b
        error += abs((weight * (right - rows.confidence))[mine].sum()) / weight.sum()
    got = figures(rows)["corrected"]["audit"]["calibration"]
    assert got["ece"] == pytest.approx(error, abs=1e-6)
    assert got["ece_95_if_calibrated"] > 0 and got["n_effective"] == pytest.approx(weight.sum()**2 / (weight**2).sum())


def test_a_row_called_wrong_lowers_recall_from_below_and_precision_at_once():
    rows = make_rows(600, 3, unnamed=0.5)
    of_all, corrected = figures(rows), figures(rows)["corrected"]["audit"]
    wrong = sum(label == UNNAMED for label in rows.label)
    assert of_all["unnamed_wrong"]["count"] == wrong > 0
    assert sum(row["count"] for row in of_all["unnamed_wrong"]["by_predicted"]) == wrong
    assert [row["label"] for row in of_all["per_class"]] == CLASSES == [r["label"] for r in corrected["per_class"]]
    assert of_all["new_labels"] == [] and of_all["accuracy"]["value"] == pytest.approx(
        np.mean(np.array(rows.label) == np.array(rows.predicted)))
    named = [(a, b) for a, b in zip(rows.label, rows.predicted, strict=True) if a != UNNAMED]
    for i, name in enumerate(CLASSES):
        row = of_all["per_class"][i]
        support = sum(a == name for a, _ in named)
        missable = sum(a == UNNAMED and b != name for a, b in zip(rows.label, rows.predicted, strict=True))
        right = sum(a == b == name for a, b in named)
        assert (row["support"], row["recall"]["value"]) == (support, pytest.approx(right / support))
        assert row["recall"]["low"] < right / (support + missable)  # as if all of them belonged to this class
        assert row["precision"]["value"] == pytest.approx(right / sum(b == name for b in rows.predicted))
        assert corrected["per_class"][i]["recall"]["low"] < corrected["per_class"][i]["recall"]["value"]
    by_predicted = Counter(b for a, b in zip(rows.label, rows.predicted, strict=True) if a == UNNAMED)
    assert {c["predicted"]: c["count"] for c in of_all["confusion"] if c["label"] == UNNAMED} == by_predicted


def test_intervals_hold_where_a_few_heavy_rows_are_expected():
    """A class of 20 rows, one in ten with a weight of 20: Kish's size keeps the error near its level; 4,000 draws."""
    rng, n, truth = np.random.default_rng(4), 20, 0.8
    heavy = rng.random((4000, n)) < 0.1
    weight = np.where(heavy, 20.0, 1.0)
    right = rng.random((4000, n)) < truth
    sums = (weight.sum(1), (weight**2).sum(1), (weight * right).sum(1), (weight**2 * right).sum(1))
    rows = estimate_shares(sums, 0.95)
    above = np.mean([row["low"] > truth for row in rows])
    below = np.mean([row["high"] < truth for row in rows])
    assert above <= 0.04 and below <= 0.08, (above, below)


def test_without_probabilities_nothing_is_corrected():
    rows = make_rows(50, 5)
    plain = held_out.HeldOutRows(rows.predicted, rows.confidence, rows.label, rows.origin, np.full(50, np.nan))
    assert figures(plain)["corrected"] == {}
